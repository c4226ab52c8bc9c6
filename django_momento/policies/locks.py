"""Locks that several processes share: a token under a key, with a time after which it ends by itself.

What a lock does is written once, as generators of steps. A step is an operation, which a ``Lock`` runs and an
``AsyncLock`` awaits, or a number of seconds to wait.

A lock prevents that work is done twice. It does not protect data: its holder may be slower than its timeout,
and a cache may lose the token.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..client.calls import Operation
from ..client.claims import RELEASED, claim, release, renew
from ..client.retry import Backoff
from ..client.timers import sleep
from ..clock import monotonic
from ..exceptions import LockError, LockNotOwned, MomentoCacheError
from ..redaction import quote
from .lock_tokens import tokens
from .timeouts import to_blocking, to_duration, to_wait

Steps = Generator[Operation[bool] | float, bool, bool]

# Seconds before the second attempt to acquire a lock, and the longest pause between two attempts.
INITIAL_PAUSE = 0.25
MAX_PAUSE = 1.0

# Added to the key of a lock, so that a value may have the name of the lock that guards it.
SUFFIX = b"\x00lock"


class LockOptions(NamedTuple):
    """The arguments of a lock. ``ttl`` is in milliseconds, and the waits are in seconds.

    ``key`` is the caller's, for messages, and ``momento_key`` is the key of the token at Momento. ``place``
    tells apart the caches that this process uses.
    """

    key: str
    momento_key: bytes
    place: object
    ttl: int
    max_ttl: float
    blocking: bool
    blocking_timeout: float | None
    pause: float


class _Held:
    """A token that was acquired, and the earliest time at which it may have ended."""

    def __init__(self, token: bytes, until: float) -> None:
        self.token = token
        self.until = until
        # After a fork the token is the parent's.
        self.process = os.getpid()


class _Lock:
    """The steps of a lock. A subclass keeps the tokens of its holders, and runs the steps."""

    # What holds a lock, for messages.
    _holder = ""

    def __init__(self, options: LockOptions, record_loss: Callable[[str], object]) -> None:
        self._options = options
        self._record_loss = record_loss
        self._place = (options.place, options.momento_key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.key!r}>"

    def _get_held(self) -> _Held | None:
        raise NotImplementedError

    def _set_held(self, held: _Held | None) -> None:
        raise NotImplementedError

    def _find_held(self) -> _Held | None:
        """Return the token of this holder. Raises RuntimeError outside a task if the lock is async."""
        held = self._get_held()
        return held if held is not None and held.process == os.getpid() else None

    def _require_held(self) -> _Held:
        held = self._find_held()
        if held is None:
            raise LockNotOwned(
                f"The lock {self._name} is not held by this {self._holder}.",
                f"Acquire it first. A lock belongs to the {self._holder} that acquired it.",
            )
        return held

    @property
    def _name(self) -> str:
        return repr(quote(self._options.key, 250))

    def _acquire(self, blocking: bool | None, blocking_timeout: Any) -> Steps:
        options = self._options
        blocking = options.blocking if blocking is None else to_blocking(blocking)
        wait = options.blocking_timeout if blocking_timeout is None else to_wait(blocking_timeout)
        held = self._find_held()
        if held is not None and monotonic() < held.until:
            raise LockError(
                f"The lock {self._name} is held by this {self._holder} already.",
                "Release it first, or use another lock: a lock of this kind cannot be acquired twice.",
            )
        token = tokens.take(self._place)
        backoff = Backoff(options.pause, max(options.pause, MAX_PAUSE))
        deadline = None if wait is None else monotonic() + wait
        while True:
            sent_at = monotonic()
            try:
                if (yield claim(options.momento_key, token, options.ttl)):
                    self._set_held(_Held(token, sent_at + options.ttl / 1000))
                    return True
            except MomentoCacheError:
                tokens.keep(self._place, token)
                raise
            except GeneratorExit:
                raise  # Nobody takes further steps.
            except BaseException:
                # Cancelled or interrupted: nobody will release the lock that this call may have acquired.
                yield from self._abandon(token)
                raise
            left = None if deadline is None else deadline - monotonic()
            if not blocking or (left is not None and left <= 0):
                return False
            pause = backoff.next()
            yield pause if left is None else min(pause, left)

    def _extend(self, timeout: Any) -> Steps:
        options, held = self._options, self._require_held()
        ttl = options.ttl if timeout is None else to_duration("timeout", timeout, options.max_ttl)
        sent_at = monotonic()
        if not (yield renew(options.momento_key, held.token, ttl)):
            self._set_held(None)
            raise self._lost("it cannot be extended")
        held.until = sent_at + ttl / 1000
        return True

    def _release(self) -> Steps:
        held = self._require_held()
        try:
            is_released = yield release(self._options.momento_key, held.token)
        except (MomentoCacheError, GeneratorExit):
            raise
        except BaseException:
            # Cancelled or interrupted: the call may not have arrived.
            yield from self._abandon(held.token)
            raise
        self._set_held(None)
        if not is_released:
            raise self._lost("it cannot be released")
        # Until then the token is still there, and an attempt that does not wait would fail.
        yield RELEASED / 1000
        return True

    def _abandon(self, token: bytes) -> Generator[Operation[bool] | float, bool, None]:
        """Release a token if possible, after a call for it was cancelled or interrupted."""
        self._set_held(None)
        with suppress(MomentoCacheError):
            yield release(self._options.momento_key, token)

    def _give_up(self) -> Steps:
        """Release the lock if this holder still has it, after the release was interrupted."""
        held = self._find_held()
        if held is not None:
            yield from self._abandon(held.token)
        return True

    def _owned(self) -> Steps:
        held = self._find_held()
        left = 0 if held is None else int((held.until - monotonic()) * 1000)
        if held is None or left <= 0:
            return False
        # A compare-and-set, because a read may be of a moment ago. It leaves the lock the time that it has.
        return (yield renew(self._options.momento_key, held.token, left))

    def _lost(self, consequence: str) -> LockNotOwned:
        return LockNotOwned(
            f"The lock {self._name} had ended before, so {consequence}.",
            "Another holder may have acquired it. Give it a longer timeout, or extend it in time.",
        )

    def _refuse(self) -> LockError:
        options = self._options
        wait = options.blocking_timeout
        waited = f" within {wait:.12g} seconds" if options.blocking and wait is not None else ""
        return LockError(
            f"The lock {self._name} was not acquired{waited}, because another holder has it.",
            "Wait longer for it, or do the work later.",
        )

    def _leave(self) -> Steps:
        """Release the lock after a ``with`` block. The block's outcome stands, whatever comes of this."""
        try:
            yield from self._release()
        except (LockNotOwned, MomentoCacheError) as error:
            self._set_held(None)
            self._record_loss(str(error))
        return True


