"""Waiting for a lock: how long, how often, and beside whom."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.exceptions import LockNotOwned
from django_momento.local import LocalServer
from django_momento.policies import locks
from django_momento.policies.locks import AsyncLock
from tests.conftest import MakeCache
from tests.kit import holders as fixtures
from tests.kit.clock import Clock
from tests.kit.faces import FACES
from tests.kit.holders import Hold, Holders
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

clock, timed, in_doubt = fixtures.clock, fixtures.timed, fixtures.in_doubt
hold, holders, pauses = fixtures.hold, fixtures.holders, fixtures.pauses


class EnoughWaiting(Exception):
    pass


def test_waiting_begins_with_a_quarter_of_a_second_and_backs_off(
    make_cache: MakeCache, momento: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random, up to a second, and never beyond the time to wait."""
    cache = make_cache()
    assert cache.lock("job", 60).acquire()
    momento.reset_calls()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        assert momento.calls == {"SetIf": len(pauses)}
        if len(pauses) == 6:
            raise EnoughWaiting

    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(EnoughWaiting):
        cache.lock("job", 60).acquire()
    for pause, longest in zip(pauses, [0.25, 0.5, 1, 1, 1, 1], strict=True):
        assert longest / 2 <= pause <= longest
    assert len({*pauses}) > 1


@FACES
def test_waiting_ends_when_its_time_is_over(
    holders: Holders, timed: MomentoCache, clock: Clock, pauses: list[float], hold: Hold
) -> None:
    """After one more attempt at the end, in whose favour the last pause is cut."""
    holders[0].acquire()
    started = clock.now
    assert not holders[1].acquire(blocking_timeout=timedelta(seconds=3))
    assert clock.now - started == pytest.approx(3)
    assert len(pauses) >= 3
    assert not hold(timed, "sync", "job", 10, blocking_timeout=1.5).acquire()
    assert clock.now - started == pytest.approx(4.5)


@table("is_shared", [True, False], afresh=True)
def test_a_waiting_thread_acquires_the_lock_once_it_is_free(make_cache: MakeCache, is_shared: bool) -> None:
    """Also if both use one lock object."""
    cache = make_cache()
    first = cache.lock("job", 600, sleep=0.01)
    second = first if is_shared else cache.lock("job", 600, sleep=0.01)
    first.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.acquire)
        assert not pool.submit(lambda: None).done() or not waiting.done()
        first.release()
        assert waiting.result(HANG_GUARD)
        assert pool.submit(second.owned).result(HANG_GUARD)
    with pytest.raises(LockNotOwned):
        first.release()


def test_tasks_that_share_a_lock_object_take_turns(make_cache: MakeCache) -> None:
    cache = make_cache()
    inside = 0
    done = 0

    async def work(lock: AsyncLock) -> None:
        nonlocal inside, done
        async with lock:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1
            done += 1

    async def main() -> None:
        lock = cache.alock("job", 600, sleep=0.01)
        await asyncio.gather(*(work(lock) for _ in range(10)))

    asyncio.run(main())
    assert done == 10


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_lock_alone(make_cache: MakeCache) -> None:
    cache = make_cache()
    holder = cache.lock("job", 3600)
    holder.acquire()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.alock("job", 3600).acquire(), 0.1)

    asyncio.run(main())
    assert holder.owned()


def test_the_operations_of_waiting_are_counted(
    make_cache: MakeCache, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt is an event of two operations."""
    seen: list[Any] = []
    for module in ("execution", "items", "policies.observing"):
        monkeypatch.setattr(f"django_momento.{module}.observers", [seen.append])
    cache = make_cache()
    cache.lock("job", 3600).acquire()
    assert not cache.lock("job", 3600, sleep=0.01, blocking_timeout=0.05).acquire()
    attempts = [event for event in seen if event.verb == "lock"]
    assert len(attempts) >= 3
    assert {(1, 2, "job")} == {(it.requests, it.operations, it.key_group) for it in attempts}


def test_a_thread_that_waits_is_no_obstacle_for_others(make_cache: MakeCache) -> None:
    """It holds nothing of the process while it pauses."""
    cache = make_cache()
    cache.lock("job", 3600).acquire()
    ended = threading.Event()
    waiting = threading.Thread(
        target=lambda: (cache.lock("job", 3600, blocking_timeout=0.5).acquire(), ended.set()), daemon=True
    )
    waiting.start()
    while not ended.is_set():
        cache.set("other", 1)
    waiting.join(HANG_GUARD)
