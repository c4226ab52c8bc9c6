"""The circuit breaker, on a clock that the tests move."""

from __future__ import annotations

import gc
import itertools
import random
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from django_momento import exceptions
from django_momento.client import breaker as module
from django_momento.client.breaker import (
    FAILURE_THRESHOLD,
    FAILURE_WINDOW,
    INITIAL_BACKOFF,
    PROBE_LEASE,
    CircuitBreaker,
    Unbroken,
)
from django_momento.exceptions import (
    CallTimedOut,
    CircuitOpen,
    LimitExceeded,
    MomentoCacheError,
    TransportError,
)
from tests.kit import circuits as fixtures
from tests.kit.at_once import at_once
from tests.kit.circuits import TIMED_OUT, UNAVAILABLE, next_probe, open_circuit, seconds_to_probe
from tests.kit.clock import Clock
from tests.kit.tables import table

breaker, clock, whole_pauses = fixtures.breaker, fixtures.clock, fixtures.whole_pauses

ANSWERS = [
    kind
    for kind in vars(exceptions).values()
    if isinstance(kind, type) and issubclass(kind, MomentoCacheError) and not issubclass(kind, TransportError)
]


def test_it_is_closed_at_first(breaker: CircuitBreaker) -> None:
    """Nobody is refused, and nothing is to be found out."""
    assert (False, 0, False) == (breaker.is_open, breaker.openings, breaker.half_open() is not None)


def test_one_call_that_times_out_opens_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """A second call need not find out the same at the same price."""
    assert breaker.record_failure(TIMED_OUT, clock.now)
    assert (True, 1) == (breaker.is_open, breaker.openings)


@pytest.mark.parametrize("later", [0.0, 0.001], ids=["with it", "later"])
def test_a_timeout_while_others_are_answered_does_not_open_it(
    breaker: CircuitBreaker, clock: Clock, later: float
) -> None:
    """One call was slow, but Momento is there: one that started no sooner was answered."""
    breaker.last_success = clock.now + later
    assert not breaker.record_failure(TIMED_OUT, clock.now)
    assert not breaker.is_open


def test_an_answer_to_an_earlier_call_excuses_no_timeout(breaker: CircuitBreaker, clock: Clock) -> None:
    """Momento was there before, which says nothing of now."""
    breaker.last_success = clock.now - 0.001
    assert breaker.record_failure(TIMED_OUT, clock.now)


def test_a_run_of_calls_that_cannot_be_sent_opens_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """Such calls fail within milliseconds, so that a few may pass."""
    outcomes = []
    for _ in range(FAILURE_THRESHOLD):
        clock.advance(0.01)
        outcomes.append(breaker.record_failure(UNAVAILABLE, clock.now))
    assert [False] * (FAILURE_THRESHOLD - 1) + [True] == outcomes


def test_a_process_that_calls_seldom_needs_no_whole_run(breaker: CircuitBreaker, clock: Clock) -> None:
    """Or it would meet the same dead connection for minutes after Momento is back."""
    assert not breaker.record_failure(UNAVAILABLE, clock.now)
    clock.advance(FAILURE_WINDOW)
    assert not breaker.record_failure(UNAVAILABLE, clock.now)
    clock.advance(0.01)
    assert breaker.record_failure(UNAVAILABLE, clock.now)


def test_an_answer_ends_the_run(breaker: CircuitBreaker, clock: Clock) -> None:
    """A server that refuses some calls and answers others is not given up."""
    for _ in range(10):
        for _ in range(FAILURE_THRESHOLD - 1):
            clock.advance(0.01)
            assert not breaker.record_failure(UNAVAILABLE, clock.now)
        clock.advance(0.01)
        breaker.last_success = clock.now
        clock.advance(FAILURE_WINDOW)


def test_a_server_that_refuses_every_other_call_is_not_given_up(clock: Clock) -> None:
    """At random, so there are rows of refusals: a busy process meets ten in a row every second."""
    for seed in range(5):
        breaker, draw = CircuitBreaker(), random.Random(seed)
        for _ in range(20_000):
            clock.advance(0.01)
            if draw.random() < 0.5:
                assert not breaker.record_failure(UNAVAILABLE, clock.now)
            else:
                breaker.last_success = clock.now


@table("kind", ANSWERS)
def test_whatever_momento_answers_never_opens_it(clock: Clock, kind: type[MomentoCacheError]) -> None:
    """A limit that was hit, a key that was refused, a cache that is missing: Momento is there."""
    breaker = CircuitBreaker()
    for _ in range(20 * FAILURE_THRESHOLD):
        clock.advance(0.01)
        assert not breaker.record_failure(kind("No."), clock.now)
    assert (False, 0) == (breaker.is_open, breaker.openings)


def test_a_limit_that_was_hit_ends_a_run_of_failures(breaker: CircuitBreaker, clock: Clock) -> None:
    """It is an answer like any other."""
    for _ in range(4 * FAILURE_THRESHOLD):
        clock.advance(0.01)
        assert not breaker.record_failure(UNAVAILABLE, clock.now)
        clock.advance(0.01)
        assert not breaker.record_failure(LimitExceeded("Too many."), clock.now)


