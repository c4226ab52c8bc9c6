"""Locks: one holder at a time, whoever is slow or wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client.calls import Operation
from django_momento.client.claims import Release
from django_momento.events import events
from django_momento.exceptions import (
    LockError,
    LockNotOwned,
    MomentoCacheError,
)
from django_momento.local import LocalServer
from django_momento.policies import locks
from django_momento.policies.locks import Lock, LockOptions
from tests.conftest import MakeCache
from tests.kit import holders as fixtures
from tests.kit.clock import Clock
from tests.kit.faces import FACES
from tests.kit.holders import MILLISECOND, Hold, Holders
from tests.kit.tables import table

clock, timed, in_doubt = fixtures.clock, fixtures.timed, fixtures.in_doubt
hold, holders = fixtures.hold, fixtures.holders


@FACES
def test_a_lock_has_one_holder_until_it_is_released(holders: Holders, clock: Clock) -> None:
    first, second = holders
    assert first.acquire()
    assert not second.acquire(blocking=False)
    assert [True, False] == [first.owned(), second.owned()]
    first.release()
    clock.advance(MILLISECOND)
    assert [False, False] == [first.owned(), second.owned()]
    assert second.acquire(blocking=False)


@FACES
def test_a_holder_that_outlives_its_lock_cannot_touch_its_successors(holders: Holders, clock: Clock) -> None:
    """Not by release, by extend, or by asking whether it owns the lock."""
    first, second = holders
    first.acquire()
    clock.advance(10)
    assert second.acquire(blocking=False)
    assert not first.owned()
    with pytest.raises(LockNotOwned, match="had ended before, so it cannot be extended"):
        first.extend()
    assert second.owned()
    second.release()
    clock.advance(MILLISECOND)
    assert first.acquire(blocking=False)
    clock.advance(10)
    assert second.acquire(blocking=False)
    with pytest.raises(LockNotOwned, match="had ended before, so it cannot be released"):
        first.release()
    assert second.owned()


@FACES
def test_a_lock_that_is_extended_ends_later(holders: Holders, clock: Clock) -> None:
    """So many seconds after that moment, and by default as many as at first."""
    first, second = holders
    first.acquire()
    for _ in range(3):
        clock.advance(9)
        first.extend()
    clock.advance(9)
    assert first.extend(timedelta(seconds=60)) is True
    clock.advance(59)
    assert first.owned()
    assert not second.acquire(blocking=False)
    clock.advance(1)
    assert second.acquire(blocking=False)


@FACES
def test_a_lock_that_the_cache_lost_is_not_owned(holders: Holders, timed: MomentoCache) -> None:
    """As after an eviction, or a server that was killed."""
    first, second = holders
    first.acquire()
    timed.clear()
    assert not first.owned()
    assert second.acquire(blocking=False)
    with pytest.raises(LockNotOwned):
        first.release()
    assert second.owned()


@FACES
def test_asking_for_the_owner_leaves_the_lock_its_time(holders: Holders, clock: Clock) -> None:
    first, second = holders
    first.acquire()
    for _ in range(9):
        clock.advance(1)
        assert first.owned()
    clock.advance(1)
    assert not first.owned()
    assert second.acquire(blocking=False)


@FACES
def test_a_lock_cannot_be_acquired_twice_by_its_holder(holders: Holders, clock: Clock) -> None:
    """It would wait for itself. Once the lock has ended by itself, it can."""
    first, _ = holders
    first.acquire()
    with pytest.raises(LockError, match=r"is held by this .* already"):
        first.acquire()
    clock.advance(10)
    assert first.acquire()


@FACES
def test_a_lock_that_is_not_held_cannot_be_released_or_extended(holders: Holders, momento: Any) -> None:
    """No call is sent."""
    first, _ = holders
    for method in (first.release, first.extend):
        with pytest.raises(LockNotOwned, match="is not held by this"):
            method()
    assert not first.owned()


@FACES
def test_a_with_block_that_cannot_acquire_raises_and_does_not_run(holders: Holders, timed: Any) -> None:
    first, _ = holders
    first.acquire()

    async def enter() -> None:
        async with timed.alock("job", 10, blocking_timeout=0):
            raise AssertionError("inside")

    with pytest.raises(LockError, match="was not acquired within 0 seconds"):
        asyncio.run(enter())
    with (
        pytest.raises(LockError, match=r"'job' was not acquired, because"),
        timed.lock("job", 10, blocking=False),
    ):
        raise AssertionError("inside")
    assert not isinstance(LockError("cause"), MomentoCacheError)


@FACES
def test_a_lock_is_free_as_soon_as_it_is_released(make_cache: MakeCache, face: str, hold: Hold) -> None:
    """Although the token of its holder stays for a millisecond."""
    cache = make_cache()
    holders = hold(cache, face, "job", 60), hold(cache, face, "job", 60)
    for number in range(100):
        holder = holders[number % 2]
        assert holder.acquire(blocking=False)
        holder.release()


def test_a_with_block_sends_two_calls_and_lets_a_value_have_its_name(
    make_cache: MakeCache, momento: LocalServer
) -> None:
    """Only SetIf touches the key of a lock."""
    cache = make_cache()
    cache.set("report", 1)
    momento.reset_calls()
    with cache.lock("report", 60) as lock:
        assert isinstance(lock, Lock)
        assert {"SetIf": 1} == momento.calls
        cache.set("report", cache.get("report") + 1)
        cache.delete("other")
    assert {"SetIf": 2, "Get": 1, "Set": 1, "KeysExist": 1, "Delete": 1} == momento.calls
    assert cache.get("report") == 2


@FACES
def test_a_block_that_outlives_its_lock_ends_as_it_would_have_and_is_counted(
    timed: MomentoCache, clock: Clock, face: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A late release hides neither the result nor the exception of the work."""

    def work(fails: bool) -> None:
        with timed.lock("job", 10):
            clock.advance(11)
            if fails:
                raise ZeroDivisionError

    async def awork(fails: bool) -> None:
        async with timed.alock("job", 10):
            clock.advance(11)
            if fails:
                raise ZeroDivisionError

    run = work if face == "sync" else lambda fails: asyncio.run(awork(fails))
    run(False)
    with pytest.raises(ZeroDivisionError):
        run(True)
    assert [2] == [
        count for kind, count in events.counts(timed.options.alias).items() if kind == "lost_locks"
    ]
    assert "The lock 'job' had ended before" in caplog.text


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"timeout": None}, TypeError, "timeout is None"),
    ({"timeout": 0}, ValueError, "timeout is 0"),
    ({"timeout": -1}, ValueError, "timeout is -1"),
    ({"timeout": "60"}, TypeError, "timeout is '60'"),
    ({"timeout": float("nan")}, ValueError, "timeout is nan"),
    ({"timeout": 86401}, ValueError, "MAX_TTL, which is 86400 seconds"),
    ({"blocking_timeout": -1}, ValueError, "blocking_timeout is -1"),
    ({"blocking_timeout": "1"}, TypeError, "blocking_timeout is '1'"),
    ({"blocking_timeout": True}, TypeError, "blocking_timeout is True"),
    ({"timeout": True}, TypeError, "timeout is True"),
    ({"blocking": 5}, TypeError, "blocking is 5. It must be True or False"),
    ({"blocking": None}, TypeError, "blocking is None"),
    ({"sleep": 0}, ValueError, "sleep is 0"),
    ({"thread_local": True}, TypeError, "belongs to the thread"),
    ({"client": None}, TypeError, "Leave it out"),
]


