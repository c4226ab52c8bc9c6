"""A Momento server in a process of its own, as far from all forks as a real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from django_momento.client.fork_gate import gate
from tests.kit.processes import Server
from tests.kit.waiting import patience

if sys.platform == "win32":
    collect_ignore_glob = ["test_*"]


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    arguments = ("django", "momento_local", "--port", "0", "--cache", "tests")
    with Server(*arguments, log=tmp_path_factory.mktemp("momento") / "log", address="none") as server:
        yield server.printed(r"Momento Local listening on (\S+)")
        assert server.terminate() == 0


@pytest.fixture(autouse=True)
def _nothing_in_flight() -> Iterator[None]:
    """Every call must end for the fork gate too, or each later fork waits for it in vain."""
    yield
    for _ in patience():
        if not gate.in_flight:
            return
    pytest.fail(f"{gate.in_flight} calls are still in flight")


@pytest.fixture
def address(_server: str) -> str:
    """The address of a Momento server that has the cache ``tests``."""
    return _server
