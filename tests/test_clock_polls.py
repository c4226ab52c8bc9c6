"""Waits that poll: for a number of seconds in which the process runs."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from django_momento import clock
from django_momento.clock import polls
from tests.kit.clock import Clock


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the pauses of this thread move."""
    moving, ours = Clock(), threading.get_ident()

    def sleep(seconds: float) -> None:
        (moving.advance if threading.get_ident() == ours else time.sleep)(seconds)

    monkeypatch.setattr(clock, "monotonic", moving)
    monkeypatch.setattr(clock, "time", SimpleNamespace(sleep=sleep))
    return moving


def test_a_wait_ends_when_its_seconds_are_over(moving: Clock) -> None:
    began = moving.now
    assert 8 == len(list(polls(1.0, 0.125)))
    assert 1.0 == moving.now - began


def test_a_stop_of_the_process_counts_as_ten_pauses(moving: Clock) -> None:
    """Other threads did not run either, and have the rest of the time to end."""
    looks = 0
    for _ in polls(2.0, 0.125):
        looks += 1
        if looks == 2:
            moving.advance(3600)
    assert 7 == looks


def test_a_wait_of_no_time_does_not_pause(moving: Clock) -> None:
    assert [] == list(polls(0.0, 0.01))
