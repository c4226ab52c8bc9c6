"""Each verb of Django's cache once, as a generator that yields Momento's calls and returns the answer.

Nothing here knows how a call is sent; ``wire.Steps`` says what may be yielded. Keys and values are bytes;
a ``ttl`` is in whole milliseconds, and 0 means already expired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import index
from time import monotonic
from typing import Any, TypeVar

from ..codec.codec import INTEGER_RANGE
from ..exceptions import FailedPrecondition, InvalidArgument, MomentoCacheError, ServerError, ValueTooLarge
from .calls import (
    MAX_ITEM_BYTES,
    CreateCache,
    Delete,
    FlushCache,
    Get,
    GetBatch,
    Increment,
    ItemGetTtl,
    KeysExist,
    Operation,
    Set,
    SetBatch,
    SetIfAbsent,
    UpdateTtl,
)

T = TypeVar("T")

# A chunk is one message, which may not be larger than an item may be, and one deadline for all of it.
BATCH_KEYS = 1000
BATCH_BYTES = 4 * 1024 * 1024
# What protobuf adds to a key and a value in a message, generously.
FRAMING_BYTES = 32
# Calls that are sent together: Momento serves 100 at a time on one connection.
TOGETHER = 64
STREAMS_TOGETHER = 8


def get(key: bytes) -> Operation[bytes | None]:
    value: bytes | None = yield Get(key)
    return value


def set(key: bytes, value: bytes, ttl: int) -> Operation[None]:  # noqa: A001 - Django's name for it
    if ttl <= 0:
        yield Delete(key)
        return
    _check_size(key, value)
    yield Set(key, value, ttl)


def add(key: bytes, value: bytes, ttl: int) -> Operation[bool]:
    """Answer whether the key was absent; store nothing if ``ttl`` is already over."""
    if ttl <= 0:
        return not (yield from has_key(key))
    _check_size(key, value)
    stored: bool = yield SetIfAbsent(key, value, ttl)
    return stored


def touch(key: bytes, ttl: int) -> Operation[bool]:
    if ttl <= 0:
        return (yield from delete(key))
    found: bool = yield UpdateTtl(key, ttl)
    return found


def delete(key: bytes) -> Operation[bool]:
    """Answer whether there was something to delete, which Momento's own Delete does not say."""
    (found,) = yield KeysExist((key,))
    # Sent even if nothing was found: reads are eventually consistent, and a value just written must go too.
    yield Delete(key)
    return bool(found)


def has_key(key: bytes) -> Operation[bool]:
    (found,) = yield KeysExist((key,))
    return bool(found)


def incr(key: bytes, delta: int) -> Operation[int | None]:
    """Add to an integer and leave its expiry where it was; answer None if there is no such key.

    Raises TypeError if the value is not an integer, OverflowError if the sum has more than 64 bits.
    """
    # An exact int, because of any other a range looks at every number it has.
    delta = index(delta)
    if delta not in INTEGER_RANGE:
        raise OverflowError("delta does not fit Momento's 64-bit integers.")
    asked_at = monotonic()
    remaining = yield ItemGetTtl(key)
    if remaining is None:
        return None
    # Increment overwrites the expiry. What passed since the question is subtracted from the answer: without
    # that every call would move the expiry by a round trip, and a busy rate limit would never end.
    elapsed = round((monotonic() - asked_at) * 1000)
    try:
        total: int = yield Increment(key, delta, max(1, remaining - elapsed))
    except (FailedPrecondition, InvalidArgument) as error:
        # Momento does not document which status means which: the value itself tells.
        stored = yield Get(key)
        if stored is not None and not stored.removeprefix(b"-").isdigit():
            raise TypeError("The value is not an integer that can be incremented.") from error
        if stored is not None and int(stored) + delta not in INTEGER_RANGE:
            raise OverflowError("The sum does not fit Momento's 64-bit integers.") from error
        raise
    return total


