"""Each verb of Django's cache, as a generator that yields Momento's calls and returns the result.

``Client.run`` and ``Client.arun`` send the calls. ``calls.Operation`` says what a generator may yield. Keys
and values are bytes. A ``ttl`` is in whole milliseconds, and 0 means already expired.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import index
from typing import Any, TypeVar

from ..clock import monotonic
from ..codec.attributes import Attributed
from ..codec.codec import INTEGER_RANGE
from ..exceptions import (
    FailedPrecondition,
    InvalidArgument,
    LimitExceeded,
    MomentoCacheError,
    NotPermitted,
    ServerError,
    ValueTooLarge,
)
from ..redaction import quote
from .calls import (
    MAX_ITEM_BYTES,
    MAX_TTL,
    CreateCache,
    Delete,
    FlushCache,
    Get,
    GetBatch,
    Increment,
    ItemGetTtl,
    KeysExist,
    Operation,
    Recount,
    Set,
    SetBatch,
    SetIfAbsent,
    UpdateTtl,
)

T = TypeVar("T")

# Stands for a value that was found and reads as a miss.
_MISS: Any = object()

# A chunk is one message with one deadline. Its limits are those of an item.
MAX_CHUNK_KEYS = 1000
MAX_CHUNK_BYTES = 4 * 1024 * 1024
# An upper bound of the bytes that protobuf adds to a key and a value in a message.
FRAMING_BYTES = 32
# Calls that are sent together. Momento serves 100 at a time on one connection.
MAX_CONCURRENT_CALLS = 64
MAX_CONCURRENT_STREAMS = 8
# Keys of a chunk that failed as a whole which are asked for again, each alone.
MAX_SINGLE_CALLS = 64

# A chunk that fails with one of these may fail because of one key: an item of another type or size, a key
# that the API key does not cover, or a response that cannot be read.
_ERRORS_OF_ONE_KEY = (FailedPrecondition, InvalidArgument, NotPermitted, ServerError, ValueTooLarge)
# So it may with these limits, which a smaller call does not hit. The others are limits of a second.
_LIMITS_OF_SIZE = ("element size", "item size", "request size")


def get(
    key: bytes,
    decode: Callable[[bytes, bytes, Any], Any] | None = None,
    default: Any = None,
    resolve: Callable[[bytes, Attributed, Any], Operation[Any]] | None = None,
) -> Operation[Any]:
    """Return the value, or ``default`` for a miss.

    ``decode`` takes the key, the stored bytes and the default. Without it, the stored bytes are returned. If
    it returns an Attributed, ``resolve`` makes the value of it, or the default. If it returns its
    own default, the stored bytes count as a miss.
    """
    data = yield Get(key)
    if data is None:
        return default
    if decode is None:
        return data
    value = decode(key, data, _MISS)
    if value is _MISS:
        yield Recount(1)
        return default
    if type(value) is Attributed and resolve is not None:
        value = yield from resolve(key, value, default)
    return value


def set(key: bytes, value: bytes, ttl: int) -> Operation[None]:  # noqa: A001 - Django's name for it
    """Store a value. If ``ttl`` is over or the value is too large, delete the key; raise ValueTooLarge."""
    if ttl <= 0:
        yield Delete(key)
        return
    try:
        _check_size(key, value)
        yield Set(key, value, min(ttl, MAX_TTL))
    except ValueTooLarge:
        # The old value must not be taken for the new one.
        yield from _discard([key])
        raise


def add(key: bytes, value: bytes, ttl: int) -> Operation[bool]:
    """Store a value if the key is absent, and return whether it was. Store nothing if ``ttl`` is over."""
    if ttl <= 0:
        return not (yield from has_key(key))
    _check_size(key, value)
    stored: bool = yield SetIfAbsent(key, value, min(ttl, MAX_TTL))
    return stored


def touch(key: bytes, ttl: int) -> Operation[bool]:
    """Set the time that a key has left, and return whether the key exists. Delete it if ``ttl`` is over."""
    if ttl <= 0:
        return (yield from delete(key))
    found: bool = yield UpdateTtl(key, min(ttl, MAX_TTL))
    return found


def delete(key: bytes) -> Operation[bool]:
    """Delete a key, and return whether it existed. Momento's own Delete does not say that."""
    (found,) = yield KeysExist((key,))
    # Sent even if no key was found. Reads are eventually consistent, and a value just written must go too.
    yield Delete(key)
    return bool(found)


