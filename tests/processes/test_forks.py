"""Children that are forked by hand and by multiprocessing, whatever their parent is doing at that moment."""

from __future__ import annotations

import json

import pytest

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


@pytest.mark.parametrize("face", ["calls", "batches"])
def test_ten_thousand_interrupted_calls_leave_no_call_in_flight(address: str, face: str) -> None:
    """Signals whose handlers raise, as a Celery soft time limit does: each later fork would wait for them."""
    result = json.loads(run("interrupted", face, "10000", address=address).stdout)
    assert {"in_flight": 0, "works": True} == result


def test_a_thousand_interrupted_forks_leave_the_gate_open(address: str) -> None:
    """An exception from before a fork, or from after it: later calls would wait for its end for ever."""
    result = json.loads(run("interrupted", "forks", "1000", address=address).stdout)
    assert {"in_flight": 0, "works": True} == result
