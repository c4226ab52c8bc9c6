"""Threads that are shared, used again, and gone when there is nothing to read."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import wait
from queue import Empty
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import readers
from django_momento.client.readers import Readers, Threads
from django_momento.local import LocalServer
from tests.kit.starting import on_this_thread
from tests.kit.tables import table

HANG_GUARD = 60


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Threads of this test's own, which stay while it lasts."""
    threads = Threads(idle=HANG_GUARD)
    monkeypatch.setattr(readers, "threads", threads)
    return threads


def idle(threads: Threads, count: int) -> None:
    """Wait until so many threads are idle."""
    deadline = time.monotonic() + HANG_GUARD
    while threads.idle != count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_results_and_errors_come_back(threads: Threads) -> None:
    """As from an executor of Python's."""
    pool = Readers(2)
    assert pool.submit(max, 1, 2).result(HANG_GUARD) == 2
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(HANG_GUARD)


def test_many_channels_share_one_idle_thread(threads: Threads) -> None:
    """One after another, as in tests that have a server each."""
    used = set()
    for _ in range(40):
        used.add(Readers(32).submit(threading.get_ident).result(HANG_GUARD))
        idle(threads, 1)
    assert len(used) == 1


def test_a_server_for_each_test_leaves_no_threads(threads: Threads) -> None:
    """One thread for all async batches, however many servers there were."""
    before = set(threading.enumerate())
    for _ in range(10):
        with LocalServer(caches=["cache"]) as server:
            options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
            cache = MomentoCache("cache", {"OPTIONS": options})
            assert asyncio.run(cache.aget_many(["a", "b"])) == {}
        idle(threads, 1)
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left] == ["momento-reader"]


def test_a_thread_ends_when_it_was_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """And another is started for the next function."""
    monkeypatch.setattr(readers, "threads", Threads(idle=0.001))
    for _ in range(3):
        thread = Readers(1).submit(threading.current_thread).result(HANG_GUARD)
        thread.join(HANG_GUARD)
        assert not thread.is_alive()


def test_a_channel_has_at_most_so_many_at_a_time(threads: Threads) -> None:
    """Further functions wait for them, in order, and other channels do not."""
    pool, go = Readers(3), threading.Event()
    running: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        go.wait(HANG_GUARD)
        return number

    futures = [pool.submit(work, number) for number in range(10)]
    assert Readers(3).submit(int, "7").result(HANG_GUARD) == 7
    deadline = time.monotonic() + HANG_GUARD
    while len(running) < 3:
        assert time.monotonic() < deadline
    assert sorted(running) == [0, 1, 2]
    go.set()
    assert [future.result(HANG_GUARD) for future in futures] == list(range(10))


def test_a_function_that_waits_can_be_cancelled(threads: Threads) -> None:
    """It is not called, and those behind it are."""
    pool, go = Readers(1), threading.Event()
    called: list[int] = []
    first: Any = pool.submit(go.wait, HANG_GUARD)
    second, third = pool.submit(called.append, 2), pool.submit(called.append, 3)
    assert second.cancel()
    go.set()
    wait([first, third], HANG_GUARD)
    assert called == [3]


@table("is_late", [True, False], afresh=True)
def test_a_thread_waits_for_a_function_that_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """Somebody may choose a thread just before it would have ended. If no function comes, it ends then."""
    called: list[threading.Thread] = []

    class Queue:
        """Loses a race at each odd call: the thread is chosen, and its function is not yet there."""

        gets = 0

        def put(self, function: Any) -> None:
            self.function = function

        def get(self, timeout: float) -> Any:
            self.gets += 1
            if self.gets == 1:
                threads.run(call)
                raise Empty
            if self.gets == 2 and is_late:
                return self.function
            raise Empty

    def call() -> None:
        called.append(threading.current_thread())

    queue = Queue()
    monkeypatch.setattr(readers, "SimpleQueue", lambda: queue)
    threads = Threads()
    threads.run(call)
    deadline = time.monotonic() + HANG_GUARD
    while not called or called[0].is_alive():
        assert time.monotonic() < deadline
    assert called == [called[0]] * (2 if is_late else 1)
    assert queue.gets == (3 if is_late else 2)


def test_no_function_is_forgotten_however_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """From eight threads at once, while threads keep ending because they were idle."""
    monkeypatch.setattr(readers, "threads", Threads(idle=0.0001))
    pools = [Readers(2) for _ in range(3)]
    futures: list[Any] = []

    def submit() -> None:
        for number in range(500):
            futures.append(pools[number % 3].submit(int))
            if number % 50 == 0:
                time.sleep(0.001)

    submitting = [threading.Thread(target=submit) for _ in range(8)]
    for thread in submitting:
        thread.start()
    for thread in submitting:
        thread.join(HANG_GUARD)
    assert len(futures) == 4000
    assert wait(futures, HANG_GUARD).not_done == set()


def test_a_thread_that_cannot_start_is_an_error_and_the_next_may(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container at its limit of processes, which others may leave again."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = Readers(2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(refuse))
        for _ in range(5):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                pool.submit(int)
    assert pool.submit(int).result(HANG_GUARD) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own(threads: Threads) -> None:
    """Those that were idle in the parent do not exist in it."""
    Readers(1).submit(int).result(HANG_GUARD)
    idle(threads, 1)
    child = os.fork()
    if not child:
        try:
            os._exit(Readers(1).submit(int, "7").result(HANG_GUARD))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert Readers(1).submit(int).result(HANG_GUARD) == 0
