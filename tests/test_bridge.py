"""Futures of other threads, awaited on whichever event loop is running."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Thread
from typing import Any

import pytest

from django_momento.bridge import awaited


def settled_elsewhere(future: Future[str], **outcome: Any) -> None:
    """Settle a future from another thread, as gRPC does."""
    settle = future.set_exception if "error" in outcome else future.set_result
    thread = Thread(target=settle, args=tuple(outcome.values()))
    thread.start()
    thread.join()


def test_a_result_arrives_from_another_thread() -> None:
    """What a thread of gRPC's sets wakes the task that waits."""

    async def main() -> str:
        future: Future[str] = Future()
        waiter = awaited(future)
        settled_elsewhere(future, result="answer")
        return str(await waiter)

    assert asyncio.run(main()) == "answer"


def test_an_error_arrives_from_another_thread() -> None:
    """What failed there is raised here."""

    async def main() -> None:
        future: Future[str] = Future()
        waiter = awaited(future)
        settled_elsewhere(future, error=LookupError("there"))
        await waiter

    with pytest.raises(LookupError, match="there"):
        asyncio.run(main())


def test_a_future_that_is_done_already_is_awaited_all_the_same() -> None:
    """An answer may be faster than the task."""

    async def main() -> str:
        future: Future[str] = Future()
        future.set_result("answer")
        return str(await awaited(future))

    assert asyncio.run(main()) == "answer"


@pytest.mark.parametrize("shared", [True, False])
def test_cancelling_the_task_cancels_what_only_it_waits_for(shared: bool) -> None:
    """A request that is gone does not keep its RPC; what others wait for too goes on."""

    async def main() -> Future[str]:
        future: Future[str] = Future()
        waiter = awaited(future, shared=shared)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        return future

    future = asyncio.run(main())
    assert future.cancelled() is not shared


def test_an_answer_after_a_cancellation_is_dropped() -> None:
    """The answer may be on its way when the task is cancelled."""

    async def main() -> None:
        future: Future[str] = Future()
        waiter = awaited(future, shared=True)
        settled_elsewhere(future, result="late")
        waiter.cancel()
        await asyncio.sleep(0)
        assert waiter.cancelled()

    asyncio.run(main())


def test_an_answer_to_a_closed_loop_is_dropped() -> None:
    """A loop may end while calls are in flight; their answers find nobody, and nothing breaks."""
    future: Future[str] = Future()

    async def main() -> None:
        awaited(future, shared=True)

    asyncio.run(main())
    settled_elsewhere(future, result="nobody waits")
    assert future.result() == "nobody waits"
