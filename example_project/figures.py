"""The figures of the status page: sums, rates, percentiles and the positions in the latency chart.

Every position is a percentage of the chart's width or height. So the drawing fits any screen, and its text
keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from .activity import CacheCall, Snapshot, Totals

CHARTED = 60
SLOTS = 20  # a chart of few calls is not stretched
FASTEST_DECADE = -1  # 0.1 ms
TOP, BOTTOM = 8, 94


class Verb(NamedTuple):
    """One row of the table of verbs."""

    name: str
    totals: Totals
    median: float | None


class Figures(NamedTuple):
    """The figures of the process. ``hit_rate`` is in per cent, or None before the first lookup.

    Times are in milliseconds, over the latest calls that succeeded, or None if there are none.
    """

    totals: Totals
    hit_rate: float | None
    median: float | None
    p95: float | None
    verbs: list[Verb]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Figures:
        totals = Totals(*map(sum, zip(*snapshot.totals.values(), strict=True)))
        looked_up = totals.hits + totals.misses
        times = _times(snapshot.latest)
        verbs = [
            Verb(name, each, _median(_times(op for op in snapshot.latest if op.verb == name)))
            for name, each in sorted(snapshot.totals.items())
        ]
        hit_rate = 100 * totals.hits / looked_up if looked_up else None
        return cls(totals, hit_rate, _median(times), _p95(times), verbs)


def _times(calls: Iterable[CacheCall]) -> list[float]:
    return [call.milliseconds for call in calls if not call.error]


def _median(times: list[float]) -> float | None:
    return median(times) if times else None


def _p95(times: list[float]) -> float | None:
    if len(times) == 1:
        return times[0]
    return quantiles(times, n=20, method="inclusive")[-1] if times else None


class Mark(NamedTuple):
    """One call in the chart."""

    outcome: str
    x: float
    y: float


class Tick(NamedTuple):
    """One horizontal line of the chart, for a number of milliseconds."""

    label: str
    y: float


class Chart(NamedTuple):
    """The latest calls from left to right. The height is the duration, on a logarithmic scale."""

    calls: Sequence[CacheCall]
    marks: list[Mark]
    ticks: list[Tick]
    median: Tick | None
    slowest: float
    bottom: float

    @classmethod
    def of(cls, calls: Sequence[CacheCall]) -> Chart | None:
        """Return the chart of calls in order of time, or None if there are none."""
        if not calls:
            return None
        times = [call.milliseconds for call in calls]
        top = math.ceil(math.log10(max(1.0, *times)))

        def height(milliseconds: float) -> float:
            decades = math.log10(max(milliseconds, 10**FASTEST_DECADE)) - FASTEST_DECADE
            return BOTTOM - (BOTTOM - TOP) * decades / (top - FASTEST_DECADE)

        slot = 100 / max(SLOTS, len(calls))
        marks = [
            Mark(call.outcome, (number + 0.5) * slot, height(call.milliseconds))
            for number, call in enumerate(calls)
        ]
        ticks = [
            Tick(f"{10.0**decade:g} ms", height(10.0**decade)) for decade in range(FASTEST_DECADE, top + 1)
        ]
        middle = _median(_times(calls))
        line = None if middle is None else Tick(f"{middle:.1f} ms", height(middle))
        return cls(calls, marks, ticks, line, max(times), BOTTOM)