def has_key(key: bytes) -> Operation[bool]:
    """Return whether the key exists."""
    (found,) = yield KeysExist((key,))
    return bool(found)


def ttl(key: bytes) -> Operation[int | None]:
    """Return the milliseconds that a key has left, or None if it is missing."""
    remaining: int | None = yield ItemGetTtl(key)
    return remaining


def incr(key: bytes, delta: int) -> Operation[int | None]:
    """Add to an integer, keep its expiry, and return the sum, or None if there is no such key.

    Raises TypeError if the value is not an integer, OverflowError if the sum has more than 64 bits.
    """
    # An exact int, because a range compares any other number with each of its members.
    delta = index(delta)
    if delta not in INTEGER_RANGE:
        raise OverflowError("delta does not fit Momento's 64-bit integers.")
    started = monotonic()
    remaining = yield ItemGetTtl(key)
    if remaining is None:
        return None
    # Increment overwrites the expiry. The time since the question is subtracted, because otherwise every call
    # would move the expiry by a round trip, and the window of a busy rate limit would not end.
    elapsed = round((monotonic() - started) * 1000)
    try:
        total: int = yield Increment(key, delta, min(max(1, remaining - elapsed), MAX_TTL))
    except (FailedPrecondition, InvalidArgument) as error:
        # Momento does not document which status stands for which reason, so the value decides.
        stored = yield Get(key)
        if stored is not None and not stored.removeprefix(b"-").isdigit():
            raise TypeError("The value is not an integer that can be incremented.") from error
        if stored is not None and int(stored) + delta not in INTEGER_RANGE:
            raise OverflowError("The sum does not fit Momento's 64-bit integers.") from error
        raise
    return total


def get_many(
    keys: Sequence[bytes], ignore: Callable[[MomentoCacheError], object] | None = None
) -> Operation[dict[bytes, bytes]]:
    """Return the values that exist. A key that is named twice is asked for once.

    ``ignore`` is called with the error of a key that fails among others, and the key counts as missing.
    Without it, such an error is raised.
    """
    keys = list(dict.fromkeys(keys))
    if len(keys) == 1:
        value = yield Get(keys[0])
        return {} if value is None else {keys[0]: value}
    found: dict[bytes, bytes] = {}
    chunks = list(chunks_of(keys, len))
    for some in _groups(chunks, MAX_CONCURRENT_STREAMS):
        outcomes = yield [GetBatch(chunk) for chunk in some]
        for chunk, outcome in zip(some, outcomes, strict=True):
            values = outcome
            if isinstance(outcome, MomentoCacheError):
                if ignore is None or not _is_to_split(outcome, chunk):
                    raise outcome
                values = _ignore_some((yield [Get(key) for key in chunk]), ignore)
            found.update((key, value) for key, value in zip(chunk, values, strict=True) if value is not None)
    return found


def set_many(
    items: Mapping[bytes, bytes], ttl: int, shorten: Callable[[int], int] | None = None
) -> Operation[dict[bytes, MomentoCacheError]]:
    """Return the keys that could not be stored, each with its error. Raises only if nothing was stored.

    ``shorten`` returns the TTL of one item, so that the items do not expire together.
    """
    if ttl <= 0:
        yield from delete_many(list(items))
        return {}
    ttl = min(ttl, MAX_TTL)
    failed: dict[bytes, MomentoCacheError] = {}
    sendable = []
    for key, value in items.items():
        try:
            _check_size(key, value)
        except ValueTooLarge as error:
            failed[key] = error
        else:
            sendable.append((key, value))
    for some in _groups(list(chunks_of(sendable, _item_bytes)), MAX_CONCURRENT_STREAMS):
        outcomes = yield [
            SetBatch(chunk, ttl if shorten is None else tuple(shorten(ttl) for _ in chunk)) for chunk in some
        ]
        for chunk, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, MomentoCacheError) and _is_to_split(outcome, chunk):
                stored = yield [Set(key, value, shorten(ttl) if shorten else ttl) for key, value in chunk]
                failed.update(_failures(chunk, stored))
            else:
                failed.update(_failures(chunk, outcome))
    yield from _discard([key for key, error in failed.items() if isinstance(error, ValueTooLarge)])
    if sendable and len(failed) == len(items):
        raise failed[sendable[0][0]]
    return failed


