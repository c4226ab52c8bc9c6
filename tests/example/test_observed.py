"""The observed cache: each operation is counted once, in both faces, and answers as the cache itself does."""

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

from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from example_project.observed import Activity, ObservedCache, Operation, activity, calls_of_request
from tests.conftest import CACHE_NAME, local_options

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_figures() -> Iterator[None]:
    activity.forget()
    yield
    activity.forget()


@pytest.fixture
def observe(settings: Any) -> Callable[..., ObservedCache]:
    """An observed cache with these OPTIONS, as a site would get it."""

    def make(options: dict[str, Any]) -> ObservedCache:
        backend = "example_project.observed.ObservedCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        cache = caches["default"]
        assert isinstance(cache, ObservedCache)
        return cache

    return make


@pytest.fixture
def cache(observe: Callable[..., ObservedCache], momento: LocalServer) -> ObservedCache:
    return observe(local_options(momento))


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, cache: ObservedCache) -> Call:
    """Call a method of the cache by its name: itself, or its async twin on a loop of its own."""
    if request.param == "sync":
        return lambda verb, *args, **kwargs: getattr(cache, verb)(*args, **kwargs)
    return lambda verb, *args, **kwargs: asyncio.run(getattr(cache, f"a{verb}")(*args, **kwargs))


def seen() -> list[tuple[str, int, int, str]]:
    return [(op.verb, op.hits, op.misses, op.error) for op in activity.snapshot().latest]


def test_a_lookup_is_a_hit_or_a_miss(call: Call):
    """What a key holds is a hit, even None; what it does not hold is a miss and answers the default."""
    call("set", "nothing", None)

    assert call("get", "nothing", "default") is None
    assert call("get", "absent", "default") == "default"
    assert call("get", "absent") is None
    assert [("set", 0, 0, ""), ("get", 1, 0, ""), ("get", 0, 1, ""), ("get", 0, 1, "")] == seen()


def test_many_lookups_are_one_operation(call: Call):
    """Each key of a batch is a hit or a miss, counted once however often it is named."""
    call("set_many", {"a": 1, "b": 2})

    assert call("get_many", iter(["a", "b", "b", "c"])) == {"a": 1, "b": 2}
    assert [("set_many", 0, 0, ""), ("get_many", 2, 1, "")] == seen()


def test_get_or_set_is_what_it_is_made_of(call: Call):
    """On a miss two operations are seen, on a hit one."""
    assert [call("get_or_set", "key", "value") for _ in range(2)] == ["value", "value"]
    assert [("get", 0, 1, ""), ("add", 0, 0, ""), ("get", 1, 0, "")] == seen()


@pytest.mark.parametrize(
    ("verb", "arguments", "answer", "counted"),
    [
        ("set", ("other", 1), None, "set"),
        ("add", ("other", 1), True, "add"),
        ("touch", ("number", 60), True, "touch"),
        ("delete", ("number",), True, "delete"),
        ("has_key", ("number",), True, "has_key"),
        ("incr", ("number", 2), 43, "incr"),
        ("decr", ("number", 2), 39, "incr"),
        ("set_many", ({"other": 1},), [], "set_many"),
        ("delete_many", (["number"],), None, "delete_many"),
        ("incr_version", ("number",), 2, "incr_version"),
        ("decr_version", ("number",), 0, "incr_version"),
        ("clear", (), None, "clear"),
    ],
)
def test_every_other_verb_is_done(call: Call, verb, arguments, answer, counted):
    """A verb that looks nothing up is one operation, and answers what it always does."""
    call("set", "number", 41)
    activity.forget()

    assert answer == call(verb, *arguments)
    assert [(counted, 0, 0, "")] == seen()
    assert activity.snapshot().totals[counted].others == 1


def test_a_missing_counter_is_an_answer(call: Call):
    """incr's ValueError is Django's word for a missing key, and no failure of the cache."""
    with pytest.raises(ValueError, match="not found"):
        call("incr", "absent")

    assert [("incr", 0, 0, "")] == seen()
    assert activity.snapshot().last_failure is None


def test_a_failure_is_counted_and_raised(observe, closed_port):
    """What Momento cannot answer is an error, kept in words, and raised as ever."""
    cache = observe({"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{closed_port}"})

    with pytest.raises(ServerUnavailable) as failed:
        cache.get("key")

    snapshot = activity.snapshot()
    assert [("get", 0, 0, type(failed.value).__name__)] == seen()
    assert snapshot.totals["get"].errors == 1
    assert (failed.value.cause, failed.value.fix) == snapshot.last_failure[2:]
    assert snapshot.latest[0].outcome == "error"


def test_the_latest_are_bounded_and_the_totals_are_not():
    """However long a process runs, it keeps only the latest operations, and all of the sums."""
    figures = Activity(latest=10)
    for number in range(100):
        figures.record(Operation(number, "get", 1.0, hits=1))

    snapshot = figures.snapshot()
    assert [*range(90, 100)] == [operation.at for operation in snapshot.latest]
    assert snapshot.totals["get"].operations == snapshot.totals["get"].hits == 100


def test_threads_lose_no_operation():
    """Operations that end at the same time are all counted."""
    figures = Activity()

    def work(_: int) -> None:
        for _ in range(500):
            with figures.watch("get") as lookup:
                lookup.found(1, of=2)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert (4000, 4000, 4000, 0, 0) == figures.snapshot().totals["get"]


def test_calls_are_collected_where_they_were_asked_for(cache):
    """A request's calls are its own and those of its tasks; what runs beside it is not in the list."""

    async def both() -> tuple[list[Operation], list[Operation]]:
        async def request(*keys: str) -> list[Operation]:
            with calls_of_request() as calls:
                await asyncio.gather(*(cache.aget(key) for key in keys))
            return calls

        return await asyncio.gather(request("a", "b"), request("c"))

    first, second = asyncio.run(both())
    cache.get("outside")

    assert (2, 1) == (len(first), len(second))
    assert activity.snapshot().totals["get"].operations == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_without_figures():
    """A worker does not count what its parent did, and can count although a lock was held."""
    program = """
import json, os
from example_project.observed import Operation, activity
activity.record(Operation(0, "get", 1.0))
activity._lock.acquire()
if os.fork() == 0:
    activity.record(Operation(0, "set", 1.0))
    print(json.dumps(list(activity.snapshot().totals)), flush=True)
    os._exit(0)
os.wait()
"""
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=settings, capture_output=True, check=True, timeout=60
    )

    assert ["set"] == json.loads(answer.stdout)
