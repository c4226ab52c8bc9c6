"""Momento's calls as values. Each builds its request, reads its response, and says whether it may be retried.

The channel sends the calls. It passes in the message classes (``cacheclient_pb2``, as ``pb``), so importing
this module loads neither protobuf nor grpc. Keys and values are bytes. Every TTL is in whole milliseconds,
from 1 to ``MAX_TTL``.

Source: the public protocol of Momento, https://github.com/momentohq/client_protos.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import repeat
from typing import Any, ClassVar, Generic, TypeVar

from ..exceptions import ServerError
from ..redaction import quote

T = TypeVar("T")

# The size of an item is that of its key and its value together.
MAX_ITEM_BYTES = 5 * 1024 * 1024

# The SDKs allow messages of this size, in both directions.
MAX_MESSAGE_BYTES = 5_243_000

# Seconds that a control call may take. It is the SDK's own deadline for such a call.
CONTROL_TIMEOUT = 60.0

# Milliseconds: a thousand years. The SDK's timedelta ends before the 64 bits of the protocol do.
MAX_TTL = 1000 * 365 * 24 * 60 * 60 * 1000


class Struct:
    """An immutable value with named fields, equal to another of its class with equal fields.

    Written out, because generating dataclasses would slow the first cache call of a process, and frozen
    dataclasses would slow every call.
    """

    __slots__: ClassVar[tuple[str, ...]] = ()

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash((type(self), *self._fields()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._fields()!r}"


class Call(Struct, Generic[T]):
    """A call on one cache that returns a ``T``. The class is named as its RPC, unless ``rpc`` differs."""

    __slots__ = ()

    rpc: ClassVar[str]
    # Whether the call goes to the control plane. Such a request names the cache itself.
    control: ClassVar[bool] = False
    streamed: ClassVar[bool] = False
    # Momento's SDKs retry a call after UNAVAILABLE or INTERNAL only if sending it twice changes nothing.
    retryable: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if "rpc" not in cls.__dict__:
            cls.rpc = cls.__name__

    def request(self, pb: Any) -> Any:
        """Return the protobuf request."""
        raise NotImplementedError

    def parse(self, response: Any, pb: Any) -> T:
        """Return the result of a protobuf response, or of the list of responses if ``streamed``.

        Raises ServerError if the protocol does not allow such a response.
        """
        raise NotImplementedError


def _hit(response: Any, pb: Any) -> bytes | None:
    if response.result == pb.Hit:
        return bytes(response.cache_body)
    if response.result == pb.Miss:
        return None
    raise ServerError(f"Momento sent neither a hit nor a miss: {quote(response.message or response.result)}.")


class Get(Call[bytes | None]):
    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._GetRequest(cache_key=self.key)

    parse = staticmethod(_hit)


class Set(Call[None]):
    __slots__ = ("key", "ttl", "value")

    def __init__(self, key: bytes, value: bytes, ttl: int) -> None:
        self.key = key
        self.value = value
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._SetRequest(cache_key=self.key, cache_body=self.value, ttl_milliseconds=self.ttl)

    def parse(self, response: Any, pb: Any) -> None:
        return None


class SetIfAbsent(Call[bool]):
    """Store a value if its key is absent, and return whether it was stored."""

    __slots__ = ("key", "ttl", "value")

    rpc: ClassVar[str] = "SetIfNotExists"
    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, value: bytes, ttl: int) -> None:
        self.key = key
        self.value = value
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._SetIfNotExistsRequest(cache_key=self.key, cache_body=self.value, ttl_milliseconds=self.ttl)

    def parse(self, response: Any, pb: Any) -> bool:
        return _oneof(response, "result") == "stored"


class SetIf(Call[bool]):
    """Store a value if a condition holds for the stored one, and return whether it was stored.

    ``condition`` is ``absent``, or one of ``equal``, ``absent_or_equal`` and ``not_equal``, which compare the
    stored value with ``expected``. A missing key is ``not_equal`` to every value.
    """

    __slots__ = ("condition", "expected", "key", "ttl", "value")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, value: bytes, ttl: int, condition: str, expected: bytes = b"") -> None:
        self.key = key
        self.value = value
        self.ttl = ttl
        self.condition = condition
        self.expected = expected

    def request(self, pb: Any) -> Any:
        compared = {} if self.condition == "absent" else {"value_to_check": self.expected}
        return pb._SetIfRequest(
            cache_key=self.key,
            cache_body=self.value,
            ttl_milliseconds=self.ttl,
            **{self.condition: compared},
        )

    def parse(self, response: Any, pb: Any) -> bool:
        return _oneof(response, "result") == "stored"


class Delete(Call[None]):
    """Delete a key. Momento does not say whether the key existed."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._DeleteRequest(cache_key=self.key)

    def parse(self, response: Any, pb: Any) -> None:
        return None


class Increment(Call[int]):
    """Add to an integer and return the sum. A missing key counts as 0. The TTL always becomes ``ttl``."""

    __slots__ = ("amount", "key", "ttl")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, amount: int, ttl: int) -> None:
        self.key = key
        self.amount = amount
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._IncrementRequest(cache_key=self.key, amount=self.amount, ttl_milliseconds=self.ttl)

    def parse(self, response: Any, pb: Any) -> int:
        return int(response.value)


