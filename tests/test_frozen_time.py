"""The cache under a time that a test has frozen, by the real libraries."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.exceptions import CallTimedOut, CircuitOpen, ServerUnavailable
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit.freezing import FREEZERS, FUTURE, PAST
from tests.kit.raw import find_client
from tests.kit.timeouts import short_timeouts
from tests.kit.waiting import eventually
from tests.kit.wire import HANG_GUARD

pytestmark = pytest.mark.parametrize("freeze", FREEZERS.values(), ids=FREEZERS)
moments = pytest.mark.parametrize("moment", [PAST, FUTURE], ids=["past", "future"])

Freeze = Callable[[datetime.datetime], Any]

# Each verb, over the SDK or over our own channel, one call or several, and its result.
VERBS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "set": (("key", 1, 60), None),
    "get": (("key",), 1),
    "add": (("key", 2), False),
    "incr": (("key",), 2),
    "touch": (("key", 60), True),
    "has_key": (("key",), True),
    "set_many": (({"one": 1, "two": 2},), []),
    "get_many": ((["one", "two", "three"],), {"one": 1, "two": 2}),
    "get_or_set": (("three", 3), 3),
    "delete_many": ((["one", "two"],), None),
    "delete": (("key",), True),
    "clear": ((), None),
}


def use(cache: MomentoCache) -> None:
    for verb, (arguments, result) in VERBS.items():
        assert result == getattr(cache, verb)(*arguments), verb


async def ause(cache: MomentoCache) -> None:
    for verb, (arguments, result) in VERBS.items():
        assert result == await getattr(cache, f"a{verb}")(*arguments), verb


@moments
def test_every_verb_works_under_a_frozen_time(
    freeze: Freeze, moment: datetime.datetime, make_cache: MakeCache
) -> None:
    """Also on a client that is made under it, and again when the time goes on."""
    cache = make_cache()
    for _ in range(2):
        with freeze(moment):
            use(cache)
            asyncio.run(ause(cache))
        use(cache)
        asyncio.run(ause(cache))
        clients.close()


@moments
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_silent_server_times_out_under_a_frozen_time(
    freeze: Freeze, moment: datetime.datetime, face: str
) -> None:
    """No call waits for the frozen time to pass, and the breaker that opens closes again under it."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": options})

        def get() -> Any:
            return cache.get("key") if face == "sync" else asyncio.run(cache.aget("key"))

        def is_back() -> bool:
            try:
                return get() is None
            except (CircuitOpen, CallTimedOut):
                return False

        get()
        with freeze(moment):
            server.delay(60_000)
            with short_timeouts(find_client(cache), 0.5), pytest.raises(CallTimedOut):
                get()
            with pytest.raises(CircuitOpen):
                get()
            server.delay()
            eventually(is_back)
        cache.close()


def in_another_thread(coroutine: Callable[[], Any]) -> Any:
    """Run a coroutine. If it hangs, this test fails, and pytest goes on."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(asyncio.run(coroutine()))
        except Exception as error:  # noqa: BLE001 - the caller raises it
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(HANG_GUARD)


@moments
def test_a_task_that_waits_goes_on_under_a_frozen_time(freeze: Freeze, moment: datetime.datetime) -> None:
    """The event loop's own timers stand still: for a connection, a retry, a lock and a computed value."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": options})
        computing, may_end = threading.Event(), threading.Event()

        async def first_call() -> Any:
            return await cache.atouch("missing", 60)

        async def retried() -> Any:
            with pytest.raises(ServerUnavailable):
                await cache.aget_many(["missing"])
            return server.calls.total()

        async def lock_of_another_holder() -> Any:
            return await cache.alock("job", 60).acquire(blocking_timeout=0.3)

        def compute() -> str:
            computing.set()
            may_end.wait(HANG_GUARD)
            return "first"

        async def value_that_another_computes() -> Any:
            return await cache.aget_or_set("value", "second", 60, wait=0.1)

        with freeze(moment):
            assert in_another_thread(first_call) is False
            cache.lock("job", 60).acquire()
            assert in_another_thread(lock_of_another_holder) is False
            leader = threading.Thread(target=cache.get_or_set, args=("value", compute, 60))
            leader.start()
            assert computing.wait(HANG_GUARD)
            assert in_another_thread(value_that_another_computes) == "second"
            may_end.set()
            leader.join()
            server.reset_calls()
            server.fail("unavailable")
            assert in_another_thread(retried) > 1
        cache.close()


@moments
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_lock_that_was_released_is_free_under_a_frozen_time(
    freeze: Freeze, moment: datetime.datetime, face: str, make_cache: MakeCache
) -> None:
    """A release is a TTL of a millisecond, which a server in this process must see pass."""
    cache = make_cache()

    async def take_twice() -> None:
        for _ in range(2):
            async with cache.alock("job", 60, blocking_timeout=HANG_GUARD):
                pass

    with freeze(moment):
        if face == "async":
            in_another_thread(take_twice)
        for _ in range(2):
            with cache.lock("job", 60, blocking_timeout=HANG_GUARD):
                pass


@moments
def test_a_server_in_this_process_delays_by_the_real_time(freeze: Freeze, moment: datetime.datetime) -> None:
    """So that a call that it delays under a frozen time gets its response."""
    with freeze(moment), LocalServer(caches=[CACHE_NAME]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": options})
        cache.set("key", 1)
        server.delay(20)
        assert [cache.get("key"), in_another_thread(lambda: cache.aget("key"))] == [1, 1]
