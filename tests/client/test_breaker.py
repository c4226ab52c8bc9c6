"""The circuit breaker, on a clock that the tests move."""

from __future__ import annotations

import gc
import random
import weakref

import pytest

from django_momento import exceptions
from django_momento.client import breaker as module
from django_momento.client.breaker import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LONGEST_RUN,
    LONGEST_SPELL,
    CircuitBreaker,
)
from django_momento.exceptions import (
    CallTimedOut,
    CircuitOpen,
    LimitExceeded,
    MomentoCacheError,
    ServerUnavailable,
    TransportError,
)
from tests.kit.at_once import at_once
from tests.kit.clock import Clock

TIMED_OUT = CallTimedOut("No answer.", "Check the network.")
UNAVAILABLE = ServerUnavailable("No connection.", "Check ENDPOINT.")

ANSWERS = [
    kind
    for kind in vars(exceptions).values()
    if isinstance(kind, type) and issubclass(kind, MomentoCacheError) and not issubclass(kind, TransportError)
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def whole_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause is as long as it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker()


def opened(breaker: CircuitBreaker, clock: Clock) -> CircuitBreaker:
    assert breaker.failed(TIMED_OUT, clock.now)
    return breaker


def seconds_to_probe(breaker: CircuitBreaker, clock: Clock) -> float:
    """Let time pass until a probe may be sent; answer how much of it did."""
    start = clock.now
    while not breaker.may_probe():
        clock.advance(0.001)
        assert clock.now - start < 2 * LONGEST_PAUSE
    return clock.now - start


def test_it_is_closed_at_first(breaker: CircuitBreaker) -> None:
    """Nobody is refused, and nothing is to be found out."""
    assert (False, 0, False) == (breaker.is_open, breaker.openings, breaker.may_probe())


def test_one_call_that_times_out_opens_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """A second call need not find out the same at the same price."""
    assert breaker.failed(TIMED_OUT, clock.now)
    assert (True, 1) == (breaker.is_open, breaker.openings)


@pytest.mark.parametrize("later", [0.0, 0.001], ids=["with it", "later"])
def test_a_timeout_while_others_are_answered_does_not_open_it(
    breaker: CircuitBreaker, clock: Clock, later: float
) -> None:
    """One call was slow, but Momento is there: one that started no sooner was answered."""
    breaker.last_success = clock.now + later
    assert not breaker.failed(TIMED_OUT, clock.now)
    assert not breaker.is_open


def test_an_answer_to_an_earlier_call_excuses_no_timeout(breaker: CircuitBreaker, clock: Clock) -> None:
    """Momento was there before, which says nothing of now."""
    breaker.last_success = clock.now - 0.001
    assert breaker.failed(TIMED_OUT, clock.now)


def test_a_run_of_calls_that_cannot_be_sent_opens_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """Such calls fail within milliseconds, so that a few may pass."""
    outcomes = []
    for _ in range(LONGEST_RUN):
        clock.advance(0.01)
        outcomes.append(breaker.failed(UNAVAILABLE, clock.now))
    assert [False] * (LONGEST_RUN - 1) + [True] == outcomes


def test_a_process_that_calls_seldom_needs_no_whole_run(breaker: CircuitBreaker, clock: Clock) -> None:
    """Or it would meet the same dead connection for minutes after Momento is back."""
    assert not breaker.failed(UNAVAILABLE, clock.now)
    clock.advance(LONGEST_SPELL)
    assert not breaker.failed(UNAVAILABLE, clock.now)
    clock.advance(0.01)
    assert breaker.failed(UNAVAILABLE, clock.now)


def test_an_answer_ends_the_run(breaker: CircuitBreaker, clock: Clock) -> None:
    """A server that refuses some calls and answers others is not given up."""
    for _ in range(10):
        for _ in range(LONGEST_RUN - 1):
            clock.advance(0.01)
            assert not breaker.failed(UNAVAILABLE, clock.now)
        clock.advance(0.01)
        breaker.last_success = clock.now
        clock.advance(LONGEST_SPELL)


@pytest.mark.parametrize("kind", ANSWERS)
def test_whatever_momento_answers_never_opens_it(
    breaker: CircuitBreaker, clock: Clock, kind: type[MomentoCacheError]
) -> None:
    """A limit that was hit, a key that was refused, a cache that is missing: Momento is there."""
    for _ in range(20 * LONGEST_RUN):
        clock.advance(0.01)
        assert not breaker.failed(kind("No."), clock.now)
    assert (False, 0) == (breaker.is_open, breaker.openings)


def test_a_limit_that_was_hit_ends_a_run_of_failures(breaker: CircuitBreaker, clock: Clock) -> None:
    """It is an answer like any other."""
    for _ in range(4 * LONGEST_RUN):
        clock.advance(0.01)
        assert not breaker.failed(UNAVAILABLE, clock.now)
        clock.advance(0.01)
        assert not breaker.failed(LimitExceeded("Too many."), clock.now)


def test_failures_while_it_is_open_change_nothing(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """Calls in flight when it opened fail one after the other: they neither count nor put off the probe."""
    opened(breaker, clock)
    for _ in range(10):
        clock.advance(FIRST_PAUSE / 10)
        assert not breaker.failed(TIMED_OUT, clock.now - 1)
    assert 1 == breaker.openings
    assert pytest.approx(0, abs=0.002) == seconds_to_probe(breaker, clock)


def test_its_refusal_says_what_happened_and_what_to_do(breaker: CircuitBreaker, clock: Clock) -> None:
    """Whoever reads only the refusals in the log learns the reason all the same."""
    refusal = opened(breaker, clock).refusal()
    assert isinstance(refusal, CircuitOpen)
    assert refusal.cause.endswith("because of: No answer.")
    assert "Check the network." == refusal.fix


def test_it_keeps_nothing_of_the_call_that_opened_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """An error keeps the frames it was raised in, and they the connection that is to be given up."""

    class Timeout(CallTimedOut):
        pass

    error = Timeout("No answer.")
    gone = weakref.ref(error)
    breaker.failed(error, clock.now)
    gc.disable()
    try:
        del error
        assert gone() is None
    finally:
        gc.enable()


def test_one_of_many_threads_may_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    """A Momento that is down, or just back, is asked once at a time."""
    opened(breaker, clock)
    clock.advance(FIRST_PAUSE)
    assert [False] * 49 + [True] == sorted(at_once(50, breaker.may_probe))
    clock.advance(100)
    assert not breaker.may_probe()
    breaker.probed(answered=False)
    clock.advance(LONGEST_PAUSE)
    assert breaker.may_probe()


def test_the_pauses_between_probes_grow_to_the_longest(
    breaker: CircuitBreaker, clock: Clock, whole_pauses: None
) -> None:
    """A short outage is over soon, and a long one costs little."""
    opened(breaker, clock)
    pauses = []
    for _ in range(5):
        pauses.append(seconds_to_probe(breaker, clock))
        breaker.probed(answered=False)
    expected = [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(5)]
    assert pytest.approx(expected, abs=0.002) == pauses
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE, abs=0.002)


def test_the_pauses_of_two_processes_differ(clock: Clock) -> None:
    """A fleet that met an outage together does not come back together."""
    pauses = []
    for _ in range(100):
        breaker = opened(CircuitBreaker(), clock)
        pauses.append(seconds_to_probe(breaker, clock))
    assert FIRST_PAUSE / 2 <= min(pauses) < max(pauses) <= FIRST_PAUSE + 0.002


def test_an_answer_to_a_probe_closes_it(breaker: CircuitBreaker, clock: Clock, whole_pauses: None) -> None:
    """And the next outage is a new one, with the first pause and a whole run."""
    opened(breaker, clock)
    for answered in (False, False, True):
        seconds_to_probe(breaker, clock)
        breaker.probed(answered)
    assert not breaker.is_open
    assert not breaker.may_probe()
    for _ in range(LONGEST_RUN - 1):
        clock.advance(0.01)
        assert not breaker.failed(UNAVAILABLE, clock.now)
    clock.advance(0.01)
    assert breaker.failed(UNAVAILABLE, clock.now)
    assert 2 == breaker.openings
    assert pytest.approx(FIRST_PAUSE, abs=0.002) == seconds_to_probe(breaker, clock)


def test_calls_from_before_a_probe_do_not_open_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    """They are in flight over connections of the time before, and time out when Momento is long back."""
    before = clock.now
    opened(breaker, clock)
    seconds_to_probe(breaker, clock)
    breaker.probed(answered=True)
    clock.advance(0.5)
    for _ in range(2 * LONGEST_RUN):
        assert not breaker.failed(TIMED_OUT, before)
        assert not breaker.failed(UNAVAILABLE, before)
    assert not breaker.is_open
    assert breaker.failed(TIMED_OUT, clock.now)
