"""A bounded memory of stored values, least recently used first to go, for any number of threads.

Each entry has the time at which its value was asked for. A read that was in flight while its key was written
does not enter the memory, because it may have the value from before the write.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from math import inf
from sys import getsizeof
from typing import Any, TypeAlias

from ..clock import monotonic

# The name of the Momento cache and the full key.
Name: TypeAlias = tuple[str, bytes]


class Marker:
    """Stands for a value that is not known."""


# The value exists, and was not fetched.
PRESENT = Marker()
Data: TypeAlias = "bytes | Marker | None"

# Seconds after a write of this process in which a read may still get the value from before it. Replicas lag
# some milliseconds behind, and Momento documents no bound.
REPLICA_SECONDS = 0.2

# Keys whose own writes are remembered for so long, and the bytes that each takes.
MAX_WRITTEN = 10_000
WRITTEN_BYTES = 150

# Bytes of the objects around the key and the value of an entry, measured with tracemalloc. The dict is extra.
ENTRY_BYTES = 275
# The same for a payload that is kept beside the stored bytes.
OPENED_BYTES = 120


class Entry:
    """The value of a key as stored bytes, or None if the key was missing.

    ``seen`` is the time at which the read or the write of the value began, ``until`` the time at which its
    timeout ends, or None if it is not known. Both are in seconds of ``clock.monotonic``. ``opened`` is the
    verified payload for ``codec``.
    """

    __slots__ = ("codec", "data", "opened", "seen", "size", "until")

    def __init__(self, data: Data, seen: float, until: float | None, size: int) -> None:
        self.data = data
        self.seen = seen
        self.until = until
        self.size = size
        self.opened: Any = None
        self.codec: Any = None

    def is_fresh(self, now: float, seconds: float) -> bool:
        """Return whether the value was seen within so many seconds and its timeout has not ended."""
        return now - self.seen < seconds and (self.until is None or now < self.until)


class Reading:
    """A read in flight. The keys in ``outdated`` were written since it began."""

    __slots__ = ("names", "outdated", "started")

    def __init__(self, names: Collection[Name]) -> None:
        self.names = names
        self.started = monotonic()
        self.outdated: set[Name] = set()


class Writing:
    """A write in flight. Of the keys in ``contended``, other writes were in flight at the same time."""

    __slots__ = ("contended", "names", "started")

    def __init__(self, names: Collection[Name]) -> None:
        self.names = names
        self.started = monotonic()
        self.contended: set[Name] = set()


class NearStore:
    """Values by the name of their cache and their key, of at most ``max_bytes`` together."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Name, Entry] = OrderedDict()
        # The times of recent own writes, the oldest first.
        self._written: OrderedDict[Name, float] = OrderedDict()
        self._readings: dict[Name, list[Reading]] = {}
        self._writings: dict[Name, list[Writing]] = {}
        # Reentrant: the handler of a signal may use a cache while its thread is in here.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """The bytes of all keys and values and of the objects around them."""
        return self._bytes + getsizeof(self._entries) + WRITTEN_BYTES * len(self._written)

    @property
    def in_flight(self) -> int:
        """The number of keys that reads and writes in flight are about."""
        return len(self._readings) + len(self._writings)

    def find(self, name: Name) -> Entry | None:
        """Return the entry of a key, however old, as the most recently used one."""
        entry = self._entries.get(name)
        if entry is not None:
            try:  # faster than suppress()
                self._entries.move_to_end(name)
            except KeyError:  # Another thread has dropped it meanwhile.
                return entry
        return entry

    def put(self, name: Name, data: Data, seen: float, until: float | None = None) -> None:
        """Keep a value unless a newer one is known. The least recently used ones make room for it."""
        size = len(name[1]) + ENTRY_BYTES + (len(data) if isinstance(data, bytes) else 0)
        with self._lock:
            known = self._entries.get(name)
            if known is not None and known.seen > seen:
                return
            self._drop(name)
            if size > self.max_bytes:
                return
            self._entries[name] = Entry(data, seen, until, size)
            self._bytes += size
            self._evict()

    def open(self, name: Name, entry: Entry, opened: Any, codec: Any) -> None:
        """Keep the verified payload of an entry beside it."""
        size = OPENED_BYTES + len(opened.payload)
        with self._lock:
            if self._entries.get(name) is not entry:
                return
            if entry.opened is None:
                entry.size += size
                self._bytes += size
            entry.codec, entry.opened = codec, opened
            self._evict()

    def drop(self, names: Iterable[Name]) -> None:
        """Forget keys that this process has deleted."""
        with self._lock:
            for name in names:
                self._drop(name)
                self._note_written(name)

    def discard(self, names: Iterable[Name]) -> None:
        """Forget values that are outdated. Those of calls in flight may be new ones, and are kept."""
        with self._lock:
            for name in names:
                self._drop(name)

    def ask_again(self, name: Name) -> None:
        """Forget the value that was read for a key, so that the next read asks Momento."""
        with self._lock:
            self._drop(name)
            for reading in self._readings.get(name, ()):
                reading.outdated.add(name)

    def drop_cache(self, cache: str) -> None:
        """Forget all keys of a Momento cache, and let no call in flight bring one back."""
        with self._lock:
            for name in [name for name in self._entries if name[0] == cache]:
                self._drop(name)
            for name, readings in self._readings.items():
                if name[0] == cache:
                    for reading in readings:
                        reading.outdated.add(name)
            for name, writings in self._writings.items():
                if name[0] == cache:
                    for writing in writings:
                        writing.contended.add(name)

    def close(self) -> None:
        """Forget all keys, and keep none from now on."""
        with self._lock:
            self.max_bytes = 0
            self._evict()

    def begin_reading(self, reading: Reading) -> None:
        """Note a read that begins now."""
        with self._lock:
            for name in reading.names:
                self._readings.setdefault(name, []).append(reading)

    def end_reading(self, reading: Reading, found: Mapping[Name, tuple[Data, float | None]]) -> None:
        """Keep the results of a read: for each key its value and, if it is known, the end of its timeout."""
        with self._lock:
            for name in reading.names:
                _remove(self._readings, name, reading)
            for name, (data, until) in found.items():
                if name not in reading.outdated:
                    self._keep_read(name, data, reading.started, until)

    def begin_writing(self, writing: Writing) -> None:
        """Note a write that begins now."""
        with self._lock:
            for name in writing.names:
                others = self._writings.setdefault(name, [])
                for other in others:
                    other.contended.add(name)
                    writing.contended.add(name)
                others.append(writing)

    def end_writing(self, writing: Writing, stored: Mapping[Name, tuple[Data, float | None]]) -> None:
        """Keep the values that a write has stored, and forget the values of its other keys.

        If another write of a key was in flight, forget its value too: Momento may have either one.
        """
        with self._lock:
            for name in writing.names:
                _remove(self._writings, name, writing)
                for reading in self._readings.get(name, ()):
                    reading.outdated.add(name)
                self._drop(name)
                if name in stored and name not in writing.contended:
                    data, until = stored[name]
                    # A copy: the original lies between objects that are gone soon, and would keep the memory
                    # in pieces.
                    self.put(
                        name, bytes(memoryview(data)) if type(data) is bytes else data, writing.started, until
                    )
                self._note_written(name)

    def end_touching(self, writing: Writing, until: float | None) -> None:
        """Set the timeouts of the keys of a write that has changed nothing else. None leaves them alone."""
        with self._lock:
            for name in writing.names:
                _remove(self._writings, name, writing)
                for reading in self._readings.get(name, ()):
                    reading.outdated.add(name)
                if name in writing.contended:
                    self._drop(name)
                elif until is not None:
                    self._set_until(name, until)

    def _set_until(self, name: Name, until: float) -> None:
        entry = self._entries.get(name)
        if entry is not None and entry.data is not None:
            entry.until = until

    def _keep_read(self, name: Name, data: Data, seen: float, until: float | None) -> None:
        known = self._entries.get(name)
        if known is not None and data is PRESENT and isinstance(known.data, bytes):
            # The value itself is worth more than the fact that there is one.
            if until is not None:
                known.until = until
        elif known is not None and known.data == data:
            # The same value: its timeout is still known.
            self.put(name, data, seen, known.until if until is None else until)
        elif seen - self._written.get(name, -inf) < REPLICA_SECONDS:
            # Either another process has written the key since, or a replica has not seen our own write.
            self._drop(name)
        else:
            self.put(name, data, seen, until)

    def _note_written(self, name: Name) -> None:
        """Remember an own write."""
        now = monotonic()
        self._written.pop(name, None)
        self._written[name] = now
        while self._written:
            # A handler of a signal may use the cache between two lines, here as in all loops below.
            oldest = next(iter(self._written))
            if now - self._written.get(oldest, -inf) < REPLICA_SECONDS and len(self._written) <= MAX_WRITTEN:
                break
            self._written.pop(oldest, None)

    def _drop(self, name: Name) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= entry.size

    def _evict(self) -> None:
        while self.bytes > self.max_bytes and self._entries:
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.size


def _remove(records: dict[Name, list[Any]], name: Name, record: object) -> None:
    of_name = records.get(name)
    if of_name is not None:
        if record in of_name:
            of_name.remove(record)
        if not of_name and records.get(name) is of_name:
            records.pop(name, None)