class Lock(_Lock):
    """A lock for threads and processes, as a context manager. Its holder is the thread that acquired it.

    One object may be shared by threads. Entering raises LockError if another holder has the lock. No failure
    is hidden: if Momento cannot be reached, its error is raised, also with IGNORE_EXCEPTIONS.
    """

    _holder = "thread"

    def __init__(
        self,
        options: LockOptions,
        run: Callable[[str, Operation[bool]], bool],
        record_loss: Callable[[str], object],
    ) -> None:
        super().__init__(options, record_loss)
        self._run = run
        self._thread = threading.local()

    def _get_held(self) -> _Held | None:
        return getattr(self._thread, "held", None)

    def _set_held(self, held: _Held | None) -> None:
        self._thread.held = held

    def acquire(self, blocking: bool | None = None, blocking_timeout: Any = None) -> bool:
        """Acquire the lock and return whether it was acquired. The arguments of the lock are the defaults.

        Raises LockError if this thread holds the lock, and MomentoCacheError if Momento cannot be asked.
        """
        return self._take("lock", self._acquire(blocking, blocking_timeout))

    def extend(self, timeout: Any = None) -> bool:
        """Let the lock end so many seconds from now, by default as many as when it was acquired. Return True.

        Raises LockNotOwned if it has ended, and MomentoCacheError if Momento cannot be asked.
        """
        return self._take("lock.extend", self._extend(timeout))

    def release(self) -> None:
        """Release the lock. Raises LockNotOwned if it has ended, and leaves another holder's lock alone."""
        try:
            self._take("lock.release", self._release())
        except (LockError, MomentoCacheError):
            raise
        except BaseException:
            # Interrupted, perhaps before anything was done.
            self._take("lock.release", self._give_up())
            raise

    def owned(self) -> bool:
        """Ask Momento whether this thread still holds the lock."""
        return self._take("lock.owned", self._owned())

    def __enter__(self) -> Lock:
        if not self.acquire():
            raise self._refuse()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._take("lock.release", self._leave())
        except BaseException:
            self._take("lock.release", self._give_up())
            raise

    def _take(self, verb: str, steps: Steps) -> bool:
        """Take the steps one after another and return their result."""
        # Whatever interrupts this method is thrown into the steps too, which may have to give up the lock.
        # Nothing is called after their end: an interruption would take the place of the result.
        generator: Any = steps
        value: Any = None
        take = generator.send
        while True:
            try:
                step = take(value)
                value, take = False, generator.send
                if isinstance(step, float):
                    time.sleep(step)
                else:
                    value = self._run(verb, step)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
            except BaseException as error:
                if generator.gi_frame is None:
                    raise
                take, value = generator.throw, error


class AsyncLock(_Lock):
    """See Lock. Its holder is the task that acquired it. A task that is cancelled meanwhile holds nothing."""

    _holder = "task"

    def __init__(
        self,
        options: LockOptions,
        run: Callable[[str, Operation[bool]], Awaitable[bool]],
        record_loss: Callable[[str], object],
    ) -> None:
        super().__init__(options, record_loss)
        self._run = run
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], _Held] = WeakKeyDictionary()

    def _get_held(self) -> _Held | None:
        return self._tasks.get(self._task)

    def _set_held(self, held: _Held | None) -> None:
        if held is None:
            self._tasks.pop(self._task, None)
        else:
            self._tasks[self._task] = held

    @property
    def _task(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A lock can be used by a task only, and there is no current task.")
        return task

    async def acquire(self, blocking: bool | None = None, blocking_timeout: Any = None) -> bool:
        """See Lock.acquire()."""
        return await self._take("lock", self._acquire(blocking, blocking_timeout))

    async def extend(self, timeout: Any = None) -> bool:
        """See Lock.extend()."""
        return await self._take("lock.extend", self._extend(timeout))

    async def release(self) -> None:
        """See Lock.release()."""
        await self._take("lock.release", self._release())

    async def owned(self) -> bool:
        """See Lock.owned()."""
        return await self._take("lock.owned", self._owned())

    async def __aenter__(self) -> AsyncLock:
        if not await self.acquire():
            raise self._refuse()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._take("lock.release", self._leave())

    async def _take(self, verb: str, steps: Steps) -> bool:
        """See Lock._take()."""
        generator: Any = steps
        value: Any = None
        take = generator.send
        while True:
            try:
                step = take(value)
                value, take = False, generator.send
                if isinstance(step, float):
                    await sleep(step)
                else:
                    value = await self._run(verb, step)
            except GeneratorExit:
                raise  # A coroutine that is closed can await nothing.
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
            except BaseException as error:
                if generator.gi_frame is None:
                    raise
                take, value = generator.throw, error
