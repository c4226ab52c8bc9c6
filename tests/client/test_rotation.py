"""A key that was refused is fetched again; on a clock that the tests move."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_momento.client.rotation import INITIAL_BACKOFF, MAX_BACKOFF, Rotation
from django_momento.exceptions import CredentialError
from tests.kit import rotating as fixtures
from tests.kit.aws import V2_KEY, shown_of
from tests.kit.clock import Clock
from tests.kit.rotating import HANG_GUARD, Holder, Source, make_rotation
from tests.kit.starting import on_this_thread

clock, whole_pauses, source = fixtures.clock, fixtures.whole_pauses, fixtures.source
holder, rotation = fixtures.holder, fixtures.rotation


def test_a_key_that_was_refused_is_fetched_again(rotation: Rotation, source: Source, holder: Holder) -> None:
    """And put to use by the time that the one who asked goes on."""
    source.change("new")
    rotation.refresh("tests")
    assert (["old", "new"], 1) == (holder.keys, rotation.replaced)


def test_threads_and_tasks_share_one_fetch(rotation: Rotation, source: Source, holder: Holder) -> None:
    """Fifty of each find the key refused at the same moment: one asks, and all go on when it is answered."""
    source.change("new")
    source.answering.clear()
    waiting: list[None] = []

    def thread() -> list[str]:
        waiting.append(None)
        rotation.refresh("tests")
        return list(holder.keys)

    async def task() -> list[str]:
        waiting.append(None)
        await rotation.arefresh("tests")
        return list(holder.keys)

    async def tasks() -> list[list[str]]:
        return await asyncio.gather(*(task() for _ in range(50)))

    with ThreadPoolExecutor(51) as pool:
        threads = [pool.submit(thread) for _ in range(50)]
        loop = pool.submit(asyncio.run, tasks())
        while len(waiting) < 100:
            threading.Event().wait(0.01)
        assert source.begun.wait(HANG_GUARD)
        source.answering.set()
        seen = [future.result(HANG_GUARD) for future in threads] + loop.result(HANG_GUARD)
    assert [["old", "new"]] * 100 == seen
    assert 1 == source.fetches


def test_the_loop_goes_on_while_a_task_fetches(rotation: Rotation, source: Source) -> None:
    """The fetch has a thread of its own, and a task that is cancelled leaves it to the others."""
    source.answering.clear()

    async def main() -> None:
        first = asyncio.ensure_future(rotation.arefresh("tests"))
        second = asyncio.ensure_future(rotation.arefresh("tests"))
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
        rotation.refresh("tests")
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
        rotation.refresh("tests")
        clock.advance(MAX_BACKOFF)
    source.change("new")
    rotation.refresh("tests")
    assert "new" == holder.keys[-1]
    fetches = source.fetches
    clock.advance(INITIAL_BACKOFF - 0.01)
    rotation.refresh("tests")
    assert fetches == source.fetches
    clock.advance(0.01)
    rotation.refresh("tests")
    assert fetches + 1 == source.fetches


def test_the_cool_downs_of_two_processes_differ(clock: Clock) -> None:
    """A fleet whose key was refused does not ask Secrets Manager in step."""
    fleet = [Source() for _ in range(100)]
    rotations = [make_rotation(source, Holder("old")) for source in fleet]
    asked = []
    began = clock.now
    for share in (0, 0.499, 0.75, 1):
        clock.now = began + share * INITIAL_BACKOFF
        for rotation in rotations:
            rotation.refresh("tests")
        asked.append(sum(source.fetches == 2 for source in fleet))
    assert (0, 0, 100) == (*asked[:2], asked[3])
    assert 0 < asked[2] < 100


@pytest.mark.parametrize("where", ["fetch", "use"])
@pytest.mark.parametrize(
    "error", [CredentialError("AWS is away.", "Wait."), RuntimeError("odd")], ids=["known", "unknown"]
)
def test_a_fetch_that_fails_leaves_the_key_in_use(
    clock: Clock, caplog: pytest.LogCaptureFixture, where: str, error: Exception
) -> None:
    """The log says why, and shows nothing of either key; the next fetch waits for the cool-down."""
    source, holder = Source(V2_KEY), Holder(V2_KEY)
    rotation = make_rotation(source, holder)
    (source if where == "fetch" else holder).error = error
    source.change(V2_KEY[::-1])
    caplog.set_level(logging.DEBUG)
    rotation.refresh("tests")
    assert ([V2_KEY], 0) == (holder.keys, rotation.replaced)
    (record,) = caplog.records
    assert record.levelno >= logging.WARNING
    assert "could not be fetched again, so the old one stays" in caplog.text
    assert str(error) in caplog.text
    assert [] == shown_of(V2_KEY, caplog.text) + shown_of(V2_KEY[::-1], caplog.text)
    rotation.refresh("tests")
    assert 1 == source.fetches
    clock.advance(MAX_BACKOFF)
    source.error = holder.error = None
    rotation.refresh("tests")
    assert [V2_KEY, V2_KEY[::-1]] == holder.keys


def test_without_a_thread_to_spare_the_key_stays(
    rotation: Rotation, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may be about to end: nobody waits for ever, and it is tried again if it does not."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(refuse))
        with pytest.raises(CredentialError, match="can't start new thread"):
            asyncio.run(rotation.arefresh("tests"))
        rotation.due_at = clock.now
        rotation.refresh_if_due("tests")
    assert 0 == source.fetches
    clock.advance(INITIAL_BACKOFF)
    asyncio.run(rotation.arefresh("tests"))
    assert 1 == source.fetches


def test_the_first_fetch_is_the_first_refresh(clock: Clock, source: Source, holder: Holder) -> None:
    """It says that it is no refresh, replaces nothing, and is followed by no pause."""
    rotation = Rotation(source.fetch, holder.use)
    rotation.refresh("tests")
    assert (1, 0) == (source.fetches, rotation.replaced)
    rotation.refresh("tests")
    assert 2 == source.fetches


def test_a_caller_that_was_late_for_the_first_fetch_begins_no_other(source: Source, holder: Holder) -> None:
    """It saw no key, and then the fetch of another caller ended before it could wait for it."""
    rotation = Rotation(source.fetch, holder.use)
    for is_urgent in (False, True):
        rotation.refresh("tests", is_first=True, is_urgent=is_urgent)
        asyncio.run(rotation.arefresh("tests", is_first=True, is_urgent=is_urgent))
    assert 1 == source.fetches


def test_after_a_first_fetch_that_failed_calls_fail_at_once(
    clock: Clock, source: Source, holder: Holder, whole_pauses: None
) -> None:
    """With the last cause, and the time until it is tried again; a doctor does not wait."""
    rotation = Rotation(source.fetch, holder.use)
    source.error = CredentialError("AccessDenied.", "Allow it.")
    for fetches, pause in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0], start=1):
        with pytest.raises(CredentialError, match="AccessDenied"):
            rotation.refresh("tests")
        for act in (lambda: rotation.refresh("tests"), lambda: asyncio.run(rotation.arefresh("tests"))):
            with pytest.raises(CredentialError, match=rf"AccessDenied.*again in {pause:.1f} s.*Allow it"):
                act()
        assert fetches == source.fetches
        clock.advance(pause)
    source.error = None
    rotation.refresh("tests", is_urgent=True)
    assert "old" == holder.keys[-1]
