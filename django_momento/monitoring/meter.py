"""Add up the events of calls: by alias, verb and key group, and by time.

``observe`` is called on the thread or event loop of each call, so it only keeps the event. Events are added
up when a portion is complete, and when the sums are read.
"""

from __future__ import annotations

from collections import Counter, deque
from math import floor, log2
from threading import RLock

from .. import forking
from ..clock import monotonic
from ..events import CallEvent, observers

# Events that are kept before one call adds them up, which takes a few hundred microseconds.
PORTION = 64

# Buckets of a factor of two in time: a percentile is exact to 1/16 of a doubling, which is 4.4 %.
BUCKETS_PER_DOUBLING = 16

# Seconds for which rates are kept, and slots of a second.
MAX_SECONDS = 60
SLOTS_PER_SECOND = 10


class Sums:
    """The sums of some calls. Latencies are kept as a histogram."""

    __slots__ = (
        *("bytes_received", "bytes_sent", "calls", "errors", "hits", "histogram", "largest"),
        *("misses", "operations", "requests", "seconds", "slowest"),
    )

    def __init__(self) -> None:
        self.calls = 0
        self.requests = 0
        self.operations = 0
        self.hits = 0
        self.misses = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.largest = 0
        self.seconds = 0.0
        self.slowest = 0.0
        self.errors: Counter[str] = Counter()
        self.histogram: Counter[int] = Counter()

    def add(self, event: CallEvent, bucket: int) -> None:
        """Add an event whose latency is in this bucket."""
        self.calls += 1
        self.requests += event.requests
        self.operations += event.operations
        self.hits += event.hits
        self.misses += event.misses
        self.bytes_sent += event.bytes_sent
        self.bytes_received += event.bytes_received
        self.seconds += event.seconds
        self.histogram[bucket] += 1
        self.largest = max(self.largest, event.largest)
        self.slowest = max(self.slowest, event.seconds)
        if event.error is not None:
            self.errors[event.error] += 1

    def percentile(self, share: float) -> float | None:
        """Return the seconds that this share of the calls did not exceed, or None if there are no calls."""
        rank, below = share * self.calls, 0
        for bucket in sorted(self.histogram):
            below += self.histogram[bucket]
            if below >= rank:
                upper: float = 2.0 ** ((bucket + 1) / BUCKETS_PER_DOUBLING)
                return min(upper, self.slowest)
        return None

    def count_by_doubling(self) -> dict[int, int]:
        """Return the number of calls for each power of two in seconds that they did not exceed, in order.

        Powers between the lowest and the highest that have no calls are included.
        """
        counts: Counter[int] = Counter()
        for bucket, count in self.histogram.items():
            counts[bucket // BUCKETS_PER_DOUBLING + 1] += count
        return {power: counts[power] for power in range(min(counts), max(counts) + 1)} if counts else {}


def _bucket_of(seconds: float) -> int:
    return floor(log2(max(seconds, 1e-9)) * BUCKETS_PER_DOUBLING)


class Readings:
    """The sums of one alias: of all calls, of each verb and of each key group."""

    def __init__(self) -> None:
        self.totals = Sums()
        self.verbs: dict[str, Sums] = {}
        self.groups: dict[str, Sums] = {}
        # Operations by slot of time, of the last MAX_SECONDS.
        self._slots: dict[int, int] = {}

    def add(self, event: CallEvent) -> None:
        """Add an event."""
        bucket = _bucket_of(event.seconds)
        self.totals.add(event, bucket)
        for sums, name in ((self.verbs, event.verb), (self.groups, event.key_group)):
            if name not in sums:
                sums[name] = Sums()
            sums[name].add(event, bucket)
        if event.operations:
            slot = int(event.finished_at * SLOTS_PER_SECOND)
            if slot not in self._slots:
                self._forget_before(slot - MAX_SECONDS * SLOTS_PER_SECOND)
            self._slots[slot] = self._slots.get(slot, 0) + event.operations

    def operations_per_second(self, seconds: int) -> float:
        """Return the mean number of operations a second, over the last so many seconds."""
        first = int((monotonic() - seconds) * SLOTS_PER_SECOND)
        return sum(count for slot, count in self._slots.items() if slot > first) / seconds

    def _forget_before(self, first: int) -> None:
        for slot in [slot for slot in self._slots if slot < first]:
            del self._slots[slot]


class Meter:
    """The readings of every alias in this process. Exact with any number of threads and tasks."""

    def __init__(self) -> None:
        # Readings change under it. Reentrant: the handler of a signal may use a cache meanwhile.
        self.lock = RLock()
        self._waiting: deque[CallEvent] = deque()
        self._aliases: dict[str, Readings] = {}

    def observe(self, event: CallEvent) -> None:
        """Count the event of a call."""
        waiting = self._waiting
        waiting.append(event)
        # If another thread holds the lock, do not wait: that thread adds up this event too.
        if len(waiting) >= PORTION and self.lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self.lock.release()

    def read(self, alias: str) -> Readings:
        """Return the readings of an alias, which grow when later events are added up."""
        with self.lock:
            self._add_up()
            return self._aliases.setdefault(alias, Readings())

    def read_all(self) -> dict[str, Readings]:
        """Return the readings of each alias, by name, if it has made a call."""
        with self.lock:
            self._add_up()
            return dict(self._aliases)

    def forget(self) -> None:
        """Count from zero, as in a forked child."""
        self.__init__()  # type: ignore[misc]  # this very class, without subclasses

    def _add_up(self) -> None:
        waiting = self._waiting
        while waiting:
            event = waiting.popleft()
            readings = self._aliases.get(event.alias)
            if readings is None:
                readings = self._aliases[event.alias] = Readings()
            readings.add(event)


meter = Meter()
observers.append(meter.observe)
forking.register(after_in_child=meter.forget)
