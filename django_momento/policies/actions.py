"""Policies for both faces of a cache: a generator yields actions, and the driver of a face performs them.

The generator receives the result of each action, or the exception of the action is thrown in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from inspect import isawaitable
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation

from ..client.calls import Operation
from ..client.futures import wait_for, wait_on_this_thread
from ..client.timers import sleep

T = TypeVar("T")


class Action(Protocol):
    """One action, for a sync and for an async caller."""

    def run(self, cache: Any) -> Any: ...
    async def arun(self, cache: Any) -> Any: ...


Actions = Generator[Action, Any, T]


class _Stopped(Exception):
    """Stands for a StopIteration, which a generator cannot pass on."""

    def __init__(self, original: StopIteration) -> None:
        super().__init__()
        self.original = original


class Verb:
    """Call a method of the cache, which a subclass may override."""

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        self._name = name
        self._arguments = arguments
        self._keywords = keywords

    def run(self, cache: Any) -> Any:
        return getattr(cache, self._name)(*self._arguments, **self._keywords)

    async def arun(self, cache: Any) -> Any:
        return await getattr(cache, f"a{self._name}")(*self._arguments, **self._keywords)


class Operate:
    """Run an operation as the verb of that name, with the failure policy of the cache."""

    def __init__(self, verb: str, keys: Collection[object], operation: Operation[Any], fallback: Any) -> None:
        self._arguments = verb, keys, operation, fallback

    def run(self, cache: Any) -> Any:
        return cache._run(*self._arguments)

    async def arun(self, cache: Any) -> Any:
        return await cache._arun(*self._arguments)


class Store:
    """Encode a value and run the operation that stores it."""

    def __init__(
        self,
        verb: str,
        keys: Collection[object],
        store: Callable[..., Operation[Any]],
        encode: Callable[[], tuple[Any, ...]],
        fallback: Any,
    ) -> None:
        self._arguments = verb, keys, store, encode, fallback

    def run(self, cache: Any) -> Any:
        return cache._store(*self._arguments)

    async def arun(self, cache: Any) -> Any:
        return await cache._astore(*self._arguments)


class Compute:
    """Return ``default``, or its result if it is callable. The async face awaits an awaitable result."""

    def __init__(self, default: Any) -> None:
        self._default = default

    def run(self, cache: Any) -> Any:
        try:
            return self._default() if callable(self._default) else self._default
        except StopIteration as error:
            raise _Stopped(error) from error

    async def arun(self, cache: Any) -> Any:
        if not callable(self._default):
            return self._default
        value = self.run(cache)
        return await value if isawaitable(value) else value


class Evaluate:
    """Call a function that may pickle values, in a thread if they must not be evaluated in an event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def run(self, cache: Any) -> Any:
        return self._function()

    async def arun(self, cache: Any) -> Any:
        try:
            return self._function()
        except SynchronousOnlyOperation:  # as pickling a queryset raises
            return await sync_to_async(self._function)()


class Await:
    """Wait until a future is done, for a number of seconds at most."""

    def __init__(self, future: Any, seconds: float) -> None:
        self._future = future
        self._seconds = seconds

    def run(self, cache: Any) -> None:
        wait_on_this_thread(self._future, self._seconds)

    async def arun(self, cache: Any) -> None:
        if not self._future.done():
            await wait_for((self._future,), shared=True, timeout=max(0.0, self._seconds))


class Sleep:
    """Do nothing for a number of seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, cache: Any) -> None:
        time.sleep(self._seconds)

    async def arun(self, cache: Any) -> None:
        await sleep(self._seconds)


def perform(cache: Any, action: Any) -> Actions[Any]:
    """Perform a read or a store of a policy that computes a missing value.

    In an outage, a cache with a shield keeps the value in this process.
    """
    if cache._client.memory is None:
        return (yield action)
    from .passage import computing

    outer, token = computing.get(), None
    try:
        token = computing.set(True)
        return (yield action)
    finally:
        try:  # noqa: SIM105 - suppress() could be interrupted
            # Without a token, an interruption came when it was set.
            computing.reset(token) if token is not None else computing.set(outer)
        except ValueError:  # a coroutine may be closed in another context
            pass


def run(cache: Any, actions: Actions[T]) -> T:
    """Perform actions on this thread and return the result of the generator."""
    # Whatever interrupts this function is thrown into the generator too, which may have to release a lease.
    # Nothing is called after its end: an interruption would take the place of the result.
    generator: Any = actions
    step, value = generator.send, None
    while True:
        try:
            value = step(value).run(cache)
            step = generator.send
        except StopIteration as done:
            if generator.gi_frame is None:
                return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
            step, value = generator.throw, done
        except _Stopped as stopped:
            if generator.gi_frame is None:
                raise stopped.original from None
            step, value = generator.throw, stopped
        except BaseException as error:
            if generator.gi_frame is None:
                raise
            step, value = generator.throw, error


async def arun(cache: Any, actions: Actions[T]) -> T:
    """See run(). The event loop goes on meanwhile."""
    generator: Any = actions
    step, value = generator.send, None
    while True:
        try:
            value = await step(value).arun(cache)
            step = generator.send
        except StopIteration as done:
            if generator.gi_frame is None:
                return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
            step, value = generator.throw, done
        except _Stopped as stopped:
            if generator.gi_frame is None:
                raise RuntimeError("coroutine raised StopIteration") from stopped.original
            step, value = generator.throw, stopped
        except BaseException as error:
            if generator.gi_frame is None:
                raise
            step, value = generator.throw, error
