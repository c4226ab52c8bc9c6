"""The limits that Momento sets to a cache, for the server to set them too.

By default only the size of an item is limited. ``ON_DEMAND`` has the limits of a new account at Momento.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .errors import ElementTooLarge, TooManyOperations

UNLIMITED = 2**64

SECOND = 1000


class Limits(NamedTuple):
    operations_per_second: int = UNLIMITED
    max_ttl: int = UNLIMITED
    """In milliseconds. A longer TTL is cut to it and no error is raised, as Momento does."""
    max_element_size: int = UNLIMITED

    def require_element_size(self, *parts: bytes) -> None:
        size = sum(map(len, parts))
        if size > self.max_element_size:
            raise ElementTooLarge(size, self.max_element_size)


NO_LIMITS = Limits()
ON_DEMAND = Limits(operations_per_second=100, max_ttl=24 * 60 * 60 * 1000, max_element_size=128 * 1024)


class RateLimit:
    """Let at most ``limit`` operations pass in any second.

    The number of operations of a read is known only after it. So a call passes if at least one operation is
    left, and operations beyond the limit are charged to the seconds that follow. ``clock`` returns
    milliseconds.
    """

    def __init__(self, limit: int, clock: Callable[[], int]) -> None:
        if limit <= 0:
            raise ValueError(f"The limit of operations per second must be greater than 0, not {limit}")
        self._limit = limit
        self._clock = clock
        # Pairs of a time and the number of operations charged to it, oldest first. Times may be in the
        # future.
        self._charges: deque[tuple[int, int]] = deque()
        self._charged = 0

    def check(self) -> None:
        """Raise TooManyOperations if no operation is left at this time."""
        now = self._clock()
        while self._charges and self._charges[0][0] + SECOND <= now:
            self._charged -= self._charges.popleft()[1]
        if self._charged >= self._limit:
            raise TooManyOperations(self._limit)

    def charge(self, operations: int) -> None:
        """Charge the operations of a call that has passed ``check``."""
        now = self._clock()
        while operations > 0:
            if free := min(operations, self._limit - self._charged):
                self._append(now, free)
            else:
                # Each operation beyond the limit takes the place of an earlier one, a second after it.
                time, count = self._charges.popleft()
                free = min(operations, count)
                if count > free:
                    self._charges.appendleft((time, count - free))
                self._charged -= free
                self._append(max(now, time + SECOND), free)
            operations -= free

    def _append(self, time: int, count: int) -> None:
        if self._charges and self._charges[-1][0] >= time:
            time, earlier = self._charges.pop()
            self._charges.append((time, earlier + count))
        else:
            self._charges.append((time, count))
        self._charged += count
