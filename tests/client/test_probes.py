"""The probes of an open circuit: one at a time, at growing pauses, until one is answered."""

from __future__ import annotations

import pytest

from django_momento.client.breaker import (
    FAILURE_THRESHOLD,
    INITIAL_BACKOFF,
    MAX_BACKOFF,
    PROBE_LEASE,
    CircuitBreaker,
)
from tests.kit import circuits as fixtures
from tests.kit.at_once import at_once
from tests.kit.circuits import TIMED_OUT, UNAVAILABLE, next_probe, open_circuit, seconds_to_probe
from tests.kit.clock import Clock

breaker, clock, whole_pauses = fixtures.breaker, fixtures.clock, fixtures.whole_pauses


def test_one_of_many_threads_may_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    """A Momento that is down, or just back, is asked once at a time."""
    open_circuit(breaker, clock)
    clock.advance(INITIAL_BACKOFF)
    (probe,) = filter(None, at_once(50, breaker.half_open))
    clock.advance(PROBE_LEASE - 0.001)
    assert breaker.half_open() is None
    probe.end(has_succeeded=False)
    clock.advance(MAX_BACKOFF)
    assert breaker.half_open() is not None


def test_a_probe_that_does_not_end_is_given_up(breaker: CircuitBreaker, clock: Clock) -> None:
    """Its thread may be frozen with the process: one of many callers then sends another itself."""
    open_circuit(breaker, clock)
    frozen = next_probe(breaker, clock)
    for _ in range(3):
        clock.advance(PROBE_LEASE)
        (probe,) = filter(None, at_once(50, breaker.half_open))
        assert probe.is_overdue
    frozen.end(has_succeeded=False)
    assert breaker.half_open() is None
    probe.end(has_succeeded=True)
    assert not breaker.is_open


def test_a_probe_that_is_dropped_has_ended(breaker: CircuitBreaker, clock: Clock, whole_pauses: None) -> None:
    """Whatever its thread died of, or if an exception came before it was begun: the next is due as usual."""
    open_circuit(breaker, clock)
    for _ in range(5):
        next_probe(breaker, clock)
        assert breaker.half_open() is None
    probe = next_probe(breaker, clock)
    assert probe.is_overdue
    probe.end(has_succeeded=True)
    assert not breaker.is_open


def test_a_late_answer_to_a_probe_that_was_given_up_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """Momento is back, whoever has found out."""
    open_circuit(breaker, clock)
    slow = next_probe(breaker, clock)
    clock.advance(PROBE_LEASE)
    other = breaker.half_open()
    slow.end(has_succeeded=True)
    assert not breaker.is_open
    assert other is not None
    other.end(has_succeeded=False)
    assert not breaker.is_open
    assert breaker.half_open() is None


def test_a_probe_is_overdue_when_no_call_came_by_for_as_long_as_its_pause(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """A process that calls seldom, or is frozen between calls: no thread in the background gets to run."""
    open_circuit(breaker, clock)
    clock.advance(1.9 * INITIAL_BACKOFF)
    busy = breaker.half_open()
    assert busy is not None
    assert not busy.is_overdue
    busy.end(has_succeeded=False)
    clock.advance(2.1 * 2 * INITIAL_BACKOFF)
    quiet = breaker.half_open()
    assert quiet is not None
    assert quiet.is_overdue


def test_the_probe_after_a_late_one_is_overdue(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """A probe ends late if the process is frozen between calls, and the next one would, too."""
    open_circuit(breaker, clock)
    next_probe(breaker, clock).end(has_succeeded=False, was_late=True)
    probe = next_probe(breaker, clock)
    assert probe.is_overdue
    probe.end(has_succeeded=False)
    assert not next_probe(breaker, clock).is_overdue


def test_the_pauses_between_probes_grow_to_the_longest(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """A short outage is over soon, and a long one costs little."""
    open_circuit(breaker, clock)
    pauses = [seconds_to_probe(breaker, clock) for _ in range(5)]
    expected = [min(INITIAL_BACKOFF * 2**number, MAX_BACKOFF) for number in range(5)]
    assert pytest.approx(expected, abs=0.002) == pauses
    assert pauses[-1] == pytest.approx(MAX_BACKOFF, abs=0.002)


def test_an_answer_to_a_probe_closes_it(breaker: CircuitBreaker, clock: Clock, whole_pauses: None) -> None:
    """And the next outage is a new one, with the first pause and a whole run."""
    open_circuit(breaker, clock)
    for has_succeeded in (False, False, True):
        next_probe(breaker, clock).end(has_succeeded=has_succeeded)
    assert not breaker.is_open
    assert breaker.half_open() is None
    for _ in range(FAILURE_THRESHOLD - 1):
        clock.advance(0.01)
        assert not breaker.record_failure(UNAVAILABLE, clock.now)
    clock.advance(0.01)
    assert breaker.record_failure(UNAVAILABLE, clock.now)
    assert 2 == breaker.openings
    assert pytest.approx(INITIAL_BACKOFF, abs=0.002) == seconds_to_probe(breaker, clock)


def test_calls_from_before_a_probe_do_not_open_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    """They are in flight over connections of the time before, and time out when Momento is long back."""
    before = clock.now
    open_circuit(breaker, clock)
    next_probe(breaker, clock).end(has_succeeded=True)
    clock.advance(0.5)
    for _ in range(2 * FAILURE_THRESHOLD):
        assert not breaker.record_failure(TIMED_OUT, before)
        assert not breaker.record_failure(UNAVAILABLE, before)
    assert not breaker.is_open
    assert breaker.record_failure(TIMED_OUT, clock.now)
