"""The figures of a migration in this process: counts, latencies, and the operations of Momento."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from math import floor, log2
from typing import Any

from ..clock import monotonic, wall

# Seconds of a window. The recent figures are those of this window and the one before.
WINDOW = 300.0
# A bucket's upper end is 1.19 times its lower.
BUCKETS_PER_DOUBLING = 4

READS = frozenset({"get", "get_many", "has_key"})
WRITES = frozenset({"set", "set_many", "delete", "delete_many", "touch", "add", "incr", "decr"})


class Window:
    """Counts by name, latencies by side and kind, and the highest number of operations within a second."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.latencies: dict[str, Counter[int]] = {}
        self.peak = 0
        self.seconds = 0.0

    def merge(self, data: Mapping[str, Any]) -> None:
        """Add the figures of another window, as show() returns them."""
        self.counts.update(data["counts"])
        for name, buckets in data["latencies"].items():
            mine = self.latencies.setdefault(name, Counter())
            for bucket, count in buckets.items():
                mine[int(bucket)] += count
        # Of processes at the same time: the sum is what they can reach together.
        self.peak += data["peak"]
        self.seconds = max(self.seconds, data["seconds"])

    def show(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return {
            "counts": dict(self.counts),
            "latencies": {
                name: {str(k): v for k, v in each.items()} for name, each in self.latencies.items()
            },
            "peak": self.peak,
            "seconds": self.seconds,
        }

    def percentile(self, name: str, share: float) -> float | None:
        """Return the seconds that this share of the calls did not exceed, or None without calls."""
        buckets = self.latencies.get(name, Counter())
        rank, below = share * sum(buckets.values()), 0
        for bucket in sorted(buckets):
            below += buckets[bucket]
            if below >= rank:
                return float(2.0 ** ((bucket + 1) / BUCKETS_PER_DOUBLING))
        return None

    def share(self, part: str, *whole: str) -> float | None:
        """Return a count divided by the sum of others, or None if that is 0."""
        total = sum(self.counts[name] for name in whole)
        return self.counts[part] / total if total else None


class Figures:
    """The windows of this process. Exact with any number of threads and tasks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.started_at = wall()
        self._turned_at = monotonic()
        self._before: Window | None = None
        self._now = Window()
        self._second = 0
        self._operations = 0

    def add(self, **counts: int) -> None:
        """Add to counts."""
        with self._lock:
            self._turn()
            for name, count in counts.items():
                self._now.counts[name] += count

    def add_call(self, side: str, verb: str, seconds: float, failed: bool) -> None:
        """Count a call to one side, with its duration."""
        kind = "reads" if verb in READS else "writes" if verb in WRITES else "others"
        bucket = floor(log2(max(seconds, 1e-6)) * BUCKETS_PER_DOUBLING)
        with self._lock:
            self._turn()
            self._now.counts[f"{side}_calls"] += 1
            if failed:
                self._now.counts[f"{side}_failures"] += 1
            self._now.latencies.setdefault(f"{side}_{kind}", Counter())[bucket] += 1

    def add_operations(self, count: int) -> None:
        """Count operations of Momento."""
        with self._lock:
            self._turn()
            self._now.counts["operations"] += count
            second = int(monotonic())
            if second != self._second:
                self._second, self._operations = second, 0
            self._operations += count
            self._now.peak = max(self._now.peak, self._operations)

    def show(self) -> dict[str, Any]:
        """Return the recent figures as JSON has them."""
        with self._lock:
            self._turn()
            now, before = self._now, self._before
            now.seconds = monotonic() - self._turned_at
            if before is None:
                return now.show()
            both = merge([before.show(), now.show()])
            both.peak, both.seconds = max(before.peak, now.peak), before.seconds + now.seconds
            return both.show()

    def _turn(self) -> None:
        """Begin a new window if this one is over."""
        elapsed = monotonic() - self._turned_at
        if elapsed < WINDOW:
            return
        self._now.seconds = elapsed
        # After a pause, the window before is as old as the pause is long.
        self._before = self._now if elapsed < 2 * WINDOW else None
        self._now, self._turned_at = Window(), monotonic()


def merge(shown: Iterable[Mapping[str, Any]]) -> Window:
    """Return the sums of windows of several processes."""
    total = Window()
    for data in shown:
        total.merge(data)
    return total
