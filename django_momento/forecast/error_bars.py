"""Error bars: how far a figure of a sample of keys may be from that of all keys.

The keys of the sample are in parts by their hash. Each part is a sample too, so the differences between the
parts tell the error (jackknife). Without sampling there is no such error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

from .totals import Sums

# Student's t for 31 degrees of freedom: 95 of 100 such intervals contain the true figure.
_T95 = 2.04


def error_of_total(parts: Sequence[Sums], sample: float, figure: Callable[[Sums], float]) -> float:
    """Return the half width of the interval of 95 % around a total of all keys."""
    if not parts:
        return 0.0
    figures = [figure(part) for part in parts]
    mean = sum(figures) / len(figures)
    variance = sum((each - mean) ** 2 for each in figures) * len(figures) / (len(figures) - 1)
    return _T95 * sqrt((1 - sample) * variance) / sample


def error_of_hit_rate(parts: Sequence[Sums], sample: float) -> float:
    """Return the half width of the interval of 95 % around the hit rate."""
    reads, hits = sum(part.reads for part in parts), sum(part.hits for part in parts)
    rates = [(hits - part.hits) / (reads - part.reads) for part in parts if reads > part.reads and part.reads]
    if len(rates) < 2:
        return 0.0
    mean = sum(rates) / len(rates)
    variance = (len(rates) - 1) / len(rates) * sum((rate - mean) ** 2 for rate in rates)
    return min(1.0, _T95 * sqrt((1 - sample) * variance))
