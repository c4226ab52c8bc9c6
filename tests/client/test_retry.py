"""Pauses that grow, and that no two processes draw alike."""

from __future__ import annotations

import random

import pytest

from django_momento.client.retry import Backoff


def test_each_pause_is_twice_the_last_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long an outage lasts, the longest pause is not exceeded."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    pauses = Backoff(1.0, 10.0)
    assert [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] == [pauses.next() for _ in range(6)]


def test_a_reset_begins_with_the_first_pause_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next outage has nothing to do with the last."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    pauses = Backoff(1.0, 10.0)
    assert [1.0, 2.0, 4.0] == [pauses.next() for _ in range(3)]
    pauses.reset()
    assert [1.0, 2.0] == [pauses.next() for _ in range(2)]


def test_a_pause_is_drawn_between_its_half_and_its_whole() -> None:
    """Processes that fail together do not come back together."""
    drawn = []
    for _ in range(1000):
        pauses = Backoff(8.0, 8.0)
        drawn.append(pauses.next())
    assert all(4.0 <= pause <= 8.0 for pause in drawn)
    assert len(set(drawn)) > 900
