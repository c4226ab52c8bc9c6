"""Stale values that one caller recomputes, and leases between processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.calls import Get, ItemGetTtl, Operation, Wait
from django_momento.codec.attributes import Attributed, Attributes
from django_momento.events import events
from django_momento.local import LocalServer
from django_momento.policies import freshness, leases
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once
from tests.kit.faces import EACH_FACE, call
from tests.kit.ports import unserved
from tests.kit.raw import decode, encode, find_client
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, aeventually, eventually

LONG = 60.0
KEY = b":1:key"


def send(cache: MomentoCache, operation: Operation[Any]) -> Any:
    return find_client(cache).run(cache.options.cache_name, operation)


def stored(cache: MomentoCache) -> Any:
    def look() -> Operation[tuple[bytes | None, int | None]]:
        data = yield Get(KEY)
        return data, (yield ItemGetTtl(KEY))

    data, ttl = send(cache, look())
    assert data is not None
    return decode(cache, KEY, data), ttl


def store_stale(cache: MomentoCache, value: Any) -> None:
    """Store a value that was fresh until a second ago."""
    data = encode(cache, KEY, value, Attributes(round(time.time() * 1000) - 1000))
    send(cache, operations.set(KEY, data, 600_000))


@EACH_FACE
def test_a_value_lives_for_its_timeout_and_the_time_to_be_stale(make_cache: MakeCache, face: str) -> None:
    cache = make_cache()
    before = time.time() * 1000

    assert call(cache, face, "get_or_set", "key", lambda: [1], 60, stale=timedelta(minutes=10)) == [1]

    value, ttl = stored(cache)
    assert type(value) is Attributed
    assert value.value == [1]
    assert value.attributes.fresh_until is not None
    assert before + 59_000 <= value.attributes.fresh_until <= time.time() * 1000 + 61_000
    assert 650_000 < ttl <= 660_000
    assert call(cache, face, "get", "key") == [1]
    assert call(cache, face, "get_or_set", "key", pytest.fail, 60, stale=600) == [1]


@EACH_FACE
@table(
    ("timeout", "stale", "expected"),
    [
        (None, 60, 3_600_000),
        (3600, 60, 3_600_000),
        (7200, 60, 3_600_000),
        (60, float("inf"), 3_600_000),
        (60, 10**9, 3_600_000),
        (60, 0, 60_000),
    ],
    afresh=True,
)
def test_max_ttl_cuts_the_time_to_be_stale(
    make_cache: MakeCache, face: str, timeout: Any, stale: float, expected: int
) -> None:
    """A value that is never stale has no attributes."""
    cache = make_cache(OPTIONS={"MAX_TTL": 3600})

    call(cache, face, "get_or_set", "key", 5, timeout, stale=stale)

    value, ttl = stored(cache)
    assert expected - 10_000 < ttl <= expected
    assert (type(value) is Attributed) is (timeout == 60 and stale > 0)


@EACH_FACE
@table("timeout", [0, -1], afresh=True)
def test_a_timeout_that_is_over_stores_nothing(make_cache: MakeCache, face: str, timeout: int) -> None:
    cache = make_cache()

    assert call(cache, face, "get_or_set", "key", 5, timeout, stale=60, lease=60) == 5
    assert call(cache, face, "get_or_set", "key", None, timeout, stale=60) is None
    assert cache.get("key", "missing") == "missing"


@table("is_async", [False, True], afresh=True)
def test_one_caller_recomputes_a_stale_value_and_the_others_do_not_wait(
    make_cache: MakeCache, is_async: bool
) -> None:
    """They get the old value while the default runs."""
    cache = make_cache()
    store_stale(cache, "old")
    served = threading.Semaphore(0)
    runs = []

    def default() -> str:
        runs.append(1)
        for _ in range(19):
            assert served.acquire(timeout=LONG)
        return "new"

    def act() -> Any:
        value = call(cache, "async" if is_async else "sync", "get_or_set", "key", default, 60, stale=600)
        served.release()
        return value

    assert sorted(at_once(20, act)) == ["new"] + ["old"] * 19
    assert runs == [1]
    assert events.counts("default") == {"recomputed": 1, "stale_served": 19}
    assert cache.get("key") == "new"


@EACH_FACE
def test_a_stale_value_stays_if_it_cannot_be_recomputed(make_cache: MakeCache, face: str) -> None:
    """The exception goes to the caller whose default raised it; the next call tries again."""
    cache = make_cache()
    store_stale(cache, "old")
    runs = []

    def default() -> str:
        runs.append(1)
        if len(runs) == 1:
            raise LookupError
        return call_inside(cache)

    def call_inside(cache: MomentoCache) -> str:
        return "new" if face == "async" else cache.get_or_set("key", pytest.fail, 60, stale=600) + ", renewed"

    with pytest.raises(LookupError):
        call(cache, face, "get_or_set", "key", default, 60, stale=600)
    assert call(cache, face, "get", "key") is None
    assert call(cache, face, "get_or_set", "key", default, 60, stale=600) == (
        "new" if face == "async" else "old, renewed"
    )
    assert len(runs) == 2


@EACH_FACE
def test_a_caller_that_takes_no_stale_value_waits_for_the_new_one(make_cache: MakeCache, face: str) -> None:
    """And replaces a stale value if nobody recomputes it."""
    cache = make_cache()
    store_stale(cache, "old")

    assert call(cache, face, "get_or_set", "key", lambda: "new", 60) == "new"
    assert call(cache, face, "get", "key") == "new"


@EACH_FACE
@table("stale", [0, 60], afresh=True)
@table("lease", [0, 60], afresh=True)
def test_an_unreadable_value_is_replaced(make_cache: MakeCache, face: str, stale: int, lease: int) -> None:
    make_cache(OPTIONS={"SERIALIZER": "json"}).set("key", ["foreign"])
    cache = make_cache()

    assert call(cache, face, "get_or_set", "key", lambda: "new", stale=stale, lease=lease) == "new"
    assert call(cache, face, "get_or_set", "key", pytest.fail, stale=stale, lease=lease) == "new"


@EACH_FACE
@table("stale", [0, 60], afresh=True)
def test_the_value_of_another_caller_stands(make_cache: MakeCache, face: str, stale: int) -> None:
    """Who stored it meanwhile."""
    cache = make_cache()

    def default() -> str:
        cache.set("key", "theirs")
        return "mine"

    assert call(cache, face, "get_or_set", "key", default, stale=stale) == "theirs"


@EACH_FACE
def test_a_lease_is_released(make_cache: MakeCache, momento: LocalServer, face: str) -> None:
    """After the value was stored, and after the default has failed."""
    cache = make_cache()
    token = bytes(16)

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        call(cache, face, "get_or_set", "key", fail, lease=LONG)
    eventually(lambda: send(cache, leases.acquire(KEY, token, 60_000)))
    assert send(cache, leases.release(KEY, token))
    time.sleep(0.002)
    momento.reset_calls()

    assert call(cache, face, "get_or_set", "key", lambda: 1, lease=LONG) == 1

    assert momento.calls == {"Get": 2, "SetIf": 2, "SetIfNotExists": 1} or face == "async"
    eventually(lambda: send(cache, leases.acquire(KEY, token, 60_000)))


@EACH_FACE
def test_a_caller_without_the_lease_waits_for_the_value_of_its_holder(
    make_cache: MakeCache, face: str
) -> None:
    cache = make_cache()
    send(cache, leases.acquire(KEY, bytes(16), 60_000))

    def hold() -> None:
        eventually(lambda: events.counts("default").get("leases_waited"))
        cache.set("key", "of the holder")

    holder = threading.Thread(target=hold)
    holder.start()
    assert call(cache, face, "get_or_set", "key", pytest.fail, lease=LONG, wait=LONG) == "of the holder"
    holder.join()


@EACH_FACE
def test_a_caller_without_the_lease_gets_a_stale_value_at_once(make_cache: MakeCache, face: str) -> None:
    cache = make_cache()
    store_stale(cache, "old")
    send(cache, leases.acquire(KEY, bytes(16), 60_000))

    assert call(cache, face, "get_or_set", "key", pytest.fail, stale=60, lease=LONG, wait=LONG) == "old"


@EACH_FACE
def test_a_caller_takes_the_lease_of_a_holder_that_gave_up(make_cache: MakeCache, face: str) -> None:
    """It need not wait for the whole of its time."""
    cache = make_cache()
    send(cache, leases.acquire(KEY, bytes(16), 60_000))

    def hold() -> None:
        eventually(lambda: events.counts("default").get("leases_waited"))
        send(cache, leases.release(KEY, bytes(16)))

    holder = threading.Thread(target=hold)
    holder.start()
    assert call(cache, face, "get_or_set", "key", lambda: "mine", lease=LONG, wait=10 * LONG) == "mine"
    holder.join()


@EACH_FACE
def test_a_caller_without_the_lease_computes_after_its_time(make_cache: MakeCache, face: str) -> None:
    cache = make_cache()
    send(cache, leases.acquire(KEY, bytes(16), 60_000))

    assert call(cache, face, "get_or_set", "key", lambda: "mine", lease=LONG, wait=0.1) == "mine"


class Stall(Wait):
    """Let the response of a call be on its way until the task is cancelled."""

    def __init__(self) -> None:
        self.is_reached = False

    async def arun(self) -> None:
        self.is_reached = True
        await asyncio.sleep(LONG)


def test_a_task_that_is_cancelled_while_it_gets_the_lease_releases_it(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other processes need not wait until it ends."""
    cache, stall = make_cache(), Stall()

    def acquire_slowly(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
        acquired = yield from leases.acquire(key, token, ttl)
        yield stall
        return acquired

    monkeypatch.setattr(freshness, "acquire", acquire_slowly)

    async def main() -> None:
        task = asyncio.create_task(cache.aget_or_set("key", pytest.fail, lease=LONG))
        await aeventually(lambda: stall.is_reached)
        assert not await find_client(cache).arun(CACHE_NAME, leases.acquire(KEY, bytes(16), 60_000))
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    eventually(lambda: send(cache, leases.acquire(KEY, bytes(16), 60_000)))


@table("is_loud", [True, False], afresh=True)
@EACH_FACE
def test_an_outage_computes_or_raises_as_without_a_lease(settings: Any, face: str, is_loud: bool) -> None:
    with LocalServer(caches=[CACHE_NAME]) as server:
        options = local_options(server, IGNORE_EXCEPTIONS=not is_loud)
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": options})
        assert cache.get("key") is None
        server.stop()
        with unserved(server.port):
            for arguments in ({"stale": 60}, {"lease": 60}, {"stale": 60, "lease": 60}):
                if is_loud:
                    with pytest.raises(Exception, match="Momento"):
                        call(cache, face, "get_or_set", "key", lambda: "value", **arguments)
                else:
                    assert call(cache, face, "get_or_set", "key", lambda: "value", **arguments) == "value"


def compute_in_threads(endpoint: str, barrier: Any, runs: Any, results: Any) -> None:
    """Ask for one key in eight threads of this process."""
    options = {"CREDENTIALS": "local", "ENDPOINT": endpoint}
    cache = MomentoCache(CACHE_NAME, {"OPTIONS": options})
    cache.get("warm")

    def default() -> str:
        with runs.get_lock():
            runs.value += 1
        time.sleep(0.5)
        return "value"

    barrier.wait(HANG_GUARD)
    found = at_once(8, lambda: cache.get_or_set("key", default, 60, lease=LONG, wait=LONG))
    with results.get_lock():
        results.value += found.count("value")


def test_eight_processes_of_eight_threads_run_a_default_once(momento: LocalServer) -> None:
    context = multiprocessing.get_context("spawn")
    runs, results, barrier = context.Value("i", 0), context.Value("i", 0), context.Barrier(8)
    processes = [
        context.Process(target=compute_in_threads, args=(momento.address, barrier, runs, results))
        for _ in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 8
    assert (runs.value, results.value) == (1, 64)
