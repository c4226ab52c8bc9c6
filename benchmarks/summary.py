"""Medians, quartiles and ratios of the measured figures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import NamedTuple

from .measure import Table


class Spread(NamedTuple):
    """The middle of some figures, and the quartiles that half of them lie between."""

    low: float
    median: float
    high: float


def spread(figures: Sequence[float]) -> Spread:
    if len(figures) < 2:
        return Spread(figures[0], figures[0], figures[0])
    low, _, high = quantiles(figures, n=4, method="inclusive")
    return Spread(low, median(figures), high)


def figures(table: Table, name: str, figure: str) -> list[float]:
    return [sample[figure] for sample in table.samples[name]]


def ratios(table: Table, name: str, beside: str, figure: str) -> list[float]:
    """Return, round by round, a contender's figure beside another's of the same round."""
    pairs = zip(figures(table, name, figure), figures(table, beside, figure), strict=True)
    return [one / other for one, other in pairs if other]


def ratio(table: Table, name: str, beside: str, figure: str) -> float:
    return median(ratios(table, name, beside, figure))
