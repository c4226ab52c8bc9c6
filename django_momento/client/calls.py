"""Momento's calls as values: each knows its request, what its answer means, and whether it may be repeated.

Pure protocol: nothing here sends anything. The message classes (``cacheclient_pb2``, as ``pb``) are handed
in by whoever sends, so that importing this module imports neither protobuf nor grpc. Keys and values are
bytes; every TTL is in whole milliseconds, at least 1.

Source: the public protocol of Momento, https://github.com/momentohq/client_protos.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, ClassVar, Generic, TypeVar

from ..exceptions import ServerError

T = TypeVar("T")

# An item is key and value together; a message, what the SDKs allow either way on a channel.
MAX_ITEM_BYTES = 5 * 1024 * 1024
MAX_MESSAGE_BYTES = 5_243_000


class Struct:
    """Something with fields and no more, which nobody changes: equal to another with equal fields.

    Written out because a process pays for the classes that a dataclass generates with its first cache call,
    and for frozen ones again with every call.
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
    """A call on one cache, answered by a ``T``. The class is named as its RPC, unless ``rpc`` differs."""

    __slots__ = ()

    rpc: ClassVar[str]
    # Whether it goes to the control plane, whose messages name the cache themselves.
    control: ClassVar[bool] = False
    streamed: ClassVar[bool] = False
    # Momento's SDKs repeat a call after UNAVAILABLE or INTERNAL only where doing it twice changes nothing.
    retryable: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if "rpc" not in cls.__dict__:
            cls.rpc = cls.__name__

    def request(self, pb: Any) -> Any:
        """Build the protobuf request."""
        raise NotImplementedError

    def answer(self, response: Any, pb: Any) -> T:
        """Read the protobuf response, or the list of them if ``streamed``."""
        raise NotImplementedError


class Get(Call[bytes | None]):
    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._GetRequest(cache_key=self.key)

    def answer(self, response: Any, pb: Any) -> bytes | None:
        return _hit(response, pb)


class Set(Call[None]):
    __slots__ = ("key", "ttl", "value")

    def __init__(self, key: bytes, value: bytes, ttl: int) -> None:
        self.key = key
        self.value = value
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._SetRequest(cache_key=self.key, cache_body=self.value, ttl_milliseconds=self.ttl)

    def answer(self, response: Any, pb: Any) -> None:
        return None


class SetIfAbsent(Call[bool]):
    """Answers whether the value was stored."""

    __slots__ = ("key", "ttl", "value")

    rpc: ClassVar[str] = "SetIfNotExists"
    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, value: bytes, ttl: int) -> None:
        self.key = key
        self.value = value
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._SetIfNotExistsRequest(cache_key=self.key, cache_body=self.value, ttl_milliseconds=self.ttl)

    def answer(self, response: Any, pb: Any) -> bool:
        return _arm(response, "result") == "stored"


class Delete(Call[None]):
    """Deletes a key, or does nothing if there is none: Momento does not say which."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._DeleteRequest(cache_key=self.key)

    def answer(self, response: Any, pb: Any) -> None:
        return None


class Increment(Call[int]):
    """Adds to an integer and answers the sum. A missing key counts as 0; the TTL always becomes ``ttl``."""

    __slots__ = ("amount", "key", "ttl")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, amount: int, ttl: int) -> None:
        self.key = key
        self.amount = amount
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._IncrementRequest(cache_key=self.key, amount=self.amount, ttl_milliseconds=self.ttl)

    def answer(self, response: Any, pb: Any) -> int:
        return int(response.value)


class GetBatch(Call[list[bytes | None]]):
    """Answers one value, or None, for each key, in their order."""

    __slots__ = ("keys",)

    streamed: ClassVar[bool] = True

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self.keys = keys

    def request(self, pb: Any) -> Any:
        return pb._GetBatchRequest(items=[pb._GetRequest(cache_key=key) for key in self.keys])

    def answer(self, response: Iterable[Any], pb: Any) -> list[bytes | None]:
        return _one_each(self.keys, [_hit(item, pb) for item in response])


class SetBatch(Call[list[bool]]):
    """Answers for each item, in their order, whether it was stored."""

    __slots__ = ("items", "ttl")

    streamed: ClassVar[bool] = True

    def __init__(self, items: tuple[tuple[bytes, bytes], ...], ttl: int) -> None:
        self.items = items
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._SetBatchRequest(
            items=[
                pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=self.ttl)
                for key, value in self.items
            ]
        )

    def answer(self, response: Iterable[Any], pb: Any) -> list[bool]:
        return _one_each(self.items, [item.result == pb.Ok for item in response])


class KeysExist(Call[list[bool]]):
    __slots__ = ("keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self.keys = keys

    def request(self, pb: Any) -> Any:
        return pb._KeysExistRequest(cache_keys=self.keys)

    def answer(self, response: Any, pb: Any) -> list[bool]:
        return _one_each(self.keys, list(response.exists))


class UpdateTtl(Call[bool]):
    """Overwrites the TTL and answers whether there was an item to do it to."""

    __slots__ = ("key", "ttl")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, ttl: int) -> None:
        self.key = key
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._UpdateTtlRequest(cache_key=self.key, overwrite_to_milliseconds=self.ttl)

    def answer(self, response: Any, pb: Any) -> bool:
        return _arm(response, "result") != "missing"


class ItemGetTtl(Call[int | None]):
    """Answers the remaining TTL in milliseconds, or None if there is no item."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def request(self, pb: Any) -> Any:
        return pb._ItemGetTtlRequest(cache_key=self.key)

    def answer(self, response: Any, pb: Any) -> int | None:
        if _arm(response, "result") == "missing":
            return None
        return int(response.found.remaining_ttl_millis)


class FlushCache(Call[None]):
    """Removes every item of a cache."""

    __slots__ = ("cache",)

    control: ClassVar[bool] = True
    retryable: ClassVar[bool] = False

    def __init__(self, cache: str) -> None:
        self.cache = cache

    def request(self, pb: Any) -> Any:
        return pb._FlushCacheRequest(cache_name=self.cache)

    def answer(self, response: Any, pb: Any) -> None:
        return None


class CreateCache(Struct):
    __slots__ = ()


# Every call that our own channel can send.
CALLS: tuple[type[Call[Any]], ...] = (
    Get,
    Set,
    SetIfAbsent,
    Delete,
    Increment,
    GetBatch,
    SetBatch,
    KeysExist,
    UpdateTtl,
    ItemGetTtl,
    FlushCache,
)

# What an operation yields: one call, answered by its answer or by its error thrown in; or a list of calls to
# be sent together, answered by a list with an error in the place of each call that failed.
Request = Call[Any] | CreateCache | list[Call[Any]]
Operation = Generator[Request, Any, T]


def _hit(response: Any, pb: Any) -> bytes | None:
    if response.result == pb.Hit:
        return bytes(response.cache_body)
    if response.result == pb.Miss:
        return None
    raise ServerError(f"Momento answered neither hit nor miss: {response.message or response.result}.")


def _arm(response: Any, oneof: str) -> str:
    arm = response.WhichOneof(oneof)
    if arm is None:
        raise ServerError(f"Momento sent an answer this version does not know ({type(response).__name__}).")
    return str(arm)


def _one_each(asked: tuple[Any, ...], answers: list[T]) -> list[T]:
    if len(answers) != len(asked):
        raise ServerError(f"Momento answered {len(answers)} of {len(asked)} items.")
    return answers
