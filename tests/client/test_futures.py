"""Futures of other threads, awaited on whichever event loop is running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any
from unittest import mock

import pytest

from django_momento.client import futures
from django_momento.client.futures import split_wait, wait_for
from tests.kit.sites import eventually
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD


def settled_elsewhere(*pending: Future[str]) -> None:
    """Settle futures from another thread, as gRPC does."""

    def settle() -> None:
        for future in pending:
            future.set_result("answer")

    thread = Thread(target=settle)
    thread.start()
    thread.join()


def test_an_answer_arrives_from_another_thread() -> None:
    """What a thread of gRPC's sets wakes the task that waits."""

    async def main() -> str:
        future: Future[str] = Future()
        waiting = asyncio.ensure_future(wait_for((future,)))
        await asyncio.sleep(0)
        settled_elsewhere(future)
        await waiting
        return future.result()

    assert "answer" == asyncio.run(main())


def test_a_future_that_failed_has_arrived_too() -> None:
    """Its error is for whoever reads it."""

    async def main() -> Future[str]:
        future: Future[str] = Future()
        future.set_exception(LookupError("there"))
        await wait_for((future,))
        return future

    assert isinstance(asyncio.run(main()).exception(), LookupError)


def test_a_future_that_is_done_already_is_awaited_all_the_same() -> None:
    """An answer may be faster than the task."""

    async def main() -> None:
        future: Future[str] = Future()
        future.set_result("answer")
        await wait_for((future,))

    asyncio.run(asyncio.wait_for(main(), HANG_GUARD))


def test_several_are_awaited_until_the_last_has_arrived() -> None:
    """One that is missing keeps the task waiting."""

    async def main() -> None:
        several: list[Future[str]] = [Future() for _ in range(3)]
        waiting = asyncio.ensure_future(wait_for(several))
        await asyncio.sleep(0)
        settled_elsewhere(*several[:2])
        await asyncio.sleep(0)
        assert not waiting.done()
        settled_elsewhere(several[2])
        assert await waiting

    asyncio.run(main())


def test_a_wait_ends_with_its_timeout() -> None:
    """A future that is never done keeps nobody waiting."""

    async def main() -> bool:
        done: Future[str] = Future()
        done.set_result("answer")
        return await wait_for([done, Future()], timeout=0.01)

    assert not asyncio.run(main())


def test_a_future_that_is_done_soon_after_the_process_goes_on_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The timer of a process that was stopped is due before its other threads have delivered anything."""
    timers: list[Callable[[], object]] = []

    def call_later(loop: object, seconds: float, callback: Callable[[], object]) -> Any:
        timers.append(callback)
        return mock.Mock()

    async def main(is_in_time: bool) -> bool:
        timers.clear()
        future: Future[str] = Future()
        waiting = asyncio.ensure_future(wait_for((future,), timeout=1.0))
        await asyncio.sleep(0)
        timers[-1]()
        if is_in_time:
            settled_elsewhere(future)
        else:
            timers[-1]()
        return await waiting

    monkeypatch.setattr(futures, "call_later", call_later)
    assert [True, False] == [asyncio.run(main(is_in_time)) for is_in_time in (True, False)]


def test_a_thread_waits_a_last_moment_for_a_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the first part of its wait was over at once, as in a process that was stopped."""
    monkeypatch.setattr(futures, "split_wait", lambda seconds: (0.0, HANG_GUARD))
    future: Future[str] = Future()
    thread = Thread(target=settled_elsewhere, args=(future,))
    thread.start()
    assert futures.wait_on_this_thread(future, 1.0)
    thread.join()
    assert (0.8, 0.2) == pytest.approx(split_wait(1.0))
    assert [(0.05, 0.05), (0.0, 0.0)] == [split_wait(0.1), split_wait(0.0)]


def test_nothing_to_wait_for_is_no_wait() -> None:
    """As when no call of a list could be sent."""
    assert asyncio.run(asyncio.wait_for(wait_for([]), HANG_GUARD))


@table("shared", [True, False])
def test_cancelling_the_task_cancels_what_only_it_waits_for(shared: bool) -> None:
    """A request that is gone does not keep its RPC; what others wait for too goes on."""

    async def main() -> list[Future[str]]:
        both: list[Future[str]] = [Future(), Future()]
        waiting = asyncio.ensure_future(wait_for(both, shared=shared))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return both

    awaited = asyncio.run(main())
    if shared:
        assert not any(future.cancelled() for future in awaited)
    else:
        # On a thread, for which a busy machine makes the task wait too short a time.
        eventually(lambda: all(future.cancelled() for future in awaited))


def test_an_answer_after_a_cancellation_is_dropped() -> None:
    """The answer may be on its way when the task is cancelled."""

    async def main() -> None:
        future: Future[str] = Future()
        waiting = asyncio.ensure_future(wait_for((future,), shared=True))
        await asyncio.sleep(0)
        settled_elsewhere(future)
        waiting.cancel()
        await asyncio.sleep(0)
        assert waiting.cancelled()

    asyncio.run(main())


def test_an_answer_to_a_closed_loop_is_dropped() -> None:
    """A loop may end while calls are in flight; their answers find nobody, and nothing breaks."""
    future: Future[str] = Future()

    async def main() -> None:
        waiting = asyncio.ensure_future(wait_for((future,), shared=True))
        await asyncio.sleep(0)
        assert not waiting.done()

    asyncio.run(main())
    settled_elsewhere(future)
    assert "answer" == future.result()