def test_failures_while_it_is_open_change_nothing(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """Calls in flight when it opened fail one after the other: they neither count nor put off the probe."""
    open_circuit(breaker, clock)
    for _ in range(10):
        clock.advance(INITIAL_BACKOFF / 10)
        assert not breaker.record_failure(TIMED_OUT, clock.now - 1)
    assert 1 == breaker.openings
    assert pytest.approx(0, abs=0.002) == seconds_to_probe(breaker, clock)


def test_its_refusal_says_what_happened_and_what_to_do(breaker: CircuitBreaker, clock: Clock) -> None:
    """Whoever reads only the refusals in the log learns the reason all the same."""
    refusal = open_circuit(breaker, clock).refusal()
    assert isinstance(refusal, CircuitOpen)
    assert refusal.cause.endswith("because of: No answer.")
    assert "Check the network." == refusal.fix


def test_it_keeps_nothing_of_the_call_that_opened_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """An error keeps the frames it was raised in, and they the connection that is to be given up."""

    class Timeout(CallTimedOut):
        pass

    error = Timeout("No answer.")
    gone = weakref.ref(error)
    breaker.record_failure(error, clock.now)
    gc.disable()
    try:
        del error
        assert gone() is None
    finally:
        gc.enable()


def test_the_pauses_of_two_processes_differ(clock: Clock) -> None:
    """A fleet that met an outage together does not come back together."""
    pauses = []
    for _ in range(100):
        breaker = open_circuit(CircuitBreaker(), clock)
        pauses.append(seconds_to_probe(breaker, clock))
    assert INITIAL_BACKOFF / 2 <= min(pauses) < max(pauses) <= INITIAL_BACKOFF + 0.002


def test_calls_that_fail_at_the_same_moment_count_as_one(breaker: CircuitBreaker, clock: Clock) -> None:
    """One connection that is reset fails all calls on it, and one call that was gathered fails many tasks."""
    for _ in range(FAILURE_THRESHOLD - 1):
        clock.advance(0.01)
        started = clock.now
        clock.advance(0.01)
        for _ in range(1000):
            assert not breaker.record_failure(UNAVAILABLE, started)
    clock.advance(0.01)
    assert breaker.record_failure(UNAVAILABLE, clock.now)


def test_of_many_threads_that_time_out_together_one_opens_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """The log has one line for it."""
    outcomes = at_once(50, lambda: breaker.record_failure(TIMED_OUT, clock.now))
    assert ([True], 1, True) == ([one for one in outcomes if one], breaker.openings, breaker.is_open)


def test_another_connection_to_the_same_place_opens_with_it(clock: Clock) -> None:
    """It need not find out the same at the same price, unless a call on it was answered since."""
    failed, idle, alive = (open_circuit(CircuitBreaker(), clock), CircuitBreaker(), CircuitBreaker())
    alive.last_success = clock.now
    for other in (idle, alive):
        other.open_with(failed, clock.now)
    assert ([True, False], [0, 0]) == (
        [idle.is_open, alive.is_open],
        [idle.openings, alive.openings],
    )
    assert str(failed.refusal()) == str(idle.refusal())
    began = clock.now
    next_probe(idle, clock).end(has_succeeded=True)
    failed.close(began)
    assert [False, False] == [idle.is_open, failed.is_open]
    clock.advance(0.01)
    assert failed.record_failure(TIMED_OUT, clock.now)


def test_the_control_plane_opens_nothing(clock: Clock) -> None:
    """A flush may take a minute, and proves nothing of gets and sets."""
    breaker = Unbroken()
    for _ in range(2 * FAILURE_THRESHOLD):
        clock.advance(0.1)
        assert not breaker.record_failure(TIMED_OUT, clock.now)
    assert not breaker.is_open


class Interrupted(BaseException):
    """As the handler of a signal may raise, wherever its thread is."""


def interrupts(act: Callable[[], object]) -> Iterator[None]:
    """Raise at each instruction of the breaker in turn, until an action has fewer."""
    for number in itertools.count():
        left = number

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal left
            if frame.f_code.co_filename != module.__file__:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                left -= 1
                if left < 0:
                    sys.settrace(None)
                    raise Interrupted
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            act()
        except Interrupted:
            interrupted = True
        else:
            interrupted = False
        finally:
            sys.settrace(before)
        if not interrupted:
            return
        yield


def test_an_exception_at_any_instruction_leaves_a_breaker_that_opens_and_closes(clock: Clock) -> None:
    """A signal's handler may raise anywhere: no breaker stays open, and none stops counting."""
    breaker = CircuitBreaker()

    def an_outage() -> None:
        clock.advance(FAILURE_WINDOW)
        for _ in range(FAILURE_THRESHOLD):
            clock.advance(0.01)
            breaker.record_failure(UNAVAILABLE, clock.now)
        next_probe(breaker, clock).end(has_succeeded=False)
        next_probe(breaker, clock).end(has_succeeded=True)

    for _ in interrupts(an_outage):
        if breaker.is_open:
            clock.advance(PROBE_LEASE)
            next_probe(breaker, clock).end(has_succeeded=True)
        breaker.last_success = clock.now
        an_outage()
        assert not breaker.is_open
