"""Locks between processes: that run at once, are killed, or fork, and whose server is stopped meanwhile."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, local_options
from tests.kit.clock import Clock
from tests.kit.processes import Server, run

PROCESSES, THREADS = 6, 4
PREFIX = "shared"


@pytest.fixture
def momento() -> LocalServer:
    return LocalServer(caches=[CACHE_NAME])


def make_cache(momento: LocalServer) -> MomentoCache:
    return MomentoCache(CACHE_NAME, {"KEY_PREFIX": PREFIX, "OPTIONS": local_options(momento)})


def start(stack: ExitStack, folder: Path, momento: LocalServer, sections: int, timeout: int) -> list[Server]:
    program = ("tests.processes.programs.locked", str(folder / "inside"), str(sections), str(THREADS))
    return [
        stack.enter_context(
            Server(
                *program,
                str(timeout),
                log=folder / f"{number}.log",
                address=momento.address,
                CACHE_PREFIX=PREFIX,
            )
        )
        for number in range(PROCESSES)
    ]


def test_of_a_thousand_sections_in_six_processes_no_two_overlap(momento: LocalServer, tmp_path: Path) -> None:
    """A section that found another one inside would end its process with an error."""
    sections = 42
    with momento, ExitStack() as stack:
        for process in start(stack, tmp_path, momento, sections, timeout=3600):
            process.printed("(done)")
            assert process.output.count("section") == THREADS * sections
    assert PROCESSES * THREADS * sections > 1000


def test_no_two_sections_overlap_while_the_server_is_stopped_and_started(
    momento: LocalServer, tmp_path: Path
) -> None:
    """Whoever waits meets the outage, and nobody is locked out for longer than the lock's own timeout."""
    timeout = 10
    with momento, ExitStack() as stack:
        processes = start(stack, tmp_path, momento, 10, timeout)
        processes[0].printed("(section)")
        momento.stop(0)
        time.sleep(0.2)
        momento.start()
        for process in processes:
            process.printed("(done)")


def test_the_lock_of_a_killed_process_ends_by_itself(tmp_path: Path) -> None:
    """And not before."""
    clock = Clock()
    program = ("tests.processes.programs.holder", "3600")
    with LocalServer(caches=[CACHE_NAME], clock=clock.milliseconds) as momento:
        cache = make_cache(momento)
        with Server(*program, log=tmp_path / "log", address=momento.address, CACHE_PREFIX=PREFIX) as holder:
            holder.printed("(held)")
            holder.process.kill()
            holder.process.wait()
        lock = cache.lock("job", 3600, blocking=False)
        assert not lock.acquire()
        clock.advance(3600)
        assert lock.acquire()


def test_a_forked_child_does_not_hold_the_lock_of_its_parent(momento: LocalServer) -> None:
    """It can neither release it nor acquire it."""
    with momento:
        printed = run("forked_holder", address=momento.address).stdout
    assert "child ['owned: False, acquired: False']" in printed
    assert "parent owned: True" in printed
