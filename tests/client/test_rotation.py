"""A key that was refused is fetched again; on a clock that the tests move."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from django_momento.client.futures import wait_for
from django_momento.client.rotation import INITIAL_BACKOFF, MAX_BACKOFF, Rotation
from django_momento.exceptions import CredentialError
from tests.kit import rotating as fixtures
from tests.kit.aws import V2_KEY, shown_of
from tests.kit.clock import Clock
from tests.kit.rotating import HANG_GUARD, Holder, Source

clock, whole_pauses, source = fixtures.clock, fixtures.whole_pauses, fixtures.source
holder, rotation = fixtures.holder, fixtures.rotation


def test_a_key_that_was_refused_is_fetched_again(rotation: Rotation, source: Source, holder: Holder) -> None:
    """And put to use by the time that the one who asked goes on."""
    source.change("new")
    flight = rotation.refreshed()
    assert flight is not None
    assert flight.done()
    assert (["old", "new"], 1) == (holder.keys, rotation.replaced)


def test_threads_and_tasks_share_one_fetch(rotation: Rotation, source: Source, holder: Holder) -> None:
    """Fifty of each find the key refused at the same moment: one asks, and all go on when it is answered."""
    source.change("new")
    source.answering.clear()
    flights: list[Future[None] | None] = []

    def thread() -> list[str]:
        flights.append(flight := rotation.refreshed())
        assert flight is not None
        flight.result(HANG_GUARD)
        return list(holder.keys)

    async def task() -> list[str]:
        flights.append(flight := rotation.arefreshed())
        assert flight is not None
        await wait_for((flight,), shared=True)
        return list(holder.keys)

    async def tasks() -> list[list[str]]:
        return await asyncio.gather(*(task() for _ in range(50)))

    with ThreadPoolExecutor(51) as pool:
        threads = [pool.submit(thread) for _ in range(50)]
        loop = pool.submit(asyncio.run, tasks())
        # The thread whose fetch it is has no flight before it has landed.
        while len(flights) < 99:
            threading.Event().wait(0.01)
        source.answering.set()
        seen = [future.result(HANG_GUARD) for future in threads] + loop.result(HANG_GUARD)
    assert [["old", "new"]] * 100 == seen
    assert (1, 1) == (source.fetches, len(set(flights)))


def test_the_loop_goes_on_while_a_task_fetches(rotation: Rotation, source: Source) -> None:
    """The fetch has a thread of its own, and a task that is cancelled leaves it to the others."""
    source.answering.clear()

    async def task() -> None:
        flight = rotation.arefreshed()
        assert flight is not None
        await wait_for((flight,), shared=True)

    async def main() -> None:
        first, second = asyncio.ensure_future(task()), asyncio.ensure_future(task())
        await asyncio.to_thread(source.begun.wait, HANG_GUARD)
        first.cancel()
        await asyncio.sleep(0)
        assert (True, False) == (first.cancelled(), second.done())
        source.answering.set()
        await second

    asyncio.run(main())
    assert 1 == source.fetches


def test_a_cool_down_follows_every_fetch(
    rotation: Rotation, source: Source, clock: Clock, whole_pauses: None
) -> None:
    """A key that is refused and has no successor is asked for ever more rarely, by however many calls."""
    asked_at = []
    for _ in range(4000):
        before = source.fetches
        rotation.refreshed()
        if source.fetches > before:
            asked_at.append(clock.now)
        clock.advance(0.1)
    pauses = [later - sooner for sooner, later in itertools.pairwise(asked_at)]
    assert pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60][: len(pauses)], abs=0.11) == pauses
    assert len(pauses) >= 9
    assert (1.0, 60.0) == (INITIAL_BACKOFF, MAX_BACKOFF)


def test_a_new_key_makes_the_cool_down_short_again(
    rotation: Rotation, source: Source, holder: Holder, clock: Clock, whole_pauses: None
) -> None:
    """But there is one: rotations do not follow each other within a second."""
    for _ in range(5):
        rotation.refreshed()
        clock.advance(MAX_BACKOFF)
    source.change("new")
    assert rotation.refreshed() is not None
    assert "new" == holder.keys[-1]
    clock.advance(INITIAL_BACKOFF - 0.01)
    assert rotation.refreshed() is None
    clock.advance(0.01)
    assert rotation.refreshed() is not None


def test_the_cool_downs_of_two_processes_differ(clock: Clock) -> None:
    """A fleet whose key was refused does not ask Secrets Manager in step."""
    pauses = []
    for _ in range(100):
        source = Source()
        ours = Rotation(source.credential, source.fetch, Holder("old").adopt)
        ours.refreshed()
        pauses.append(ours._not_before - clock.now)
    assert INITIAL_BACKOFF / 2 <= min(pauses) < max(pauses) <= INITIAL_BACKOFF


@pytest.mark.parametrize("where", ["fetch", "adopt"])
@pytest.mark.parametrize(
    "error", [CredentialError("AWS is away.", "Wait."), RuntimeError("odd")], ids=["known", "unknown"]
)
def test_a_fetch_that_fails_leaves_the_key_in_use(
    clock: Clock, caplog: pytest.LogCaptureFixture, where: str, error: Exception
) -> None:
    """The log says why, and shows nothing of either key; the next fetch waits for the cool-down."""
    source, holder = Source(V2_KEY), Holder(V2_KEY)
    rotation = Rotation(source.credential, source.fetch, holder.adopt)
    (source if where == "fetch" else holder).error = error
    source.change(V2_KEY[::-1])
    caplog.set_level(logging.DEBUG)
    flight = rotation.refreshed()
    assert flight is not None
    assert flight.result(0) is None
    assert ([V2_KEY], 0) == (holder.keys, rotation.replaced)
    (record,) = caplog.records
    assert record.levelno >= logging.WARNING
    assert "could not be fetched again, so the old one stays" in caplog.text
    assert str(error) in caplog.text
    assert [] == shown_of(V2_KEY, caplog.text) + shown_of(V2_KEY[::-1], caplog.text)
    assert rotation.refreshed() is None
    clock.advance(MAX_BACKOFF)
    source.error = holder.error = None
    assert rotation.refreshed() is not None
    assert [V2_KEY, V2_KEY[::-1]] == holder.keys


def test_without_a_thread_to_spare_the_key_stays(
    rotation: Rotation, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may be about to end: nobody waits for ever, and it is tried again if it does not."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        flight = rotation.arefreshed()
    assert flight is not None
    assert flight.done()
    clock.advance(INITIAL_BACKOFF)
    again = rotation.arefreshed()
    assert again is not None
    again.result(HANG_GUARD)
    assert 1 == source.fetches
