"""Locks in an outage, and calls that were cancelled or whose response was lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.exceptions import (
    CredentialError,
    LimitExceeded,
    LockNotOwned,
    MomentoCacheError,
    ServerUnavailable,
    TransportError,
)
from django_momento.local import LocalServer
from django_momento.policies.lock_tokens import tokens
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit import holders as fixtures
from tests.kit.at_once import at_once
from tests.kit.faces import FACES
from tests.kit.holders import Hold, hold_for
from tests.kit.holding import holding
from tests.kit.swallowing import SwallowingServer
from tests.kit.waiting import HANG_GUARD, aeventually, eventually

clock, timed, in_doubt = fixtures.clock, fixtures.timed, fixtures.in_doubt
hold, holders = fixtures.hold, fixtures.holders


def test_a_block_whose_release_meets_an_outage_ends_as_it_would_have(momento: LocalServer) -> None:
    """The lock ends by itself."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)})
        with cache.lock("job", 600):
            server.fail("resource-exhausted")
        server.fail()
        assert not cache.lock("job", 600, blocking=False).acquire()
    assert events.counts(cache.options.alias)["lost_locks"] == 1


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


def test_a_task_that_is_cancelled_while_it_releases_holds_nothing(make_cache: MakeCache) -> None:
    """Although its call did not take effect."""
    cache = make_cache(OPTIONS={"CLIENT_TIMEOUT": 10 * HANG_GUARD})
    is_inside, may_leave = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with cache.alock("job", 3600):
            is_inside.set()
            await may_leave.wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await is_inside.wait()
        with holding() as held:
            may_leave.set()
            await aeventually(lambda: held.waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.alock("job", 3600, blocking_timeout=HANG_GUARD).acquire()

    asyncio.run(main())


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
