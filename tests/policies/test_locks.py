"""Locks: one holder at a time, whoever is slow, away, cancelled or in doubt."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client.claims import Claim, Release
from django_momento.events import events
from django_momento.exceptions import (
    CredentialError,
    LimitExceeded,
    LockError,
    LockNotOwned,
    MomentoCacheError,
    ServerUnavailable,
    TransportError,
)
from django_momento.local import LocalServer
from django_momento.policies import locks
from django_momento.policies.lock_tokens import tokens
from django_momento.policies.locks import AsyncLock, Lock
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.faces import FACES, call
from tests.kit.swallowing import SwallowingServer, swallowing
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, aeventually, eventually

# Seconds for which a released token stays.
MILLISECOND = 0.001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the server and of the locks of this process."""
    clock = Clock()
    monkeypatch.setattr(locks, "monotonic", clock.time)
    return clock


@pytest.fixture
def timed(clock: Clock) -> Iterator[MomentoCache]:
    with LocalServer(caches=[CACHE_NAME], clock=clock.milliseconds) as server:
        yield MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)})


class Holder:
    """A lock of either face, driven by plain methods: one holder for as long as this object lives."""

    def __init__(self, cache: MomentoCache, face: str, *args: Any, **kwargs: Any) -> None:
        self._loop = asyncio.new_event_loop() if face == "async" else None
        self.lock: Any = getattr(cache, "alock" if self._loop else "lock")(*args, **kwargs)
        self._commands: asyncio.Queue[Any] = asyncio.Queue()
        if self._loop is not None:
            self._task = self._loop.create_task(self._serve())

    async def _serve(self) -> None:
        """Run all methods in one task, which is the holder of an async lock."""
        while True:
            name, args, kwargs, outcome = await self._commands.get()
            try:
                outcome.set_result(await getattr(self.lock, name)(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - the caller gets it
                outcome.set_exception(error)

    def __getattr__(self, name: str) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            if self._loop is None:
                return getattr(self.lock, name)(*args, **kwargs)
            outcome = self._loop.create_future()
            self._commands.put_nowait((name, args, kwargs, outcome))
            return self._loop.run_until_complete(outcome)

        return run

    def close(self) -> None:
        if self._loop is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
            self._loop.close()


Holders = tuple[Holder, Holder]
Hold = Callable[..., Holder]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Make holders, which end with the test."""
    made: list[Holder] = []

    def hold(cache: MomentoCache, face: str, *args: Any, **kwargs: Any) -> Holder:
        made.append(Holder(cache, face, *args, **kwargs))
        return made[-1]

    yield hold
    for holder in made:
        holder.close()


@pytest.fixture
def holders(timed: MomentoCache, face: str, hold: Hold) -> Holders:
    """Two holders of one lock of 10 seconds."""
    return hold(timed, face, "job", 10), hold(timed, face, "job", 10)


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


def test_a_block_whose_release_meets_an_outage_ends_as_it_would_have(momento: LocalServer) -> None:
    """The lock ends by itself."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)})
        with cache.lock("job", 10):
            server.fail("resource-exhausted")
        server.fail()
        assert not cache.lock("job", 10, blocking=False).acquire()
    assert events.counts(cache.options.alias)["lost_locks"] == 1


def test_waiting_begins_with_a_quarter_of_a_second_and_backs_off(make_cache: MakeCache) -> None:
    """At random, up to a second, and never beyond the time to wait."""
    lock = make_cache().lock("job", 60)
    steps = lock._acquire(None, None)
    attempts = 0
    pauses: list[float] = []
    step = next(steps)
    while len(pauses) < 6:
        if isinstance(step, float):
            pauses.append(step)
        else:
            assert isinstance(next(step), Claim)
            attempts += 1
        step = steps.send(False)
    assert attempts == 6
    for pause, longest in zip(pauses, [0.25, 0.5, 1, 1, 1, 1], strict=True):
        assert longest / 2 <= pause <= longest
    assert len({*pauses}) > 1


@FACES
def test_waiting_ends_when_its_time_is_over(
    holders: Holders,
    timed: MomentoCache,
    clock: Clock,
    face: str,
    monkeypatch: pytest.MonkeyPatch,
    hold: Hold,
) -> None:
    """After one more attempt at the end, in whose favour the last pause is cut."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)

    async def asleep(seconds: float) -> None:
        sleep(seconds)

    holders[0].acquire()
    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", asleep)
    started = clock.now
    assert not holders[1].acquire(blocking_timeout=timedelta(seconds=3))
    assert clock.now - started == pytest.approx(3)
    assert len(pauses) >= 3
    assert not hold(timed, "sync", "job", 10, blocking_timeout=1.5).acquire()
    assert clock.now - started == pytest.approx(4.5)


@pytest.mark.parametrize("is_shared", [True, False])
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


OUTAGES: dict[str, tuple[type[MomentoCacheError], str, dict[str, Any]]] = {
    "gone": (ServerUnavailable, "", {"ENDPOINT": "127.0.0.1:9"}),
    "throttled": (LimitExceeded, "resource-exhausted", {}),
    "no key": (CredentialError, "", {"CREDENTIALS": "env", "ENDPOINT": None}),
}


@FACES
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
def test_an_outage_is_raised_even_by_a_cache_that_fails_open(
    momento: LocalServer, face: str, outage: Any, monkeypatch: pytest.MonkeyPatch, hold: Hold
) -> None:
    """A lock that nobody can ask for is no lock."""
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    error, fault, options = outage
    given = {**local_options(momento), "IGNORE_EXCEPTIONS": True, **options}
    given = {name: value for name, value in given.items() if value is not None}
    holder = hold(MomentoCache(CACHE_NAME, {"OPTIONS": given}), face, "job", 10)
    momento.fail(fault)
    try:
        with pytest.raises(error):
            holder.acquire()
        with pytest.raises(LockNotOwned):
            holder.release()
    finally:
        momento.fail()


@pytest.fixture
def in_doubt(
    momento: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SwallowingServer, MomentoCache]]:
    """A server that keeps responses of calls that took effect, and a cache on it."""
    # On a busy machine the probe of the circuit breaker may take long.
    monkeypatch.setattr("django_momento.client.claims.PAUSES", (0.25,) * 100)
    with swallowing(momento) as (server, address):
        options = {"CREDENTIALS": "local", "ENDPOINT": address, "CLIENT_TIMEOUT": 1.5}
        yield server, MomentoCache(CACHE_NAME, {"OPTIONS": options})


@contextmanager
def hold_for(cache: MomentoCache, face: str, hold: Hold) -> Iterator[Holder]:
    """Hold a lock for as long as a block takes."""
    holder = hold(cache, face, "job", 3600)
    assert holder.acquire(blocking=False)
    yield holder
    holder.release()


@FACES
def test_an_acquire_that_timed_out_and_did_arrive_does_not_lock_itself_out(
    in_doubt: tuple[SwallowingServer, MomentoCache], face: str, hold: Hold
) -> None:
    """The next attempt of the process finds the token of the last, and a stranger's does not."""
    server, cache = in_doubt
    holder = hold(cache, face, "job", 3600)
    holder.acquire()
    holder.release()
    server.swallow(1)
    with hold_for(cache, face, hold) as lock:
        assert lock.owned()
    # So many that all repetitions are lost too, or refused by the circuit breaker.
    server.swallow(10)
    with pytest.raises(TransportError):
        hold(cache, face, "job", 3600).acquire()
    assert server.swallowed.is_set()
    server.swallow(0)

    def is_acquired() -> bool:
        try:
            assert holder.acquire(blocking=False)
        except TransportError:  # The circuit breaker is open.
            return False
        return True

    eventually(is_acquired)
    assert holder.owned()
    assert not hold(cache, face, "job", 3600).acquire(blocking=False)
    holder.release()


def test_a_release_that_timed_out_and_did_arrive_is_a_release(
    in_doubt: tuple[SwallowingServer, MomentoCache],
) -> None:
    """Its repetition finds no token, which is no loss of the lock."""
    server, cache = in_doubt
    lock = cache.lock("job", 3600)
    lock.acquire()
    server.swallow(1)
    lock.release()
    assert server.swallowed.is_set()
    assert cache.lock("job", 3600).acquire()


def test_a_task_that_is_cancelled_while_it_acquires_holds_nothing(
    in_doubt: tuple[SwallowingServer, MomentoCache],
) -> None:
    """Although its call had taken effect."""
    server, _ = in_doubt
    options = in_doubt[1].options
    cache = MomentoCache(
        CACHE_NAME,
        {
            "OPTIONS": {
                "CREDENTIALS": "local",
                "ENDPOINT": str(options.connection.endpoint),
                "CLIENT_TIMEOUT": 10 * HANG_GUARD,
            }
        },
    )

    async def main() -> None:
        server.swallow(1)
        task = asyncio.create_task(cache.alock("job", 3600).acquire())
        await aeventually(server.swallowed.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.alock("job", 3600, blocking=False).acquire()

    asyncio.run(main())


def test_a_task_that_is_cancelled_while_it_releases_holds_nothing(
    momento: LocalServer, make_cache: MakeCache
) -> None:
    """Although its call did not take effect."""
    cache = make_cache(OPTIONS={"CLIENT_TIMEOUT": 10 * HANG_GUARD})
    is_inside = asyncio.Event()

    async def work() -> None:
        async with cache.alock("job", 3600):
            momento.delay(3_600_000)
            is_inside.set()

    async def main() -> None:
        task = asyncio.create_task(work())
        try:
            await is_inside.wait()
            await asyncio.sleep(0.05)  # The release is on its way.
        finally:
            momento.delay(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.alock("job", 3600, blocking_timeout=5).acquire()

    asyncio.run(main())


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_lock_alone(make_cache: MakeCache) -> None:
    cache = make_cache()
    holder = cache.lock("job", 3600)
    holder.acquire()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.alock("job", 3600).acquire(), 0.1)

    asyncio.run(main())
    assert holder.owned()


def test_unsettled_tokens_are_bounded_and_taken_by_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_momento.policies.lock_tokens.MAX_UNSETTLED", 2)
    tokens.forget()
    for place in "abc":
        tokens.keep(place, place.encode())
    taken = at_once(8, lambda: tokens.take("c"))
    assert taken.count(b"c") == 1
    assert len({*taken}) == 8
    assert tokens.take("a") != b"a"
    tokens.forget()
    assert tokens.take("b") != b"b"


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


def test_a_release_ends_after_the_millisecond_in_which_its_token_stays(make_cache: MakeCache) -> None:
    """So the lock is free for an attempt that does not wait as well."""
    lock = make_cache().lock("job", 3600)
    assert lock.acquire()
    steps = lock._release()
    step = next(steps)
    assert not isinstance(step, float)
    assert isinstance(next(step), Release)
    pause = steps.send(True)
    assert isinstance(pause, float)
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


@FACES
def test_a_job_runs_once_in_its_interval(timed: MomentoCache, clock: Clock, face: str) -> None:
    """For one of many callers. The interval begins with that call."""
    assert 1 == at_once(16, lambda: call(timed, face, "run_once", "nightly", 3600)).count(True)
    clock.advance(3599)
    assert not call(timed, face, "run_once", "nightly", 3600)
    clock.advance(1)
    assert call(timed, face, "run_once", "nightly", timedelta(hours=1))
    assert call(timed, face, "run_once", "nightly", 3600, version=2)
    timed.delete("nightly")
    assert call(timed, face, "run_once", "nightly", 3600)
    assert timed.ttl("nightly") == 3600


def test_a_job_that_was_claimed_in_doubt_runs_for_its_caller(
    in_doubt: tuple[SwallowingServer, MomentoCache],
) -> None:
    """Its repetition finds its own token. It never returns False to the only caller."""
    server, cache = in_doubt
    cache.run_once("other", 3600)
    server.swallow(1)
    assert cache.run_once("nightly", 3600)
    assert server.swallowed.is_set()
    assert not cache.run_once("nightly", 3600)


@table("every", [None, 0, -1, "60", 86401])
def test_a_wrong_interval_is_loud(make_cache: MakeCache, every: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"every is {every!r}"):
        make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True}).run_once("nightly", every)


@FACES
@pytest.mark.parametrize("is_open", [False, True])
def test_a_job_whose_key_holds_another_kind_of_value_is_loud(
    make_cache: MakeCache, face: str, is_open: bool
) -> None:
    """Or the job would never run in a cache that fails open."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": is_open})
    cache.rate_limit("nightly", 5, 60)
    with pytest.raises(TypeError, match="holds a value that is no interval"):
        call(cache, face, "run_once", "nightly", 60)


def test_the_operations_of_waiting_are_counted(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
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
