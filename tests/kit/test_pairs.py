"""``pairwise``: each two settings meet, in far fewer rows than all combinations."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from tests.kit.pairs import pairwise


def test_each_two_values_of_two_factors_meet() -> None:
    """No pair is missing, whatever the number of values, and the defaults come first."""
    factors: dict[str, Any] = {
        "a": [1, 2],
        "b": [1, 2, 3],
        "c": [None, 0],
        "d": ["x", "y"],
        "e": [True, False],
    }
    rows = pairwise(factors)
    for (left, lefts), (right, rights) in combinations(factors.items(), 2):
        assert {(row[left], row[right]) for row in rows} == {*product(lefts, rights)}
    assert rows[0] == {"a": 1, "b": 1, "c": None, "d": "x", "e": True}
    assert len(rows) < 12


def test_one_factor_is_every_value_of_it() -> None:
    """With nothing to be combined, each value is a row."""
    assert [{"a": 1}, {"a": 2}] == pairwise({"a": [1, 2]})
