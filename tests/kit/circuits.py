"""A circuit breaker on a clock that the tests move."""

from __future__ import annotations

import random
from math import inf

import pytest

from django_momento.client import breaker as module
from django_momento.client.breaker import MAX_BACKOFF, CircuitBreaker, Probe
from django_momento.exceptions import CallTimedOut, ServerUnavailable
from tests.kit.clock import Clock

TIMED_OUT = CallTimedOut("No answer.", "Check the network.")
UNAVAILABLE = ServerUnavailable("No connection.", "Check ENDPOINT.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of every breaker. It stands still until a test moves it."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def whole_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every pause as long as it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no probe: a circuit that opens stays open for as long as a test takes."""
    monkeypatch.setattr(module, "INITIAL_BACKOFF", 1000.0)


@pytest.fixture
def slow_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a row of failures open a circuit by its length alone, however long a busy machine takes over it."""
    monkeypatch.setattr(module, "FAILURE_WINDOW", inf)


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """Return a closed breaker on the clock."""
    return CircuitBreaker()


def open_circuit(breaker: CircuitBreaker, clock: Clock) -> CircuitBreaker:
    """Record a call that timed out, which opens the circuit, and return the breaker."""
    assert breaker.record_failure(TIMED_OUT, clock.now)
    return breaker


def seconds_to_probe(breaker: CircuitBreaker, clock: Clock) -> float:
    """Let time pass until a probe may be sent, let it fail, and return the seconds that passed."""
    start = clock.now
    next_probe(breaker, clock).end(has_succeeded=False)
    return clock.now - start


def next_probe(breaker: CircuitBreaker, clock: Clock) -> Probe:
    """Let time pass until a probe may be sent, and return it."""
    start = clock.now
    while (probe := breaker.half_open()) is None:
        clock.advance(0.001)
        assert clock.now - start < 2 * MAX_BACKOFF
    return probe
