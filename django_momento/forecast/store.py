"""A store in simulated time: the local server's retention, with sizes in place of values."""

from __future__ import annotations

from ..local.limits import ON_DEMAND, Limits
from ..local.storage.retention import ITEM_OVERHEAD, Item, ItemsByKey, Retention
from ..policies.timeouts import to_milliseconds

# On demand, Momento keeps so many bytes of items in a region.
DEFAULT_STORAGE = 100 * 1024 * 1024
# Milliseconds. Another second of a clock that is exact to a few of them decides nothing.
CLOCK_ERROR = 10

FOREVER = float("inf")


class Stored:
    """An item without its content.

    ``ends`` is the time at which the cache of the trace has dropped it, as the timeout of the write says.
    An item is ``assumed`` if the trace shows only that it
    was there, so that its end is not known.
    """

    __slots__ = (
        *("assumed", "bytes", "ends", "is_deleted", "packed_bytes", "serial", "size", "timeout", "took"),
        "written_at",
    )

    def __init__(
        self, size: int, packed_size: int, key_length: int, timeout: float | None, written_at: int, took: int
    ) -> None:
        self.bytes = size
        self.packed_bytes = packed_size
        # Retention adds the memory that the local server takes besides, which Momento does not count.
        self.size = size - key_length - ITEM_OVERHEAD
        self.timeout = timeout
        self.written_at = written_at
        self.took = took
        self.ends = FOREVER if timeout is None else written_at + timeout * 1000
        self.assumed = False
        self.is_deleted = False
        self.serial = 0

    def may_be_missing(self, time: int, took: int) -> bool:
        """Return whether a read at this time may have come before the write, or after the end."""
        return time <= self.written_at + self.took + CLOCK_ERROR or time + took >= self.ends - CLOCK_ERROR

    def may_be_present(self, time: int) -> bool:
        """Return whether a read at this time, shortly after the end, may still have found the item."""
        return time <= self.ends + self.took + CLOCK_ERROR


class SimulatedStore:
    """The items at Momento while a trace is replayed. ``now`` is the time of the present event in ms."""

    def __init__(self, max_ttl: float, storage: int) -> None:
        self.now = 0
        self.max_ttl = max_ttl
        limits = Limits(max_ttl=round(self.max_ttl * 1000), max_element_size=ON_DEMAND.max_element_size)
        self._retention = Retention(lambda: self.now, storage, limits)
        self._items: ItemsByKey = {}
        self._serial = 0
        self.believed: dict[bytes, Stored] = {}
        """For each key the last item that the cache of the trace has got, also if Momento has lost it."""

    @property
    def bytes_stored(self) -> int:
        """The bytes of all items."""
        return self._retention.memory_used

    def find(self, key: bytes) -> Stored | None:
        """Return the live item under a key."""
        item = self._retention.find(self._items, key, self.now)
        return None if item is None else item.value  # type: ignore[return-value]  # Stored has a size

    def put(self, key: bytes, stored: Stored) -> None:
        """Store an item for its timeout."""
        self._serial += 1
        stored.serial = self._serial
        self.believed[key] = stored
        ttl = to_milliseconds(stored.timeout, self.max_ttl)
        self._retention.keep(self._items, key, stored, ttl)  # type: ignore[arg-type]  # Stored has a size

    def refuse(self, key: bytes, stored: Stored) -> None:
        """Store nothing, because the item is too large. The cache of the trace has stored it."""
        self.discard(key)
        self.believed[key] = stored

    def touch(self, key: bytes, timeout: float | None) -> None:
        """Let an item end so many seconds from now."""
        item = self._items.get(key)
        if item is not None:
            stored: Stored = item.value  # type: ignore[assignment]  # put() stores no other
            stored.timeout, stored.written_at = timeout, self.now
            stored.ends = FOREVER if timeout is None else self.now + timeout * 1000
            stored.assumed = False
            self._retention.reschedule(item, to_milliseconds(timeout, self.max_ttl))

    def lose(self, key: bytes) -> None:
        """Drop an item. It is not known to be deleted."""
        item: Item | None = self._items.get(key)
        if item is not None:
            self._retention.discard(item)

    def discard(self, key: bytes) -> None:
        """Drop an item, because the trace has deleted it."""
        self.lose(key)
        if (believed := self.believed.get(key)) is not None:
            believed.ends = self.now - 1 if believed.ends > self.now else believed.ends
            believed.took = 0
            believed.is_deleted = True

    def clear(self) -> None:
        """Drop all items."""
        for key in list(self._items):
            self.discard(key)

    def drop_expired(self) -> None:
        """Free the bytes of items that have ended."""
        self._retention.drop_expired(limit=1_000_000)
