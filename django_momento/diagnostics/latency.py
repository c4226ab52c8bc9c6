"""How long calls took: percentiles, a rate, and a histogram. Pure arithmetic; it measures nothing itself."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Bucket:
    """How many requests took at most ``up_to`` milliseconds, and more than the bucket before allows."""

    up_to: float
    requests: int


@dataclass(frozen=True)
class Latency:
    """How long a ``get`` took, over ``requests`` of them one after the other; in milliseconds.

    ``per_second`` is how many of them fit into a second. The edges of ``histogram`` are 1, 2 and 5 and their
    tenfolds and tenths, from the fastest request to the slowest.
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
        # Needs two points; for a single request every percentile is that request.
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
            # A coarse clock may have seen no time go by.
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
    """Answer 0.01, 0.02, 0.05, 0.1 and so on."""
    return (float(f"{digit}e{exponent}") for exponent in count(-2) for digit in (1, 2, 5))
