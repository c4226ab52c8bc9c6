"""Configurations in which each two settings meet, instead of every combination of all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def pairwise(factors: Mapping[str, Sequence[T]]) -> list[dict[str, T]]:
    """Return rows of one value for each factor, so that each two values of two factors meet in some row.

    The first row has the first value of each factor: put the default there. The result is always the same.
    """
    names = list(factors)
    everything = [dict(zip(names, row, strict=True)) for row in product(*factors.values())]
    missing = {pair for row in everything for pair in _pairs(row)}
    rows = []
    while missing:
        # The first of the best: that is the defaults, and then whatever meets most that is new.
        row = max(everything, key=lambda row: len(missing.intersection(_pairs(row))))
        missing.difference_update(_pairs(row))
        rows.append(row)
    return rows


def _pairs(row: Mapping[str, T]) -> Iterator[tuple[tuple[str, T], ...]]:
    return combinations(row.items(), min(2, len(row)))
