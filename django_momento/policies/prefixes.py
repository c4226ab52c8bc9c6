"""CLEAR=prefix: a random generation in each key of an alias, so that one write forgets all of them.

The generation stands before the key that Momento sees. Values are bound to the key without it. Keys of other
aliases, and the package's own keys, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from ..client.call_items import keys_of
from ..client.calls import RESERVED, Call, Operation, Request
from ..client.client import Client
from ..client.metering import Tally
from ..conf.options import CacheOptions
from ..exceptions import MomentoCacheError
from .actions import Actions, Operate
from .timeouts import to_milliseconds
from .versions import Versions, generation_key, versions

T = TypeVar("T")

# The versions and the key of a generation, and the text of it that is to be used.
Pinned = tuple[Versions, bytes, bytes]
_pinned: ContextVar[Pinned | None] = ContextVar("django_momento_generation", default=None)


class Generation:
    """The generation of the keys of one alias, whose KEY_PREFIX ``get_prefix`` returns."""

    def __init__(self, options: CacheOptions, get_prefix: Callable[[], str]) -> None:
        self._versions = versions.get(options)
        self._get_prefix = get_prefix
        self._seconds = options.tag_seconds
        self._ttl = to_milliseconds(None, options.max_ttl)

    def get(self) -> Operation[bytes]:
        """Return the text that stands before each key. If there is no generation, begin one."""
        key = generation_key(self._get_prefix())
        pinned = self._find_pinned(key)
        if pinned is not None:
            return pinned
        found = yield from self._versions.ensure([key], self._seconds, self._ttl)
        return found[key].hex().encode() + b":"

    def recall(self) -> bytes | None:
        """Return the text that stands before each key if this process knows it, without asking Momento."""
        key = generation_key(self._get_prefix())
        pinned = self._find_pinned(key)
        if pinned is not None:
            return pinned
        known = self._versions.recall(key, self._seconds)
        return None if known is None or known.version is None else known.version.hex().encode() + b":"

    def peek(self) -> bytes | None:
        """Return the generation that this process knew last. It tells a clear() in this process."""
        return self._versions.peek(generation_key(self._get_prefix()))

    def enter(self, operation: Operation[T]) -> Operation[T]:
        """Return an operation with the generation before the keys of its calls."""
        return with_generation(operation, self)

    def pin(self, text: bytes, actions: Actions[T]) -> Actions[T]:
        """Perform actions in the generation with that text.

        A value that was computed before clear() is stored so, where nobody finds it.
        """
        outer, token = _pinned.get(), None
        try:
            token = _pinned.set((self._versions, generation_key(self._get_prefix()), text))
            return (yield from actions)
        finally:
            try:  # noqa: SIM105 - suppress() could be interrupted
                # Without a token, an interruption came when it was set.
                _pinned.reset(token) if token is not None else _pinned.set(outer)
            except ValueError:  # a coroutine may be closed in another context
                pass

    def _find_pinned(self, key: bytes) -> bytes | None:
        pinned = _pinned.get()
        return pinned[2] if pinned is not None and pinned[:2] == (self._versions, key) else None

    def replace(self) -> Operation[None]:
        """Begin a new generation, in which no key exists."""
        yield from self._versions.replace([generation_key(self._get_prefix())], self._ttl)

    def wrap(self, client: Client) -> Client:
        """Return a client that puts the generation before the keys of each operation."""
        return cast("Client", _PrefixedClient(client, self))


def find_generation(cache: Any, key: object) -> Actions[bytes | None]:
    """Return the generation of a cache's keys, or None if it has none. ``key`` is the one of the call."""
    generation: Generation | None = cache._generation
    if generation is None:
        return None
    text: bytes | None = generation.recall()
    return text if text is not None else (yield Operate("snapshot", (key,), generation.get(), None))


def within(cache: Any, text: bytes | None, actions: Actions[T]) -> Actions[T]:
    """Perform actions in the generation with that text, if there is one: a clear() meanwhile forgets them."""
    generation: Generation | None = cache._generation
    if generation is None or text is None:
        return (yield from actions)
    return (yield from generation.pin(text, actions))


class _PrefixedClient:
    def __init__(self, client: Client, generation: Generation) -> None:
        self._client = client
        self._generation = generation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def run(self, cache: str, operation: Operation[T], tally: Tally | None = None) -> T:
        return self._client.run(cache, with_generation(operation, self._generation), tally)

    async def arun(self, cache: str, operation: Operation[T], tally: Tally | None = None) -> T:
        return await self._client.arun(cache, with_generation(operation, self._generation), tally)


def with_generation(operation: Operation[T], generation: Generation) -> Operation[T]:
    """Run an operation whose calls name keys without a generation. All its calls get the same one."""
    prefix = None
    try:
        request = next(operation)
        while True:
            try:
                calls = request if isinstance(request, list) else [request]
                if any(map(_needs_generation, calls)):
                    if prefix is None:
                        prefix = yield from generation.get()
                    calls = [_with_prefix(call, prefix) for call in calls]
                response = yield cast(Request, calls if isinstance(request, list) else calls[0])
            except MomentoCacheError as error:
                request = operation.throw(error)
            else:
                request = operation.send(response)
    except StopIteration as done:
        return cast(T, done.value)
    finally:
        operation.close()


def _needs_generation(call: Any) -> bool:
    return isinstance(call, Call) and any(not key.startswith(RESERVED) for key in keys_of(call))


def _with_prefix(call: Any, prefix: bytes) -> Any:
    if not _needs_generation(call):
        return call
    changed = object.__new__(type(call))
    for name in _fields(type(call)):
        value = getattr(call, name)
        if name == "key":
            value = prefix + value
        elif name == "keys":
            value = tuple(prefix + key for key in value)
        elif name == "items":
            value = tuple((prefix + key, data) for key, data in value)
        setattr(changed, name, value)
    return changed


def _fields(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name in vars(base).get("__slots__", ())]
