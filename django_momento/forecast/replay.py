"""Replay the events of a trace on a simulated Momento, and count hits and operations.

Each verb costs the operations of the calls that ``client.operations`` sends for it. The trace decides about
hits as long as nothing speaks against it: an item that Momento would cut or evict is a miss there. A value
that the other cache had lost early is a hit.

The site would have acted on another outcome. After a miss in place of a hit, it computes the value and stores
it. After a hit in place of a miss, it does not: the next write of the key in the trace is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..client.calls import MAX_ITEM_BYTES
from ..local.metering import item_operations
from .load import Load
from .sizes import Compression
from .store import DEFAULT_STORAGE, SimulatedStore, Stored
from .totals import MAX_TTL, Totals
from .what_ifs import LongerTimeouts, NearCache, StaleValues

# Milliseconds without an event that are no part of the recording, as between recordings of two days, or if a
# clock was set.
MAX_PAUSE = 24 * 3600 * 1000
# Milliseconds within which a write follows the miss that it is for.
_MAX_COMPUTATION = 60_000


class Replay:
    """One pass of the events on a store. Call ``apply`` for each event in the order of time."""

    def __init__(
        self,
        *,
        sample: float,
        started: int,
        storage: int = DEFAULT_STORAGE,
        near: float = 5,
        stale: float = 60,
    ) -> None:
        # The time of the first second. Each pause is added, so that the seconds have none.
        self._started = started
        # Milliseconds of all pauses.
        self.paused = 0
        # A sample of the keys shares a sample of the memory.
        self.store = SimulatedStore(MAX_TTL, max(1, round(storage * sample)))
        self.store.now = started
        self.totals = Totals(sample)
        self.load = Load()
        self.packed_load = Load()
        self.compression = Compression()
        self.near = NearCache(near)
        self.stale = StaleValues(stale)
        self.longer = LongerTimeouts()
        self._second = 0
        # For each key the time of a hit in place of a miss.
        self._unneeded: dict[bytes, int] = {}
        self._verbs: dict[str, Callable[[str, bytes, list[Any]], None]] = {
            "get": self._read,
            "get_many": self._read,
            "get_or_set": self._read,
            "set": self._write,
            "set_many": self._write,
            "add": self._add,
            "touch": self._touch,
            "delete": self._delete,
            "delete_many": self._delete_many,
            "has_key": self._look,
            "incr": self._incr,
            "incr_version": self._incr_version,
            "clear": self._clear,
        }

    def apply(self, process: str, event: list[Any]) -> None:
        """Replay one event, a list of the fields of ``Event``."""
        time = event[0]
        step = time - self.store.now
        if step > 0:
            self.store.now = time
            if step > MAX_PAUSE:
                self.paused += step
                self._started += step
        second = (time - self._started) // 1000
        if second > self._second:
            self._end_second(second)
        if not event[3]:
            self.totals.count_others(max(second, 0), event)
            return
        apply = self._verbs.get(event[2])
        if apply is not None:
            self.totals.count_event(event)
            apply(process, event[3].encode(), event)

    def finish(self) -> None:
        """Count the last second, which no event has ended."""
        self._end_second(self._second + 1)

    def _end_second(self, second: int) -> None:
        self.store.drop_expired()
        self.totals.count_storage(self.store.bytes_stored, second - self._second)
        self._second = second

    def _charge(self, operations: int, packed: int) -> None:
        self.load.add(self._second, operations)
        self.packed_load.add(self._second, packed)
        self.totals.count_operations(operations, packed)

    def _charge_item(self, stored: Stored) -> None:
        operations = item_operations(stored.bytes)
        self._charge(operations, item_operations(stored.packed_bytes))
        self.totals.count_transfer(operations)

    def _charge_key(self, event: list[Any], times: int = 1) -> None:
        operations = item_operations(event[5]) * times
        self._charge(operations, operations)

    # Reads

    def _read(self, process: str, key: bytes, event: list[Any]) -> None:
        believed = self.store.believed.get(key)
        stored = self._find(key, event, believed)
        time = event[0]
        self.totals.count_read(hit=stored is not None)
        if stored is None:
            operations = item_operations(event[5])
            self._charge(operations, operations)
            self.near.read(process, key, time, self._second, None, operations, operations)
            if believed is not None:
                self._follow_miss(time, believed, operations)
            if event[9] == 1 or event[2] == "get_or_set":
                self._fill(process, key, event, believed)
            return
        operations, packed = item_operations(stored.bytes), item_operations(stored.packed_bytes)
        self._charge(operations, packed)
        self.totals.count_transfer(operations)
        self.near.read(process, key, time, self._second, stored, operations, packed)
        if event[9] == 0 and event[2] != "get_or_set":
            # A hit in place of a miss: the write that follows in the trace is not needed.
            self._unneeded[key] = time

    def _follow_miss(self, time: int, believed: Stored, operations: int) -> None:
        item = item_operations(believed.bytes)
        self.stale.miss(time, self._second, believed, item, operations)
        if believed.ends > time >= believed.written_at + MAX_TTL * 1000:
            self.longer.miss(self._second, operations)

    def _find(self, key: bytes, event: list[Any], believed: Stored | None) -> Stored | None:
        """Return the item that a look finds at Momento, or None for a miss.

        ``believed`` is the last item that the cache of the trace has got.
        """
        time, took, hit = event[0], event[1], event[9]
        store = self.store
        stored = store.find(key)
        if stored is not None:
            if hit == 0 and (stored.assumed or stored.may_be_missing(time, took)):
                store.lose(key)
                return None
            return stored
        if hit != 1:
            return None
        if believed is not None and believed.ends > time:
            return None  # cut, evicted or refused
        if believed is not None and believed.may_be_present(time):
            return believed
        return self._adopt(key, event, believed)

    def _adopt(self, key: bytes, event: list[Any], believed: Stored | None) -> Stored:
        """Take an item for there, because the trace has found it."""
        size = event[6]
        if size is None and believed is not None:
            size = believed.bytes - event[5]
        stored = self._new_item(key, event, size, None)
        stored.assumed = True
        self.store.put(key, stored)
        return stored

    def _fill(self, process: str, key: bytes, event: list[Any], believed: Stored | None) -> None:
        """Store the value that the site computes after a miss."""
        size = event[6]
        if size is None and believed is not None:
            size = believed.bytes - event[5]
        timeout = event[8] if event[2] == "get_or_set" or believed is None else believed.timeout
        self._put(process, key, event, self._new_item(key, event, size, timeout))

    def _new_item(self, key: bytes, event: list[Any], size: int | None, timeout: float | None) -> Stored:
        size, packed = self.compression.sizes(event[4], size, event[7])
        return Stored(event[5] + size, event[5] + packed, len(key), timeout, event[0], event[1])

    def _is_unneeded(self, key: bytes, event: list[Any]) -> bool:
        noted = self._unneeded.pop(key, None)
        return noted is not None and event[0] - noted <= _MAX_COMPUTATION

    # Writes

    def _write(self, process: str, key: bytes, event: list[Any]) -> None:
        if self._is_unneeded(key, event):
            return
        timeout = event[8]
        if timeout is not None and timeout <= 0:
            self._drop(process, key)
            self._charge_key(event)
            return
        self._put(process, key, event, self._new_item(key, event, event[6], timeout))

    def _put(self, process: str, key: bytes, event: list[Any], stored: Stored) -> None:
        """Store an item and count it, or delete the key if the item is too large."""
        self.totals.count_write(stored.bytes, stored.timeout)
        if stored.bytes > MAX_ITEM_BYTES:
            self.store.refuse(key, stored)
            self.near.forget(process, key)
            self._charge_key(event)
            return
        self.store.put(key, stored)
        self._charge_item(stored)
        self.near.write(process, key, event[0], stored)

    def _add(self, process: str, key: bytes, event: list[Any]) -> None:
        if self._is_unneeded(key, event):
            return
        timeout = event[8]
        found = self._find(key, event, self.store.believed.get(key))
        if timeout is not None and timeout <= 0:
            self._charge_key(event)
            return
        stored = self._new_item(key, event, event[6], timeout)
        if found is not None or stored.bytes > MAX_ITEM_BYTES:
            if stored.bytes <= MAX_ITEM_BYTES:
                self._charge_item(stored)
            return
        self._put(process, key, event, stored)

    def _touch(self, process: str, key: bytes, event: list[Any]) -> None:
        found, timeout = self._find(key, event, self.store.believed.get(key)), event[8]
        if timeout is not None and timeout <= 0:
            self._drop(process, key)
            self._charge_key(event, 2)
            return
        if found is not None:
            self.store.touch(key, timeout)
        self._charge_key(event)

    def _incr(self, process: str, key: bytes, event: list[Any]) -> None:
        found = self._find(key, event, self.store.believed.get(key))
        self.near.forget(process, key)
        self._charge_key(event, 1 if found is None else 2)

    def _incr_version(self, process: str, key: bytes, event: list[Any]) -> None:
        found = self._find(key, event, self.store.believed.get(key))
        if found is None:
            self._charge_key(event)
            return
        self._charge_item(found)
        self._charge_item(found)
        self._charge_key(event, 2)
        self._drop(process, key)

    def _look(self, process: str, key: bytes, event: list[Any]) -> None:
        self._find(key, event, self.store.believed.get(key))
        self._charge_key(event)

    def _delete(self, process: str, key: bytes, event: list[Any]) -> None:
        self._drop(process, key)
        self._charge_key(event, 2)

    def _delete_many(self, process: str, key: bytes, event: list[Any]) -> None:
        self._drop(process, key)
        self._charge_key(event)

    def _drop(self, process: str, key: bytes) -> None:
        self.store.discard(key)
        self.near.forget(process, key)
        self._unneeded.pop(key, None)

    def _clear(self, process: str, key: bytes, event: list[Any]) -> None:
        self.store.clear()
        self.near.clear(process)
        self._unneeded.clear()