class GetBatch(Call[list[bytes | None]]):
    """Return one value, or None, for each key, in the order of the keys."""

    __slots__ = ("keys",)

    streamed: ClassVar[bool] = True

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self.keys = keys

    def request(self, pb: Any) -> Any:
        return pb._GetBatchRequest(items=[pb._GetRequest(cache_key=key) for key in self.keys])

    def parse(self, response: Iterable[Any], pb: Any) -> list[bytes | None]:
        return _one_each(self.keys, [_hit(item, pb) for item in response])


class SetBatch(Call[list[bool]]):
    """Return for each item, in their order, whether it was stored. ``ttl`` is that of all, or of each one."""

    __slots__ = ("items", "ttl")

    streamed: ClassVar[bool] = True

    def __init__(self, items: tuple[tuple[bytes, bytes], ...], ttl: int | tuple[int, ...]) -> None:
        self.items = items
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        ttls = self.ttl if isinstance(self.ttl, tuple) else repeat(self.ttl)
        return pb._SetBatchRequest(
            items=[
                pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=ttl)
                for (key, value), ttl in zip(self.items, ttls, strict=False)
            ]
        )

    def parse(self, response: Iterable[Any], pb: Any) -> list[bool]:
        return _one_each(self.items, [item.result == pb.Ok for item in response])


class SetBatchOnce(SetBatch):
    """A SetBatch that is sent only once, because a late second arrival would bring back old values."""

    __slots__ = ()

    rpc: ClassVar[str] = "SetBatch"
    retryable: ClassVar[bool] = False

    def _fields(self) -> tuple[Any, ...]:
        return self.items, self.ttl


class KeysExist(Call[list[bool]]):
    __slots__ = ("keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self.keys = keys

    def request(self, pb: Any) -> Any:
        return pb._KeysExistRequest(cache_keys=self.keys)

    def parse(self, response: Any, pb: Any) -> list[bool]:
        return _one_each(self.keys, list(response.exists))


class UpdateTtl(Call[bool]):
    """Overwrite the TTL, and return whether the item exists."""

    __slots__ = ("key", "ttl")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, ttl: int) -> None:
        self.key = key
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._UpdateTtlRequest(cache_key=self.key, overwrite_to_milliseconds=self.ttl)

    def parse(self, response: Any, pb: Any) -> bool:
        return _oneof(response, "result") != "missing"


class ItemGetTtl(Call[int | None]):
    """Return the remaining TTL in milliseconds, or None if there is no item."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._ItemGetTtlRequest(cache_key=self.key)

    def parse(self, response: Any, pb: Any) -> int | None:
        if _oneof(response, "result") == "missing":
            return None
        return int(response.found.remaining_ttl_millis)


class FlushCache(Call[None]):
    """Remove every item of a cache."""

    __slots__ = ("cache",)

    control: ClassVar[bool] = True
    retryable: ClassVar[bool] = False

    def __init__(self, cache: str) -> None:
        self.cache = cache

    def request(self, pb: Any) -> Any:
        return pb._FlushCacheRequest(cache_name=self.cache)

    def parse(self, response: Any, pb: Any) -> None:
        return None


class CreateCache(Struct):
    __slots__ = ()


# Requests that a client sends of its own accord, for a key that is never stored: the first one with a new
# API key, and the probe of a connection after an outage.
WARM_UP = Get(b"\x00django-momento-probe")
PROBE = KeysExist((WARM_UP.key,))

# Every call that our own channel can send.
CALLS: tuple[type[Call[Any]], ...] = (
    Get,
    Set,
    SetIfAbsent,
    SetIf,
    Delete,
    Increment,
    GetBatch,
    SetBatch,
    KeysExist,
    UpdateTtl,
    ItemGetTtl,
    FlushCache,
)

# The first byte of keys that are the package's own, such as those of the versions of tags. No caller's key
# has it, because no text has this byte in UTF-8.
RESERVED = b"\xff"


class Wait:
    """Something that an operation waits for without a call. Its result is that of ``run`` or ``arun``."""

    __slots__ = ()

    def run(self) -> Any:
        """Wait on this thread."""
        raise NotImplementedError

    async def arun(self) -> Any:
        """Wait in this task."""
        raise NotImplementedError


class Recount(Wait):
    """Tells the tally to count keys as missing whose values were found, because they read as misses."""

    __slots__ = ("keys",)

    def __init__(self, keys: int) -> None:
        self.keys = keys

    def run(self) -> None:
        """Do nothing. The client shows each request to the tally."""

    async def arun(self) -> None:
        """See run()."""


# An operation yields one call and receives its result, or its error is thrown in. If it yields a list of
# calls, they are sent together. It then receives a list with a result or an error for each call.
Request = Call[Any] | CreateCache | Wait | list[Call[Any]]
Operation = Generator[Request, Any, T]


def _oneof(response: Any, name: str) -> str:
    field = response.WhichOneof(name)
    if field is None:
        raise ServerError(f"Momento sent a response this version does not know ({type(response).__name__}).")
    return str(field)


def _one_each(items: tuple[Any, ...], results: list[T]) -> list[T]:
    if len(results) != len(items):
        raise ServerError(f"Momento sent {len(results)} results for {len(items)} items.")
    return results
