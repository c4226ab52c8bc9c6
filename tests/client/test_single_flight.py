"""One run at a time, whose result all callers share, and whose interruption concerns one thread alone."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_momento.client.single_flight import OwnFlight, SingleFlight
from tests.kit.waiting import HANG_GUARD, eventually, once_it_waits


class TimeLimit(Exception):
    """As a task queue raises it from the handler of a signal."""


def raise_limit(signum: int, frame: object) -> None:
    raise TimeLimit


def test_an_interrupted_run_is_taken_over_by_a_caller_that_waits() -> None:
    """A time limit of one request must not fail the others, and not reach their threads."""
    begun, us = threading.Event(), threading.get_ident()
    runs: list[int] = []
    waiting: list[int] = []

    def function() -> str:
        runs.append(threading.get_ident())
        if len(runs) == 1:
            begun.set()
            threading.Event().wait(HANG_GUARD)
        return "the key"

    flight = SingleFlight(function, "test")

    def wait() -> str:
        assert begun.wait(HANG_GUARD)
        waiting.append(threading.get_ident())
        return flight.run()

    async def await_it() -> str:
        await asyncio.to_thread(begun.wait, HANG_GUARD)
        waiting.append(threading.get_ident())
        return await flight.arun()

    def interrupt() -> None:
        eventually(lambda: len(waiting) == 5)
        signal.pthread_kill(us, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, raise_limit)
    try:
        with ThreadPoolExecutor(6) as pool:
            results = [pool.submit(wait) for _ in range(4)] + [pool.submit(asyncio.run, await_it())]
            with once_it_waits(interrupt), pytest.raises(TimeLimit):
                flight.run()
            assert ["the key"] * 5 == [future.result(HANG_GUARD) for future in results]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert threading.get_ident() == runs[0]
    assert not flight.is_running


def test_a_failure_is_shared_by_all_that_wait() -> None:
    """An error of the function itself is the error of the run."""
    calls: list[None] = []

    def function() -> str:
        calls.append(None)
        raise LookupError("no key")

    flight = SingleFlight(function, "test")
    for act in (flight.run, lambda: asyncio.run(flight.arun())):
        with pytest.raises(LookupError):
            act()
    assert 2 == len(calls)


def test_a_run_that_waits_for_itself_is_told_so() -> None:
    """On its own thread, and in a task that it runs."""

    def function() -> None:
        flight.run()

    flight = SingleFlight(function, "test")
    for act in (flight.run, lambda: asyncio.run(flight.arun())):
        with pytest.raises(OwnFlight):
            act()
    assert not flight.is_running
