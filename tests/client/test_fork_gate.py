"""The gate that keeps forks and calls apart."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread, get_ident
from types import FrameType
from typing import Any

import pytest

from django_momento.client import fork_gate
from django_momento.client.fork_gate import ForkGate
from tests.kit.collecting import no_collection
from tests.kit.tables import table

# No thread has it.
ANOTHER_THREAD = -1


class Interrupted(BaseException):
    """As the handler of a signal may raise, wherever its thread is."""


@pytest.fixture
def forking_threads() -> list[int]:
    return []


@pytest.fixture
def gate(forking_threads: list[int]) -> ForkGate:
    return ForkGate(forking_threads)


def running(target: Callable[..., object]) -> Thread:
    thread = Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_a_call_waits_while_another_thread_forks(
    gate: ForkGate, forking_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is sent between the two ends of a fork, or of the longer one of two."""
    monkeypatch.setattr(fork_gate, "MAX_HOLD", 60.0)
    entered = Event()
    forking_threads += [ANOTHER_THREAD, ANOTHER_THREAD - 1]
    call = running(lambda: (gate.enter(), entered.set()))
    assert not entered.wait(0.05)
    forking_threads.pop()
    assert not entered.wait(0.05)
    forking_threads.pop()
    assert entered.wait(60)
    call.join()


def test_a_call_does_not_wait_for_ever(
    gate: ForkGate, forking_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork may hang in a handler of somebody else's; the call is in flight then, so the fork knows."""
    monkeypatch.setattr(fork_gate, "MAX_HOLD", 0.01)
    forking_threads.append(ANOTHER_THREAD)
    with gate.enter():
        assert 1 == gate.in_flight
    assert 0 == gate.in_flight


def test_a_thread_that_forks_may_call(
    gate: ForkGate, forking_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler of a signal, or of fork, that calls would wait for its own thread."""
    monkeypatch.setattr(fork_gate, "MAX_HOLD", float("inf"))
    forking_threads += [ANOTHER_THREAD, get_ident()]
    with gate.enter():
        pass


def test_a_fork_waits_for_calls_in_flight(gate: ForkGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork goes ahead when the last call has ended, however each of them ends."""
    monkeypatch.setattr(fork_gate, "MAX_WAIT", 60.0)
    first, forked = gate.enter(), Event()
    future: Future[None] = Future()
    future.add_done_callback(gate.enter().leave)
    fork = running(lambda: (gate.before_fork(), forked.set()))
    first.leave()
    assert not forked.wait(0.05)
    future.set_result(None)
    assert forked.wait(60)
    fork.join()


def test_a_fork_does_not_wait_for_ever(
    gate: ForkGate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that crashes because a server hung has its reason in the parent's log, once."""
    monkeypatch.setattr(fork_gate, "MAX_WAIT", 0.01)
    passage = gate.enter()
    for _ in range(2):
        gate.before_fork()
        gate.after_fork_in_parent()
        passage.leave()
    assert [(record.levelno, record.name) for record in caplog.records] == [
        (logging.WARNING, "django_momento")
    ]
    assert "in flight (1), which had not ended after 0.01 s" in caplog.text


def test_a_child_starts_with_an_open_gate(gate: ForkGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of the parent's threads are not in flight in the child, and their ends change nothing there."""
    passage = gate.enter()
    gate.after_fork_in_child()
    assert 0 == gate.in_flight
    ours = gate.enter()
    passage.leave()
    assert 1 == gate.in_flight
    ours.leave()


def test_a_failing_call_leaves_the_gate(gate: ForkGate) -> None:
    """An error is an end like any other."""
    with pytest.raises(LookupError), gate.enter():
        raise LookupError
    assert 0 == gate.in_flight


def test_a_call_that_leaves_twice_leaves_once(gate: ForkGate) -> None:
    """An interrupted cleanup may be done again; it does not take another call's place."""
    one, other = gate.enter(), gate.enter()
    one.leave()
    one.leave()
    assert 1 == gate.in_flight
    other.leave()


def test_a_passage_that_is_dropped_has_left(gate: ForkGate) -> None:
    """A call that was interrupted before it could say so is not in flight."""
    gate.enter()
    assert 0 == gate.in_flight


def call(gate: ForkGate) -> None:
    passage = gate.enter()
    try:
        len("sent")
    finally:
        passage.leave()


def call_in_a_with(gate: ForkGate) -> None:
    with gate.enter():
        len("sent")


@table("act", [call, call_in_a_with])
@table("forks", [[], [get_ident()]])
def test_an_exception_at_any_instruction_leaves_no_call_in_flight(act: Any, forks: list[int]) -> None:
    """A signal's handler may raise between any two instructions of the call and of the gate."""
    gate = ForkGate(forks)
    # Newer Pythons report instructions from the second time on that they are asked to.
    assert not interrupt_at(1_000_000, act, gate)
    interrupted = 0
    while interrupt_at(interrupted, act, gate):
        assert 0 == gate.in_flight, interrupted
        interrupted += 1
    assert interrupted > 20
    assert 0 == gate.in_flight


def interrupt_at(number: int, act: Any, gate: ForkGate) -> bool:
    """Raise at the instruction of that number of an action; return whether there were so many."""
    left = number

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if not left:
                sys.settrace(None)
                raise Interrupted
            left -= 1
        return trace

    before = sys.gettrace()
    with no_collection():
        sys.settrace(trace)
        try:
            act(gate)
        except Interrupted:
            return True
        finally:
            sys.settrace(before)
    return False
