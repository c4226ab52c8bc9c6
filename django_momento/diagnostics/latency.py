"""Summarize the durations of calls: percentiles, a rate and a histogram. Pure arithmetic."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Bucket:
    """The number of requests that took at most ``up_to`` milliseconds, but more than the bucket before."""

    up_to: float
    requests: int


@dataclass(frozen=True)
class Latency:
    """The duration of a ``get`` in milliseconds, over ``requests`` gets one after the other.

    ``per_second`` is the number of such gets in a second. The edges of ``histogram`` are 1, 2 and 5 times a
    power of ten, from the fastest request to the slowest.
    """

    requests: int
    minimum: float
    median: float
    p90: float
    p99: float
    maximum: float
    per_second: float
    histogram: tuple[Bucket, ...]

    @classmethod
    def of(cls, milliseconds: list[float]) -> Latency:
        """Summarize at least one duration."""
        ordered = sorted(milliseconds)
        # quantiles() needs two points. If there is one request, every percentile is that request.
        percentiles = statistics.quantiles(
            ordered * 2 if len(ordered) == 1 else ordered, n=100, method="inclusive"
        )
        return cls(
            requests=len(ordered),
            minimum=ordered[0],
            median=percentiles[49],
            p90=percentiles[89],
            p99=percentiles[98],
            maximum=ordered[-1],
            # A coarse clock may measure 0.
            per_second=1000 / max(statistics.fmean(ordered), 0.001),
            histogram=tuple(_buckets(ordered)),
        )

    def __str__(self) -> str:
        return (
            f"{self.requests} gets: median {self.median:.2f} ms, p90 {self.p90:.2f} ms, "
            f"p99 {self.p99:.2f} ms, slowest {self.maximum:.2f} ms"
        )


def _buckets(ordered: list[float]) -> Iterator[Bucket]:
    requests: Counter[float] = Counter()
    edges = _edges()
    edge = next(edges)
    first = None
    for duration in ordered:
        while duration > edge:
            edge = next(edges)
            requests[edge] = 0
        first = edge if first is None else first
        requests[edge] += 1
    return (Bucket(edge, requests[edge]) for edge in sorted(requests) if edge >= (first or 0))


def _edges() -> Iterator[float]:
    """Return 0.01, 0.02, 0.05, 0.1 and so on, without end."""
    return (float(f"{digit}e{exponent}") for exponent in count(-2) for digit in (1, 2, 5))
