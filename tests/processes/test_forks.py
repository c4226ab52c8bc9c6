"""Children that are forked by hand and by multiprocessing, whatever their parent is doing at that moment."""

from __future__ import annotations

import json
import logging

import pytest

from django_momento.client import fork_gate
from tests.processes.running import run


def test_a_forked_pool_and_its_parent_both_use_the_cache(address: str) -> None:
    """multiprocessing's fork: the cache works in the parent before, in four children, in the parent after."""
    run("pool", address=address)


def test_children_forked_under_load_all_work(address: str) -> None:
    """Four threads and twenty tasks are calling: no child crashes or hangs, no call of the parent fails."""
    result = json.loads(run("forks_under_load", address=address).stdout)
    assert result["failures"] == {}
    assert result["statuses"] == [[0, 200]]


def test_a_child_forked_while_the_sdk_is_imported_works(address: str) -> None:
    """A thread in its first call holds import locks, which a child must not inherit locked."""
    run("fork_while_connecting", address=address)


def test_a_fork_that_could_not_wait_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that crashes because a server hung has its reason in the parent's log, once."""
    monkeypatch.setattr(fork_gate, "LONGEST_WAIT", 0.01)
    gate = fork_gate.ForkGate()
    gate.enter()
    for _ in range(2):
        gate.before_fork()
        gate.after_fork_in_parent()
        gate._in_flight = 0
    assert [(record.levelno, record.name) for record in caplog.records] == [
        (logging.WARNING, "django_momento")
    ]
    assert "in flight (1), which had not ended after 0.01 s" in caplog.text


def test_the_handler_of_a_signal_may_fork_and_call() -> None:
    """A signal may arrive while its thread holds the gate's lock: nothing waits for itself."""
    gate = fork_gate.ForkGate()
    with gate._lock:
        gate.before_fork()
        gate.after_fork_in_parent()
        with gate:
            pass
