"""Check the arguments of a request before it touches the store, and add to stored integers.

Each check returns its argument, or raises ``InvalidArgument`` or ``ItemTooLarge`` with a text that names the
argument as the protocol does. The SDKs check most of this before sending. A client written on the bare stubs
may not.
"""

from __future__ import annotations

import math
import re

from .errors import IncrementOverflow, InvalidArgument, ItemTooLarge, NotAnInteger

MAX_ITEM_SIZE = 5 * 1024 * 1024

# A counter is a signed 64-bit integer in base 10.
INT64 = range(-(2**63), 2**63)
# If there are at most nineteen digits, int() does not reach Python's own limit of digits.
INTEGER = re.compile(rb"-?[0-9]{1,19}")


def require_cache_name(name: str, argument: str) -> str:
    if not name:
        raise InvalidArgument(f"{argument} must not be empty: it names the cache")
    return name


def require_key(key: bytes, argument: str = "cache_key") -> bytes:
    if not key:
        raise InvalidArgument(f"{argument} must not be empty")
    return key


def require_ttl(ttl: int, argument: str = "ttl_milliseconds") -> int:
    # The wire type is unsigned, so that zero is the only value to refuse.
    if ttl == 0:
        raise InvalidArgument(f"{argument} must be greater than 0")
    return ttl


def require_score(score: float) -> float:
    # Infinities can be ordered. NaN cannot.
    if math.isnan(score):
        raise InvalidArgument("score must be a number")
    return score


def require_item_size(key: bytes, value: bytes) -> None:
    size = len(key) + len(value)
    if size > MAX_ITEM_SIZE:
        raise ItemTooLarge(size, MAX_ITEM_SIZE)


def require_item(key: bytes, value: bytes, ttl: int) -> None:
    require_key(key)
    require_ttl(ttl)
    require_item_size(key, value)


def add(stored: bytes | None, amount: int) -> int:
    """Return the sum of a stored counter and an amount. A missing counter is 0.

    Raises NotAnInteger, or IncrementOverflow if the sum does not fit 64 bits.
    """
    total = amount + (0 if stored is None else _parse_integer(stored))
    if total not in INT64:
        raise IncrementOverflow(total)
    return total


def _parse_integer(stored: bytes) -> int:
    if INTEGER.fullmatch(stored) and (number := int(stored)) in INT64:
        return number
    raise NotAnInteger
