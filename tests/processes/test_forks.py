"""Children that are forked by hand and by multiprocessing, whatever their parent is doing at that moment."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.processes import ROOT, environment, run
from tests.kit.waiting import HANG_GUARD


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


def test_a_forked_child_makes_its_own_connections(address: str) -> None:
    """gunicorn forks after the application was loaded, and perhaps used: both sides go on working."""
    run("forked_children", "connections", address=address)


def test_a_forked_child_has_an_embedded_server_of_its_own(address: str) -> None:
    """It sees nothing of its parent's, and changes nothing of it."""
    run("forked_children", "embedded_server", address=address)


def test_a_child_that_is_forked_in_a_flight_computes_for_itself(address: str) -> None:
    """Neither leader nor waiters of its parent exist in the child."""
    run("forked_children", "flight", address=address)


def test_a_forked_child_asks_for_versions_of_its_own(address: str) -> None:
    """And waits for no question of its parent."""
    run("forked_children", "versions_of_tags", address=address)


def test_children_forked_after_threads_were_exhausted_all_work(address: str) -> None:
    """A thread waits in gRPC for the calls of the old channel, and leaves it before a fork."""
    ended = run("forks_after_exhaustion", address=address)
    assert {"statuses": [0] * 10, "parent": "value"} == json.loads(ended.stdout)
    # gRPC's words for a child, and a parent, that may crash at any later call.
    assert "skipping fork() handlers" not in ended.stderr


@pytest.mark.parametrize("face", ["calls", "batches"])
def test_ten_thousand_interrupted_calls_leave_no_call_in_flight(address: str, face: str) -> None:
    """Signals whose handlers raise, as a Celery soft time limit does: each later fork would wait for them."""
    # A connection that an interrupt has broken keeps a thread busy until the deadline of its calls. There are
    # hundreds of them, and a slow machine would do nothing else.
    result = json.loads(run("interrupted", face, "10000", address=address, CLIENT_TIMEOUT="10").stdout)
    assert {"in_flight": 0, "works": True} == result


def test_handlers_of_signals_may_call_and_fork_in_an_outage() -> None:
    """Wherever their thread is in a call: no handler waits for a lock that its own thread holds."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = json.loads(run("handlers", address=f"127.0.0.1:{closed.getsockname()[1]}").stdout)
    assert 0 == result["in_flight"]
    assert result["handled"] >= 500
    assert {"CircuitOpen", "ServerUnavailable"} >= set(result["errors"])


def test_a_thousand_interrupted_forks_leave_the_gate_open(address: str) -> None:
    """An exception from before a fork, or from after it: later calls would wait for its end for ever."""
    result = json.loads(run("interrupted", "forks", "1000", address=address).stdout)
    assert {"in_flight": 0, "works": True} == result


def test_parallel_workers_of_the_test_runner_share_no_embedded_server(tmp_path: Path) -> None:
    """``manage.py test --parallel`` forks its workers after the parent has used the cache."""
    tested = subprocess.run(
        [sys.executable, "-m", "django", "test", "--parallel", "2", "tests.processes.parallel_suite"],
        cwd=ROOT,
        env=environment("embedded", MEETING=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "Ran 2 tests" in tested.stderr
    assert len(list(tmp_path.glob("set-*"))) == 2
