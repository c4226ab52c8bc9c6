"""The events of calls: equal to an independent count at the server, for all verbs and both faces."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import SynchronousOnlyOperation

from django_momento.events import CallEvent
from django_momento.exceptions import LimitExceeded, MomentoCacheError
from django_momento.local import LocalServer
from django_momento.local.limits import ON_DEMAND
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit import circuits
from tests.kit.call_counts import assert_equal
from tests.kit.clock import Clock
from tests.kit.faces import call
from tests.kit.tables import table

no_probes = circuits.no_probes

KIB = 1024


BIG = b"x" * (3 * KIB)


# Each verb with arguments that reach all of its ways, and the state that earlier ones leave.
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("get", ("a:missing",)),
    ("set", ("a:1", BIG)),
    ("get", ("a:1",)),
    ("set", ("a:over", 1, 0)),
    ("add", ("a:1", 1)),
    ("add", ("a:2", BIG)),
    ("add", ("a:3", 1, 0)),
    ("touch", ("a:1", 60)),
    ("touch", ("a:missing", 60)),
    ("touch", ("a:2", 0)),
    ("has_key", ("a:1",)),
    ("set", ("n:1", 1)),
    ("incr", ("n:1",)),
    ("decr", ("n:1", 5)),
    ("get_or_set", ("b:1", BIG)),
    ("get_or_set", ("b:1", BIG)),
    ("set_many", ({f"m:{number}": BIG for number in range(20)},)),
    ("set_many", ({"m:over": 1}, 0)),
    ("get_many", ([f"m:{number}" for number in range(25)],)),
    ("get_many", ([f"m:{number}" for number in range(1500)],)),
    ("incr_version", ("a:1",)),
    ("delete", ("a:1",)),
    ("delete_many", (["m:1", "m:2", "m:missing"],)),
    ("ttl", ("m:3",)),
    ("expire", ("m:3", 60)),
    ("rate_limit", ("limit:1", 5, 60)),
    ("invalidate_tags", ("shop", "tea")),
    ("clear", ()),
]


@table("concern", ["balanced", "consistent"], afresh=True)
@table("face", ["sync", "async"], afresh=True)
def test_the_events_of_each_verb_equal_the_count_at_the_server(
    face: str, concern: str, make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """After every single call, so that no two mistakes cancel out."""
    cache = make_cache(OPTIONS={"READ_CONCERN": concern})

    for verb, arguments in CALLS:
        seen.clear()
        momento.reset_calls()
        call(cache, face, verb, *arguments)
        assert seen, verb
        assert_equal(seen, momento)
        # composed verbs are seen as their parts
        if verb not in ("get_or_set", "decr", "expire"):
            assert [event.verb for event in seen] == [verb]
        assert {event.error for event in seen} == {None}


@table("face", ["sync", "async"], afresh=True)
def test_hits_and_misses_and_bytes_are_those_of_the_keys(
    face: str, make_cache: MakeCache, seen: list[CallEvent]
) -> None:
    """Of the three verbs that look keys up; a delete of a missing key is no miss."""
    cache = make_cache()
    cache.set_many({"g:1": BIG, "g:2": 1})
    seen.clear()

    def event_of(verb: str, *arguments: Any) -> CallEvent:
        call(cache, face, verb, *arguments)
        return seen.pop()

    get = event_of("get", "g:1")
    assert (get.hits, get.misses, get.keys, get.key_group) == (1, 0, 1, "g")
    assert get.bytes_sent == len(b":1:g:1")
    assert get.bytes_received >= len(BIG)
    assert get.largest == get.bytes_received
    many = event_of("get_many", ["g:1", "g:2", "h:3"])
    assert (many.hits, many.misses, many.keys, many.key_group) == (2, 1, 3, "mixed")
    assert (event_of("has_key", "g:2").hits, event_of("has_key", "h:3").misses) == (1, 1)
    delete = event_of("delete", "g:missing")
    assert (delete.hits, delete.misses, delete.requests) == (0, 0, 2)
    stored = event_of("set", "g:3", BIG)
    assert stored.bytes_sent == len(b":1:g:3") + stored.largest
    assert stored.largest >= len(BIG)


@table("face", ["sync", "async"], afresh=True)
def test_a_value_that_reads_as_a_miss_is_a_miss(
    face: str, make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """Because it cannot be read back, or because one of its tags was invalidated. It costs the same."""
    make_cache(alias="unsigned", OPTIONS={"SIGN": False}).set("g:foreign", [1])
    cache = make_cache()
    cache.set_many({"g:tagged": BIG, "g:kept": 1}, tags=["shop"])
    cache.set("g:plain", 1)
    cache.invalidate_tags("shop")
    cache.set("g:kept", 1, tags=["shop"])
    seen.clear()
    momento.reset_calls()

    assert call(cache, face, "get", "g:foreign") is None
    assert call(cache, face, "get", "g:tagged") is None
    assert call(cache, face, "get", "g:kept") == 1
    keys = ["g:foreign", "g:tagged", "g:kept", "g:plain", "g:missing"]
    assert call(cache, face, "get_many", keys) == {"g:kept": 1, "g:plain": 1}
    assert [(event.hits, event.misses) for event in seen] == [(0, 1), (0, 1), (1, 0), (2, 3)]
    assert_equal(seen, momento)


@table("face", ["sync", "async"], afresh=True)
@table(
    "status",
    [
        *("unavailable", "internal", "resource_exhausted", "unauthenticated", "permission_denied"),
        *("not_found", "invalid_argument", "failed_precondition", "out_of_range", "aborted", "unknown"),
        *("deadline_exceeded", "cancelled", "data_loss", "unimplemented", "already_exists"),
    ],
    afresh=True,
)
def test_failed_calls_equal_the_count_at_the_server(
    face: str,
    status: str,
    make_cache: MakeCache,
    momento: LocalServer,
    no_probes: None,
    seen: list[CallEvent],
) -> None:
    """Their retries included. Probes are counted apart."""
    cache = make_cache()
    momento.fail(status, 1.0)
    try:
        for verb, arguments in (("get", ("k",)), ("set", ("k", 1)), ("get_many", (["a", "b"],))):
            with pytest.raises(MomentoCacheError):
                call(cache, face, verb, *arguments)
        assert_equal(seen, momento)
        assert all(event.error for event in seen)
        assert len(seen) == 3
    finally:
        momento.fail()


@table("face", ["sync", "async"], afresh=True)
def test_a_missing_cache_and_a_wrong_type_cost_what_the_server_counts(
    face: str, make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    with pytest.raises(MomentoCacheError):
        call(make_cache("nowhere"), face, "get", "k")
    with pytest.raises(MomentoCacheError):
        call(make_cache("nowhere"), face, "set", "k", BIG)
    with pytest.raises(MomentoCacheError):
        call(make_cache("nowhere"), face, "get_many", ["a", "b"])
    cache = make_cache()
    call(cache, face, "set", "text", "x")
    with pytest.raises(TypeError):
        call(cache, face, "incr", "text")

    assert_equal(seen, momento)
    assert [event.error for event in seen] == ["CacheNotFound"] * 3 + [None, "TypeError"]


def test_an_error_that_a_cache_hides_is_in_its_event(make_cache: MakeCache, seen: list[CallEvent]) -> None:
    cache = make_cache("nowhere", OPTIONS={"IGNORE_EXCEPTIONS": True})
    assert cache.get("k", "default") == "default"
    assert [event.error for event in seen] == ["CacheNotFound"]


@table("face", ["sync", "async"], afresh=True)
@table(
    ("verb", "arguments", "found"),
    [
        ("get", ("n:1",), True),
        ("get", ("n:none",), False),
        ("add", ("n:1", 1), True),
        ("add", ("n:none", 1), False),
        ("add", ("n:none", 1, 0), False),
        ("touch", ("n:1", 60), True),
        ("touch", ("n:none", 60), False),
        ("touch", ("n:1", 0), True),
        ("has_key", ("n:1",), True),
        ("has_key", ("n:none",), False),
        ("incr", ("n:1",), True),
        ("decr", ("n:1",), True),
        ("incr_version", ("n:1",), True),
        ("delete", ("n:1",), True),
        ("delete", ("n:none",), False),
        ("set", ("n:1", 1), None),
        ("get_many", (["n:1", "n:none"],), None),
        ("set_many", ({"n:1": 1, "n:none": 1},), None),
        ("delete_many", (["n:1", "n:none"],), None),
        ("clear", (), None),
    ],
    afresh=True,
)
def test_the_event_tells_whether_the_key_existed(
    face: str, verb: str, arguments: Any, found: Any, make_cache: MakeCache, seen: list[CallEvent]
) -> None:
    """It is known for calls on one key that Momento gives a result for, and None for the others."""
    cache = make_cache()
    cache.set("n:1", 1)
    seen.clear()

    call(cache, face, verb, *arguments)

    assert [found] == [event.found for event in seen]


@table("face", ["sync", "async"], afresh=True)
@table("verb", ["incr", "incr_version"], afresh=True)
def test_the_event_of_a_missing_number_tells_that_it_is_missing(
    face: str, verb: str, make_cache: MakeCache, seen: list[CallEvent]
) -> None:
    """The ValueError for Django is raised after the event, whose call did not fail."""
    with pytest.raises(ValueError, match="not found"):
        call(make_cache(), face, verb, "n:none")

    assert [(False, None)] == [(event.found, event.error) for event in seen]


def test_a_limit_that_is_hit_costs_nothing(settings: Any, seen: list[CallEvent]) -> None:
    """As at the server, which counts the call."""
    with LocalServer(caches=[CACHE_NAME], limits=ON_DEMAND, clock=Clock().milliseconds) as server:
        settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": CACHE_NAME,
                "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": server.address},
            }
        }
        cache = caches["default"]
        cache.get("k")
        cache.set_many({f"k{number}": bytes(200 * KIB) for number in range(3)})
        with pytest.raises(LimitExceeded):
            cache.set("k", 1)
        assert_equal(seen, server)
    assert seen[-1].error == "LimitExceeded"
    assert seen[-1].operations == 0


def test_calls_of_eight_threads_and_fifty_tasks_equal_the_count_at_the_server(
    make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """Tasks share batches, in which the cost of a key that several want is counted once."""
    cache = make_cache()
    cache.set_many({f"k:{number}": BIG for number in range(10)})
    seen.clear()
    momento.reset_calls()

    async def task(number: int) -> None:
        for round_ in range(10):
            await cache.aget(f"k:{(number + round_) % 12}")
            if not number % 7:
                await cache.aset(f"t:{number}", BIG)

    async def tasks() -> None:
        await asyncio.gather(*map(task, range(50)))

    def thread(number: int) -> None:
        for round_ in range(20):
            cache.get(f"k:{(number + round_) % 12}")
            cache.set(f"s:{number}", BIG)

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    asyncio.run(tasks())
    for each in threads:
        each.join()

    assert_equal(seen, momento)
    count = Counter(event.verb for event in seen)
    assert count == {"get": 50 * 10 + 8 * 20, "set": 8 * 10 + 8 * 20}
    gets = [event for event in seen if event.verb == "get"]
    assert sum(event.hits + event.misses for event in gets) == len(gets)


class _Queryset:
    """A value that must not be pickled in an event loop, as a queryset."""

    def __reduce__(self) -> Any:
        if _runs_in_a_loop():
            raise SynchronousOnlyOperation
        return (_Queryset, ())


def _runs_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_value_that_is_encoded_in_a_thread_is_one_call(
    make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """And a sync call in an event loop, which fails there, is one too."""
    cache = make_cache()
    cache.get("warm")
    seen.clear()
    momento.reset_calls()

    asyncio.run(cache.aset("k", _Queryset()))

    async def fail() -> None:
        cache.set("k", _Queryset())

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(fail())
    assert [(event.verb, event.error) for event in seen] == [
        ("set", None),
        ("set", "SynchronousOnlyOperation"),
    ]
    assert_equal(seen, momento)
