"""The limits that Momento sets to a cache, as far as this server can be told to set them.

Plain numbers, and the one place that counts calls against the clock. By default only the size of an item
is limited; ``ON_DEMAND`` is what a new account at Momento has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django_momento.local.errors import ElementTooLarge, TooManyOperations

UNLIMITED = 2**64


class Limits(NamedTuple):
    operations_per_second: int = UNLIMITED
    max_ttl: int = UNLIMITED
    """In milliseconds; longer ones are cut to it without a word, as Momento does."""
    max_element_size: int = UNLIMITED

    def require_element_size(self, *parts: bytes) -> None:
        size = sum(map(len, parts))
        if size > self.max_element_size:
            raise ElementTooLarge(size, self.max_element_size)


NO_LIMITS = Limits()
ON_DEMAND = Limits(operations_per_second=100, max_ttl=24 * 60 * 60 * 1000, max_element_size=128 * 1024)


class RateLimit:
    """Lets so many calls pass in each second, counted from the first of them."""

    def __init__(self, limit: int, clock: Callable[[], int]) -> None:
        if limit <= 0:
            raise ValueError(f"The limit of operations per second must be greater than 0, not {limit}")
        self._limit = limit
        self._clock = clock
        self._second_ends = 0
        self._passed = 0

    def take(self) -> None:
        now = self._clock()
        if now >= self._second_ends:
            self._second_ends, self._passed = now + 1000, 0
        if self._passed >= self._limit:
            raise TooManyOperations(self._limit)
        self._passed += 1
