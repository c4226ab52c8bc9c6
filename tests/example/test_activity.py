"""The observer of the site's cache: it counts each call once, sync and async, with its result in words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from example_project.activity import Activity, CacheCall, activity, calls_of_request, warm_up
from tests.conftest import CACHE_NAME, local_options
from tests.kit.tables import table

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_figures() -> Iterator[None]:
    activity.forget()
    yield
    activity.forget()


@pytest.fixture
def observe(settings: Any) -> Callable[..., MomentoCache]:
    """A cache with the observer and with these OPTIONS, as a site would get it."""

    def make(options: dict[str, Any]) -> MomentoCache:
        backend = "django_momento.cache.MomentoCache"
        options = {**options, "OBSERVERS": "example_project.activity.observe"}
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        cache = caches["default"]
        assert isinstance(cache, MomentoCache)
        return cache

    return make


@pytest.fixture
def cache(observe: Callable[..., MomentoCache], momento: LocalServer) -> MomentoCache:
    return observe(local_options(momento))


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, cache: MomentoCache) -> Call:
    """Call a method of the cache by its name: itself, or its async twin on a loop of its own."""
    if request.param == "sync":
        return lambda verb, *args, **kwargs: getattr(cache, verb)(*args, **kwargs)
    return lambda verb, *args, **kwargs: asyncio.run(getattr(cache, f"a{verb}")(*args, **kwargs))


def recorded_calls() -> list[tuple[str, int, int, str]]:
    return [(op.verb, op.hits, op.misses, op.error) for op in activity.snapshot().latest]


def test_a_lookup_is_a_hit_or_a_miss(call: Call):
    """A stored value is a hit, even None. A missing key is a miss and returns the default."""
    call("set", "nothing", None)

    assert call("get", "nothing", "default") is None
    assert call("get", "absent", "default") == "default"
    assert call("get", "absent") is None
    assert [("set", 0, 0, ""), ("get", 1, 0, ""), ("get", 0, 1, ""), ("get", 0, 1, "")] == recorded_calls()


def test_many_lookups_are_one_call(call: Call):
    """Each key of a batch is a hit or a miss, counted once however often it is named."""
    call("set_many", {"a": 1, "b": 2})

    assert call("get_many", iter(["a", "b", "b", "c"])) == {"a": 1, "b": 2}
    assert [("set_many", 0, 0, ""), ("get_many", 2, 1, "")] == recorded_calls()


def test_get_or_set_is_a_get_and_an_add(call: Call):
    """A miss is two calls, and a hit one."""
    assert [call("get_or_set", "key", "value") for _ in range(2)] == ["value", "value"]
    assert [("get", 0, 1, ""), ("add", 0, 0, ""), ("get", 1, 0, "")] == recorded_calls()


@table(
    ("verb", "arguments", "returned", "counted", "result"),
    [
        ("set", ("other", 1), None, "set", "stored"),
        ("add", ("other", 1), True, "add", "stored"),
        ("touch", ("number", 60), True, "touch", "timeout set"),
        ("delete", ("number",), True, "delete", "deleted"),
        ("has_key", ("number",), True, "has_key", "key exists"),
        ("incr", ("number", 2), 43, "incr", "incremented"),
        ("decr", ("number", 2), 39, "incr", "incremented"),
        ("set_many", ({"other": 1},), [], "set_many", "1 sent"),
        ("delete_many", (["number"],), None, "delete_many", "deleted"),
        ("incr_version", ("number",), 2, "incr_version", "moved"),
        ("decr_version", ("number",), 0, "incr_version", "moved"),
        ("clear", (), None, "clear", "emptied"),
    ],
    afresh=True,
)
def test_every_other_verb_shows_its_result(call: Call, verb, arguments, returned, counted, result):
    """A verb that looks nothing up is one call, returns its usual value, and has a result in words."""
    call("set", "number", 41)
    activity.forget()

    assert returned == call(verb, *arguments)
    assert [result] == [each.result for each in activity.snapshot().latest]
    assert [(counted, 0, 0, "")] == recorded_calls()
    assert activity.snapshot().totals[counted].others == 1


@table(
    ("verb", "arguments", "result"),
    [
        ("add", ("number", 1), "already there"),
        ("touch", ("absent", 60), "key missing"),
        ("delete", ("absent",), "key missing"),
        ("has_key", ("absent",), "key missing"),
    ],
    afresh=True,
)
def test_a_call_without_effect_says_so(call: Call, verb, arguments, result):
    """Its result differs from that of a call with an effect."""
    call("set", "number", 41)
    activity.forget()

    assert call(verb, *arguments) is False
    assert [result] == [each.result for each in activity.snapshot().latest]


def test_warming_up_is_not_recorded(cache: MomentoCache, momento: LocalServer):
    """The connections of sync and of batched calls are made, and the figures stay empty."""
    warm_up(cache)

    assert (1, 1) == (momento.calls["Get"], momento.calls["KeysExist"])
    assert activity.snapshot().latest == []


def test_warming_up_without_a_server_raises_nothing(observe, unused_port):
    """The site starts, and the first page shows the error."""
    warm_up(observe({"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{unused_port}"}))

    assert activity.snapshot().latest == []


def test_a_missing_counter_is_a_result(call: Call):
    """incr's ValueError is Django's word for a missing key, and no failure of the cache."""
    with pytest.raises(ValueError, match="not found"):
        call("incr", "absent")

    assert [("incr", 0, 0, "")] == recorded_calls()
    assert activity.snapshot().latest[0].result == "key missing"
    assert activity.snapshot().last_failure is None


def test_a_failure_is_counted_and_raised(observe, unused_port):
    """A failed call is an error, kept with its texts, and raised as always."""
    cache = observe({"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{unused_port}"})

    with pytest.raises(ServerUnavailable) as failed:
        cache.get("key")

    snapshot = activity.snapshot()
    assert [("get", 0, 0, type(failed.value).__name__)] == recorded_calls()
    assert snapshot.totals["get"].errors == 1
    assert (failed.value.cause, failed.value.fix) == snapshot.last_failure[2:]
    assert snapshot.latest[0].outcome == "error"


@pytest.mark.parametrize("verb", ["get", "aget"])
def test_a_failure_that_the_cache_hides_is_counted_with_its_texts(observe, unused_port, verb):
    """With IGNORE_EXCEPTIONS the site sees a miss, and the figures an error."""
    options = {"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{unused_port}", "IGNORE_EXCEPTIONS": True}
    cache = observe(options)

    result = getattr(cache, verb)("key", "default")
    value = asyncio.run(result) if verb == "aget" else result

    failure = activity.snapshot().last_failure
    assert value == "default"
    assert [("get", 0, 0, "ServerUnavailable")] == recorded_calls()
    assert (failure.name, str(unused_port) in failure.cause) == ("ServerUnavailable", True)


def test_a_call_inside_the_handling_of_another_error_is_no_failure(cache: MomentoCache):
    """Only the error of the call itself is kept, not the one that its caller handles."""
    try:
        raise ServerUnavailable("An older error.", "Wait.")
    except ServerUnavailable:
        cache.get("key")

    assert [("get", 0, 1, "")] == recorded_calls()
    assert activity.snapshot().last_failure is None


def test_the_latest_are_bounded_and_the_totals_are_not():
    """However long a process runs, it keeps only the latest calls, and all sums."""
    figures = Activity(latest=10)
    for number in range(100):
        figures.record(CacheCall(number, "get", 1.0, hits=1))

    snapshot = figures.snapshot()
    assert [*range(90, 100)] == [call.at for call in snapshot.latest]
    assert snapshot.totals["get"].calls == snapshot.totals["get"].hits == 100


def test_threads_lose_no_call():
    """Calls that end at the same time are all counted."""
    figures = Activity()

    def work(_: int) -> None:
        for _ in range(500):
            figures.record(CacheCall(0, "get", 1.0, hits=1, misses=1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert (4000, 4000, 4000, 0, 0) == figures.snapshot().totals["get"]


def test_calls_are_collected_for_the_request_that_made_them(cache):
    """A request's calls are its own and those of its tasks; a call beside it is not in the list."""

    async def both() -> tuple[list[CacheCall], list[CacheCall]]:
        async def request(*keys: str) -> list[CacheCall]:
            with calls_of_request() as calls:
                await asyncio.gather(*(cache.aget(key) for key in keys))
            return calls

        return await asyncio.gather(request("a", "b"), request("c"))

    first, second = asyncio.run(both())
    cache.get("outside")

    assert (2, 1) == (len(first), len(second))
    assert activity.snapshot().totals["get"].calls == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_without_figures():
    """A worker does not count the calls of its parent, and can count although a lock was held."""
    program = """
import json, os
from example_project.activity import CacheCall, activity
activity.record(CacheCall(0, "get", 1.0))
activity._lock.acquire()
if os.fork() == 0:
    activity.record(CacheCall(0, "set", 1.0))
    print(json.dumps(list(activity.snapshot().totals)), flush=True)
    os._exit(0)
os.wait()
"""
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=settings, capture_output=True, check=True, timeout=60
    )

    assert ["set"] == json.loads(ran.stdout)
