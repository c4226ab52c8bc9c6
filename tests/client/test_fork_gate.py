"""The gate that keeps forks and calls apart."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from django_momento.client import fork_gate
from django_momento.client.fork_gate import ForkGate


def running(target: object) -> Thread:
    thread = Thread(target=target, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_a_call_waits_while_a_fork_is_going_on() -> None:
    """Nothing new is sent between the two ends of a fork."""
    gate, entered = ForkGate(), Event()
    gate.before_fork()
    call = running(lambda: (gate.enter(), entered.set()))
    assert not entered.wait(0.05)
    gate.after_fork_in_parent()
    assert entered.wait(10)
    call.join()


def test_a_fork_waits_for_calls_in_flight() -> None:
    """A fork goes ahead when the last call has ended."""
    gate, forking = ForkGate(), Event()
    gate.enter(2)
    fork = running(lambda: (gate.before_fork(), forking.set()))
    gate.leave()
    assert not forking.wait(0.05)
    gate.leave()
    assert forking.wait(10)
    fork.join()


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer must not hang a fork."""
    monkeypatch.setattr(fork_gate, "LONGEST_WAIT", 0.01)
    gate = ForkGate()
    gate.enter()
    gate.before_fork()
    gate.after_fork_in_parent()
    gate.leave()


def test_two_forks_at_once_both_keep_the_gate_shut() -> None:
    """The first to end does not let calls into the other."""
    gate, entered = ForkGate(), Event()
    gate.before_fork()
    gate.before_fork()
    gate.after_fork_in_parent()
    call = running(lambda: (gate.enter(), entered.set()))
    assert not entered.wait(0.05)
    gate.after_fork_in_parent()
    assert entered.wait(10)
    call.join()


def test_a_child_starts_with_an_open_gate() -> None:
    """What was in flight in the parent is not in flight in the child, whoever held the lock."""
    gate = ForkGate()
    gate.enter()
    monkey = gate._lock
    monkey.acquire()
    gate.after_fork_in_child()
    with gate:
        pass
    gate.before_fork()
    gate.after_fork_in_parent()


def test_a_failing_call_leaves_the_gate() -> None:
    """An error is an end like any other."""
    gate = ForkGate()
    with pytest.raises(LookupError), gate:
        raise LookupError
    gate.before_fork()
    gate.after_fork_in_parent()