def get_many(keys: Sequence[bytes]) -> Operation[dict[bytes, bytes]]:
    """Answer what was found. Each key is asked for once, however often it is named."""
    keys = list(dict.fromkeys(keys))
    if len(keys) == 1:
        value = yield Get(keys[0])
        return {} if value is None else {keys[0]: value}
    found: dict[bytes, bytes] = {}
    chunks = list(_chunks(keys, len))
    for some in _groups(chunks, STREAMS_TOGETHER):
        outcomes = yield [GetBatch(chunk) for chunk in some]
        for chunk, values in zip(some, _all_or_raise(outcomes), strict=True):
            found.update((key, value) for key, value in zip(chunk, values, strict=True) if value is not None)
    return found


def set_many(items: Mapping[bytes, bytes], ttl: int) -> Operation[dict[bytes, MomentoCacheError]]:
    """Answer the keys that could not be stored, each with its error. Raises only if nothing was stored."""
    if ttl <= 0:
        yield from delete_many(list(items))
        return {}
    failed: dict[bytes, MomentoCacheError] = {}
    sendable = []
    for key, value in items.items():
        try:
            _check_size(key, value)
        except ValueTooLarge as error:
            failed[key] = error
        else:
            sendable.append((key, value))
    for some in _groups(list(_chunks(sendable, _item_bytes)), STREAMS_TOGETHER):
        outcomes = yield [SetBatch(chunk, ttl) for chunk in some]
        for chunk, outcome in zip(some, outcomes, strict=True):
            failed.update(_failures(chunk, outcome))
    if sendable and len(failed) == len(items):
        raise failed[sendable[0][0]]
    return failed


def delete_many(keys: Sequence[bytes]) -> Operation[None]:
    errors = []
    for some in _groups(list(dict.fromkeys(keys)), TOGETHER):
        outcomes = yield [Delete(key) for key in some]
        errors += [outcome for outcome in outcomes if isinstance(outcome, MomentoCacheError)]
    if errors:
        raise errors[0]


def incr_version(key: bytes, new_key: bytes, recode: Callable[[bytes], bytes | None]) -> Operation[bool]:
    """Move a value to another key with the time it has left; answer whether there was one.

    ``recode`` turns what is stored under ``key`` into what belongs under ``new_key``, because a stored
    value is bound to its key; None means that it cannot be read, which counts as missing.
    """
    stored = yield Get(key)
    value = None if stored is None else recode(stored)
    remaining = None if value is None else (yield ItemGetTtl(key))
    if value is None or remaining is None:
        return False
    yield from set(new_key, value, max(1, remaining))
    yield Delete(key)
    return True


def clear(cache: str) -> Operation[None]:
    yield FlushCache(cache)


def create() -> Operation[bool]:
    """Create the cache; answer False if there is one of that name already."""
    created: bool = yield CreateCache()
    return created


def _check_size(key: bytes, value: bytes) -> None:
    size = len(key) + len(value)
    if size > MAX_ITEM_BYTES:
        raise ValueTooLarge(
            f"The value for key {key.decode(errors='replace')!r} takes {size:,} bytes with its key; "
            f"Momento stores at most {MAX_ITEM_BYTES:,}.",
            "Cache less under one key, or split it over several.",
        )


def _item_bytes(item: tuple[bytes, bytes]) -> int:
    return len(item[0]) + len(item[1])


def _chunks(items: Iterable[T], size: Callable[[T], int]) -> Iterator[tuple[T, ...]]:
    """Cut into chunks that one message can carry, by count and by size."""
    chunk: list[T] = []
    total = 0
    for item in items:
        added = size(item) + FRAMING_BYTES
        if chunk and (len(chunk) == BATCH_KEYS or total + added > BATCH_BYTES):
            yield tuple(chunk)
            chunk, total = [], 0
        chunk.append(item)
        total += added
    if chunk:
        yield tuple(chunk)


def _groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _all_or_raise(outcomes: list[Any]) -> list[Any]:
    for outcome in outcomes:
        if isinstance(outcome, MomentoCacheError):
            raise outcome
    return outcomes


def _failures(
    chunk: tuple[tuple[bytes, bytes], ...], outcome: list[bool] | MomentoCacheError
) -> dict[bytes, MomentoCacheError]:
    if isinstance(outcome, MomentoCacheError):
        return {key: outcome for key, _ in chunk}
    refused = ServerError("Momento did not store it, and did not say why.")
    return {key: refused for (key, _), stored in zip(chunk, outcome, strict=True) if not stored}
