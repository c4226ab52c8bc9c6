"""What the status page says of a snapshot: sums, rates, percentiles, and the drawing of the latency chart.

Pure functions of values: nothing here asks a cache or knows of HTML. Every position is a share of the chart's
width or height in per cent, so that the drawing fits any screen while its lettering keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from .observed import Operation, Snapshot, Totals

CHARTED = 60
SLOTS = 20  # a chart of few operations is not stretched
FASTEST_DECADE = -1  # 0.1 ms
TOP, BOTTOM = 8, 94


class Verb(NamedTuple):
    """One row of the table of verbs."""

    name: str
    totals: Totals
    median: float | None


class Figures(NamedTuple):
    """The process's figures. ``hit_rate`` is in per cent, and None until something was looked up.

    Times are in milliseconds, of those of the latest operations that were answered; None if there are none.
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
        times = _answered(snapshot.latest)
        verbs = [
            Verb(name, each, _median(_answered(op for op in snapshot.latest if op.verb == name)))
            for name, each in sorted(snapshot.totals.items())
        ]
        hit_rate = 100 * totals.hits / looked_up if looked_up else None
        return cls(totals, hit_rate, _median(times), _p95(times), verbs)


def _answered(operations: Iterable[Operation]) -> list[float]:
    return [operation.milliseconds for operation in operations if not operation.error]


def _median(times: list[float]) -> float | None:
    return median(times) if times else None


def _p95(times: list[float]) -> float | None:
    if len(times) == 1:
        return times[0]
    return quantiles(times, n=20, method="inclusive")[-1] if times else None


class Mark(NamedTuple):
    """One operation in the chart."""

    outcome: str
    x: float
    y: float


class Tick(NamedTuple):
    """One horizontal line of the chart, for a number of milliseconds."""

    label: str
    y: float


class Chart(NamedTuple):
    """The latest operations from left to right, each as high as it was slow, on a logarithmic scale."""

    operations: Sequence[Operation]
    marks: list[Mark]
    ticks: list[Tick]
    median: Tick | None
    slowest: float
    bottom: float

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> Chart | None:
        """Draw operations that are in order of time; None if there are none."""
        if not operations:
            return None
        times = [operation.milliseconds for operation in operations]
        top = math.ceil(math.log10(max(1.0, *times)))

        def height(milliseconds: float) -> float:
            decades = math.log10(max(milliseconds, 10**FASTEST_DECADE)) - FASTEST_DECADE
            return BOTTOM - (BOTTOM - TOP) * decades / (top - FASTEST_DECADE)

        slot = 100 / max(SLOTS, len(operations))
        marks = [
            Mark(operation.outcome, (number + 0.5) * slot, height(operation.milliseconds))
            for number, operation in enumerate(operations)
        ]
        ticks = [
            Tick(f"{10.0**decade:g} ms", height(10.0**decade)) for decade in range(FASTEST_DECADE, top + 1)
        ]
        middle = _median(_answered(operations))
        line = None if middle is None else Tick(f"{middle:.1f} ms", height(middle))
        return cls(operations, marks, ticks, line, max(times), BOTTOM)