def may_be_of_one_key(error: MomentoCacheError, chunk: Collection[object]) -> bool:
    """Return whether a chunk that failed as a whole is worth sending again, one call for each of its keys."""
    is_of_size = isinstance(error, LimitExceeded) and error.limit in _LIMITS_OF_SIZE
    return 1 < len(chunk) <= MAX_SINGLE_CALLS and (is_of_size or isinstance(error, _ERRORS_OF_ONE_KEY))


def _is_to_split(error: MomentoCacheError, chunk: Collection[object]) -> bool:
    # An internal error was met by each of four attempts already: 64 calls more would help nobody.
    return error.status != "INTERNAL" and may_be_of_one_key(error, chunk)


def delete_many(keys: Sequence[bytes]) -> Operation[None]:
    """Delete every key. Raises the first error after all calls have ended."""
    errors = []
    for some in _groups(list(dict.fromkeys(keys)), MAX_CONCURRENT_CALLS):
        outcomes = yield [Delete(key) for key in some]
        errors += [outcome for outcome in outcomes if isinstance(outcome, MomentoCacheError)]
    if errors:
        raise errors[0]


def _discard(keys: Sequence[bytes]) -> Operation[None]:
    """Delete keys whose new values are too large. The error for the values is raised even if this fails."""
    with suppress(MomentoCacheError):
        yield from delete_many(keys)


def incr_version(key: bytes, new_key: bytes, recode: Callable[[bytes], bytes | None]) -> Operation[bool]:
    """Move a value to another key with the time it has left, and return whether there was a value.

    ``recode`` turns the stored bytes of ``key`` into those of ``new_key``, because a stored value is bound to
    its key. If ``recode`` returns None, the value cannot be read, and counts as missing.
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
    """Remove every item of the cache."""
    yield FlushCache(cache)


def create() -> Operation[bool]:
    """Create the cache, and return whether it was created. Return False if the cache exists."""
    created: bool = yield CreateCache()
    return created


def _check_size(key: bytes, value: bytes) -> None:
    size = len(key) + len(value)
    if size > MAX_ITEM_BYTES:
        raise ValueTooLarge(
            f"The value for key {quote(key)!r} takes {size:,} bytes with its key; "
            f"Momento stores at most {MAX_ITEM_BYTES:,}.",
            "Cache less under one key, or split it over several.",
        )


def _item_bytes(item: tuple[bytes, bytes]) -> int:
    return len(item[0]) + len(item[1])


def chunks_of(
    items: Iterable[T], size: Callable[[T], int], max_items: int = MAX_CHUNK_KEYS
) -> Iterator[tuple[T, ...]]:
    """Yield chunks of at most ``max_items`` items and, but for a larger item, ``MAX_CHUNK_BYTES``."""
    chunk: list[T] = []
    total = 0
    for item in items:
        added = size(item) + FRAMING_BYTES
        if chunk and (len(chunk) == max_items or total + added > MAX_CHUNK_BYTES):
            yield tuple(chunk)
            chunk, total = [], 0
        chunk.append(item)
        total += added
    if chunk:
        yield tuple(chunk)


def _groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _ignore_some(values: list[Any], ignore: Callable[[MomentoCacheError], object]) -> list[Any]:
    """Return values with None in the place of each error. Raises the first one if there is no value."""
    errors = [value for value in values if isinstance(value, MomentoCacheError)]
    if len(errors) == len(values):
        raise errors[0]
    for error in errors:
        ignore(error)
    return [None if isinstance(value, MomentoCacheError) else value for value in values]


def _failures(
    chunk: tuple[tuple[bytes, bytes], ...], outcome: list[Any] | MomentoCacheError
) -> dict[bytes, MomentoCacheError]:
    """Return the keys of a chunk that were not stored. Alone, a key is stored if its call has no error."""
    if isinstance(outcome, MomentoCacheError):
        return {key: outcome for key, _ in chunk}
    failures = {}
    for (key, _), stored in zip(chunk, outcome, strict=True):
        if isinstance(stored, MomentoCacheError):
            failures[key] = stored
        elif stored is False:
            failures[key] = ServerError(f"Momento did not store key {quote(key)!r}, and gave no reason.")
    return failures