@table("method", ["lock", "alock"])
@table(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_a_wrong_argument_is_refused_when_the_lock_is_made(
    make_cache: MakeCache, method: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(make_cache(), method)("job", **{"timeout": 60, **arguments})


@FACES
def test_a_wrong_argument_of_acquire_is_refused(make_cache: MakeCache, face: str, hold: Hold) -> None:
    """Such as seconds in the place of ``blocking``, which would wait for ever."""
    holder = hold(make_cache(), face, "job", 60)
    with pytest.raises(TypeError, match="blocking is 5"):
        holder.acquire(5)
    with pytest.raises(TypeError, match="blocking_timeout is False"):
        holder.acquire(True, False)
    assert holder.acquire(True, 10**400)  # Longer than any float of seconds.


def test_a_release_ends_after_the_millisecond_in_which_its_token_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the lock is free for an attempt that does not wait as well."""
    steps: list[Any] = []

    def send_one_call(verb: str, operation: Operation[bool]) -> bool:
        steps.append(next(operation))
        return True

    options = LockOptions("job", b":1:job", "tests", 3_600_000, 86_400, True, None, 0.25)
    lock = Lock(options, send_one_call, pytest.fail)
    assert lock.acquire()
    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=steps.append))
    lock.release()
    _, call, pause = steps
    assert isinstance(call, Release)
    assert pause >= MILLISECOND
    assert not lock.owned()


def test_the_names_of_django_redis_work(make_cache: MakeCache) -> None:
    """With the arguments that mean the same."""
    cache = make_cache()
    with cache.lock("job", timeout=10, sleep=0.1, blocking=True, blocking_timeout=5, version=2) as lock:
        assert lock.owned()
        assert cache.lock("job", timeout=10, blocking=False).acquire(blocking=False)


def test_versions_and_prefixes_have_locks_of_their_own(make_cache: MakeCache) -> None:
    make_cache().lock("job", 60).acquire()
    assert make_cache(KEY_PREFIX="site").lock("job", 60).acquire(blocking=False)
    assert make_cache().lock("job", 60, version=2).acquire(blocking=False)
    assert not make_cache().lock("job", 60).acquire(blocking=False)
