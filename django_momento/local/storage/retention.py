"""How long items and topics stay: until their TTL has passed, or until memory is short.

All comparison of expiries with the clock, all counting of memory and all eviction happen here. Times are
whole milliseconds on one clock. The callers hold the store's lock.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import OrderedDict
from collections.abc import Callable

from ..clock import Clock, monotonic_ms
from ..limits import NO_LIMITS, Limits
from .collections import Value

ItemsByKey = dict[bytes, "Item"]

DEFAULT_MAX_MEMORY = 256 * 1024 * 1024

# The memory that CPython takes for a small item besides the bytes of key and value: the objects that carry
# them, their entries in the cache's dict and in the order of use, and the expiry.
ITEM_OVERHEAD = 512

# Expiries are only ever added to the heap. If those of items that are gone or rescheduled outnumber the live
# ones by this much, they are removed together.
MAX_STALE_EXPIRIES = 1000


class Entry:
    """Something that takes memory and can be evicted.

    ``size`` is the memory counted for it. ``serial`` is its place in the order of use, or 0 if it has none.
    """

    __slots__ = ("serial", "size")

    def __init__(self) -> None:
        self.size = 0
        self.serial = 0

    def evict(self, retention: Retention) -> None:
        """Release memory. Leave the order of use if there is no more to release."""
        raise NotImplementedError


class Item(Entry):
    """A value under its key. Its serial also tells its present expiry from earlier ones in the heap."""

    __slots__ = ("expires_at", "items", "key", "value")

    def __init__(self, items: ItemsByKey, key: bytes, value: Value) -> None:
        super().__init__()
        self.items = items
        self.key = key
        self.value = value
        self.size = memory_needed(key, value)
        self.expires_at = 0

    def evict(self, retention: Retention) -> None:
        retention.discard(self)


class Retention:
    """Keep the items and topics of all caches within one memory limit. Each cache has its own dict of items.

    ``evict`` is the probability that an item is evicted when it is looked up. ``draw`` returns a number of at
    least 0 and below 1.
    """

    def __init__(
        self,
        clock: Clock = monotonic_ms,
        max_memory: int = DEFAULT_MAX_MEMORY,
        limits: Limits = NO_LIMITS,
        *,
        evict: float = 0.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if max_memory <= 0:
            raise ValueError(f"max_memory must be greater than 0, not {max_memory}")
        if not 0 <= evict <= 1:
            raise ValueError(f"The share of items to evict must be 0 to 1, not {evict:g}")
        self.now = clock
        self.max_memory = max_memory
        self.limits = limits
        self.memory_used = 0
        self._evict = evict
        self._draw = draw
        self._serials = itertools.count(1)
        self._in_use_order: OrderedDict[int, Entry] = OrderedDict()
        self._expiries: list[tuple[int, int]] = []

    def find(self, items: ItemsByKey, key: bytes, now: int) -> Item | None:
        """Return the live item under a key. This counts as a use of the item."""
        item = items.get(key)
        if item is None:
            return None
        if item.expires_at <= now or (self._evict and self._draw() < self._evict):
            self.discard(item)
            return None
        self._in_use_order.move_to_end(item.serial)
        return item

    def keep(self, items: ItemsByKey, key: bytes, value: Value, ttl: int) -> None:
        """Store a value under a key in place of the present one.

        If the value alone needs more than all memory, it is not stored, and no other item is evicted for it.
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
        """Count an item again after its value has grown or shrunk.

        Discard it if it alone exceeds the memory.
        """
        size = memory_needed(item.key, item.value)
        if size > self.max_memory:
            self.discard(item)
        else:
            self.resize(item, size)

    def resize(self, entry: Entry, size: int) -> None:
        """Count so many bytes for an entry from now on, and evict others if memory is short."""
        self.count(entry, size)
        self._make_room()

    def count(self, entry: Entry, size: int) -> None:
        """Count so many bytes for an entry from now on, and evict nothing."""
        self.memory_used += size - entry.size
        entry.size = size

    def use(self, entry: Entry) -> None:
        """Make an entry the last to be evicted."""
        if not entry.serial:
            entry.serial = next(self._serials)
            self._in_use_order[entry.serial] = entry
        self._in_use_order.move_to_end(entry.serial)

    def protect(self, entry: Entry) -> None:
        """Exempt an entry from eviction until its next use."""
        self._in_use_order.pop(entry.serial, None)
        entry.serial = 0

    def reschedule(self, item: Item, ttl: int) -> None:
        self._unschedule(item)
        self._schedule(item, ttl)

    def discard(self, item: Item) -> None:
        self._unschedule(item)
        del item.items[item.key]
        self.memory_used -= item.size

    def drop_expired(self, limit: int) -> int:
        """Handle at most ``limit`` expiries that have passed, and return how many were handled."""
        now = self.now()
        handled = 0
        while handled < limit and self._expiries and self._expiries[0][0] <= now:
            _, serial = heapq.heappop(self._expiries)
            if isinstance(item := self._in_use_order.get(serial), Item):
                self.discard(item)
            handled += 1
        return handled

    def _make_room(self) -> None:
        while self.memory_used > self.max_memory and self._in_use_order:
            if not self.drop_expired(limit=1):
                next(iter(self._in_use_order.values())).evict(self)

    def _schedule(self, item: Item, ttl: int) -> None:
        item.expires_at = expires_at = self.now() + min(ttl, self.limits.max_ttl)
        item.serial = next(self._serials)
        self._in_use_order[item.serial] = item
        heapq.heappush(self._expiries, (expires_at, item.serial))

    def _unschedule(self, item: Item) -> None:
        del self._in_use_order[item.serial]
        if len(self._expiries) > 2 * len(self._in_use_order) + MAX_STALE_EXPIRIES:
            live = (item for item in self._in_use_order.values() if isinstance(item, Item))
            self._expiries = [(item.expires_at, item.serial) for item in live]
            heapq.heapify(self._expiries)


def memory_needed(key: bytes, value: Value) -> int:
    return len(key) + (len(value) if isinstance(value, bytes) else value.size) + ITEM_OVERHEAD
