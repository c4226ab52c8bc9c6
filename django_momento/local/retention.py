"""How long items stay: until their TTL has passed, or until memory is needed and they were used longest ago.

The only place that compares an expiry with the clock, counts memory or evicts. Times are whole
milliseconds on one clock. It knows neither cache names nor gRPC, and it takes no lock: the store does.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable

from django_momento.local.limits import NO_LIMITS, Limits
from django_momento.local.values import Value

Clock = Callable[[], int]
ItemsByKey = dict[bytes, "Item"]

DEFAULT_MAX_MEMORY = 256 * 1024 * 1024

# What CPython spends on one small item besides the bytes of key and value: the objects that carry them,
# their entries in the cache's dict and in the recency order, and the expiry.
ITEM_OVERHEAD = 512

# Expiries are only ever added to the heap; those of items gone or rescheduled are cleared out together
# once they outnumber the live ones by this much.
STALE_EXPIRIES = 1000


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Item:
    """A value under its key.

    `size` is the memory counted for it; `serial` tells its present expiry from earlier ones in the heap.
    """

    __slots__ = ("expires_at", "items", "key", "serial", "size", "value")

    def __init__(self, items: ItemsByKey, key: bytes, value: Value) -> None:
        self.items = items
        self.key = key
        self.value = value
        self.size = memory_needed(key, value)
        self.expires_at = 0
        self.serial = 0


class Retention:
    """Keeps the items of all caches within one memory limit; each cache brings its own dict of them."""

    def __init__(
        self,
        clock: Clock = monotonic_ms,
        max_memory: int = DEFAULT_MAX_MEMORY,
        limits: Limits = NO_LIMITS,
    ) -> None:
        if max_memory <= 0:
            raise ValueError(f"max_memory must be greater than 0, not {max_memory}")
        self.now = clock
        self.max_memory = max_memory
        self.limits = limits
        self.memory_used = 0
        self._serials = itertools.count(1)
        self._recency: OrderedDict[int, Item] = OrderedDict()
        self._expiries: list[tuple[int, int]] = []

    def find(self, items: ItemsByKey, key: bytes, now: int) -> Item | None:
        """Return the live item under a key; asking for it counts as using it."""
        item = items.get(key)
        if item is None:
            return None
        if item.expires_at <= now:
            self.discard(item)
            return None
        self._recency.move_to_end(item.serial)
        return item

    def keep(self, items: ItemsByKey, key: bytes, value: Value, ttl: int) -> None:
        """Put a value under a key, in place of what was there.

        A value that could not stay even alone is gone at once, not after it has driven out all others.
        """
        if (previous := items.get(key)) is not None:
            self.discard(previous)
        item = Item(items, key, value)
        if item.size > self.max_memory:
            return
        items[key] = item
        self.memory_used += item.size
        self._schedule(item, ttl)
        self._make_room()

    def recount(self, item: Item) -> None:
        """Count an item again whose value has grown or shrunk; it goes if it could not stay even alone."""
        size = memory_needed(item.key, item.value)
        if size > self.max_memory:
            self.discard(item)
            return
        self.memory_used += size - item.size
        item.size = size
        self._make_room()

    def reschedule(self, item: Item, ttl: int) -> None:
        self._unschedule(item)
        self._schedule(item, ttl)

    def discard(self, item: Item) -> None:
        self._unschedule(item)
        del item.items[item.key]
        self.memory_used -= item.size

    def drop_expired(self, limit: int) -> int:
        """Let go of what has expired, at most `limit` expiries at a time; return how many were dealt with."""
        now = self.now()
        dealt_with = 0
        while dealt_with < limit and self._expiries and self._expiries[0][0] <= now:
            _, serial = heapq.heappop(self._expiries)
            if (item := self._recency.get(serial)) is not None:
                self.discard(item)
            dealt_with += 1
        return dealt_with

    def _make_room(self) -> None:
        while self.memory_used > self.max_memory:
            if not self.drop_expired(limit=1):
                self.discard(next(iter(self._recency.values())))

    def _schedule(self, item: Item, ttl: int) -> None:
        item.expires_at = expires_at = self.now() + min(ttl, self.limits.max_ttl)
        item.serial = next(self._serials)
        self._recency[item.serial] = item
        heapq.heappush(self._expiries, (expires_at, item.serial))

    def _unschedule(self, item: Item) -> None:
        del self._recency[item.serial]
        if len(self._expiries) > 2 * len(self._recency) + STALE_EXPIRIES:
            self._expiries = [(live.expires_at, serial) for serial, live in self._recency.items()]
            heapq.heapify(self._expiries)


def memory_needed(key: bytes, value: Value) -> int:
    return len(key) + (len(value) if isinstance(value, bytes) else value.size) + ITEM_OVERHEAD
