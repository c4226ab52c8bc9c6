"""What a request must bring before it touches the store.

Each check raises ``InvalidArgument`` or ``ItemTooLarge`` with a text that names the argument as the
protocol does. The SDKs check most of this before sending; a client written on the bare stubs may not.
Nothing here looks at stored items.
"""

from __future__ import annotations

import math

from django_momento.local.errors import InvalidArgument, ItemTooLarge

MAX_ITEM_SIZE = 5 * 1024 * 1024


def require_cache_name(name: str, argument: str) -> str:
    if not name:
        raise InvalidArgument(f"{argument} must not be empty: it names the cache")
    return name


def require_key(key: bytes, argument: str = "cache_key") -> bytes:
    if not key:
        raise InvalidArgument(f"{argument} must not be empty")
    return key


def require_ttl(ttl: int, argument: str = "ttl_milliseconds") -> int:
    # The wire type is unsigned: zero is all that is left to refuse.
    if ttl == 0:
        raise InvalidArgument(f"{argument} must be greater than 0")
    return ttl


def require_score(score: float) -> float:
    # Infinities have their place in the order; what is no number has none.
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
