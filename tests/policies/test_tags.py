"""Tags: values that one write forgets together, and what that costs."""

from __future__ import annotations

import asyncio
import threading
from secrets import token_bytes
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.client import operations
from django_momento.client.calls import SetBatchOnce
from django_momento.events import events
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from django_momento.policies import versions as module
from django_momento.policies.tags import MAX_TAGS
from django_momento.policies.versions import tag_key, versions
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit.clock import Clock
from tests.kit.faces import EACH_FACE, FACES, call
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD
from tests.kit.wire import Wire

ALWAYS = {"TAG_SECONDS": 0}
KEPT = {"TAG_SECONDS": 600}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Both clocks by which the age of a version is measured."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "wall", clock)
    return clock


def lose(server: LocalServer, *tags: str) -> None:
    """Let the server lose the versions of tags, as by eviction or expiry."""
    for tag in tags:
        Wire(server.address).Delete(pb._DeleteRequest(cache_key=tag_key("", tag)), cache=CACHE_NAME)


def invalidate_elsewhere(server: LocalServer, tag: str, version: bytes = b"") -> None:
    """Write a version as another process does, which this one does not hear of."""
    request = pb._SetRequest(
        cache_key=tag_key("", tag), cache_body=version or token_bytes(8), ttl_milliseconds=60_000
    )
    Wire(server.address).Set(request, cache=CACHE_NAME)


def sent(server: LocalServer) -> dict[str, int]:
    """Return the calls since the last question, by RPC."""
    counted = dict(server.calls)
    server.reset_calls()
    return counted


@FACES
@table("options", [ALWAYS, {}, KEPT])
def test_invalidating_one_tag_forgets_its_values_and_no_others(
    make_cache: MakeCache, face: str, options: dict[str, Any]
) -> None:
    cache = make_cache(OPTIONS=options)
    call(cache, face, "set", "a", [1], tags=["shop", "a"])
    call(cache, face, "set", "number", 7, tags=["shop"])
    call(cache, face, "set", "plain", 1)
    assert call(cache, face, "add", "b", None, tags=["b"]) is True
    assert call(cache, face, "set_many", {"c": 3, "d": 4}, tags=["d"]) == []
    keys = ["a", "number", "plain", "b", "c", "d"]
    stored = {"a": [1], "number": 7, "plain": 1, "b": None, "c": 3, "d": 4}
    assert call(cache, face, "get_many", keys) == stored

    call(cache, face, "invalidate_tags", "shop", "unused")

    assert call(cache, face, "get_many", keys) == {"plain": 1, "b": None, "c": 3, "d": 4}
    assert [call(cache, face, "get", key, "gone") for key in ("a", "number", "c")] == ["gone", "gone", 3]
    call(cache, face, "invalidate_tags", "d", "b")
    assert call(cache, face, "get_many", keys) == {"plain": 1}
    call(cache, face, "set", "a", [2], tags=["shop"])
    assert call(cache, face, "get", "a") == [2]


@EACH_FACE
def test_add_replaces_a_forgotten_value_but_no_other(make_cache: MakeCache, face: str) -> None:
    cache = make_cache()
    assert call(cache, face, "add", "k", 1, tags=["t"]) is True
    assert call(cache, face, "add", "k", 2, tags=["t"]) is False
    cache.invalidate_tags("t")
    assert call(cache, face, "add", "k", 3) is False
    assert call(cache, face, "add", "k", 4, tags=["u"]) is True
    assert call(cache, face, "get", "k") == 4


@table(
    ("tags", "kind", "text"),
    [
        ("shop", TypeError, "tags is 'shop'. It must be a list of strings"),
        ("", TypeError, "It must be a list"),
        (b"shop", TypeError, "It must be a list"),
        (None, TypeError, "It must be a list"),
        (5, TypeError, "It must be a list"),
        ([5], TypeError, "The tag 5 is of type int. A tag must be a string."),
        ([b"a"], TypeError, "of type bytes"),
        ([None], TypeError, "of type NoneType"),
        ([""], ValueError, "A tag is empty"),
        (["a", "b", "a"], ValueError, "names 'a' twice"),
        ([str(number) for number in range(MAX_TAGS + 1)], ValueError, "17 tags; a value has at most 16"),
    ],
)
def test_wrong_tags_are_refused_before_anything_is_sent(
    momento: LocalServer, make_cache: MakeCache, tags: Any, kind: type[Exception], text: str
) -> None:
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    for face in ("sync", "async"):
        for verb, arguments in (("set", ["k", 1]), ("add", ["k", 1]), ("set_many", [{"k": 1}])):
            with pytest.raises(kind, match=text.replace(".", r"\.")):
                call(cache, face, verb, *arguments, tags=tags)
    assert sent(momento) == {}


@table(
    ("tags", "options", "kind", "text"),
    [
        ([["a"]], {}, TypeError, "Unpack the list"),
        ([5], {}, TypeError, "of type int"),
        ([""], {}, ValueError, "empty"),
        (["a"], {"using": "default"}, TypeError, "needs on_commit=True"),
    ],
)
def test_wrong_names_cannot_be_invalidated(
    momento: LocalServer, make_cache: MakeCache, tags: Any, options: Any, kind: type[Exception], text: str
) -> None:
    for face in ("sync", "async"):
        with pytest.raises(kind, match=text):
            call(make_cache(), face, "invalidate_tags", *tags, **options)
    assert sent(momento) == {}


def test_names_are_checked_as_keys_are_and_may_be_of_any_text(make_cache: MakeCache) -> None:
    cache = make_cache()
    for tag in ("with space", "x" * 300):
        with pytest.warns(CacheKeyWarning):
            cache.set("k", 1, tags=[tag])
    for tag in ("ü:é", "a:b", "日本", "t" * 200):
        cache.set("k", 1, tags=(each for each in [tag]))
        assert cache.get("k") == 1
        cache.invalidate_tags(tag)
        assert cache.get("k") is None
    cache.invalidate_tags()


def test_aliases_with_the_same_prefix_share_tags(make_cache: MakeCache) -> None:
    """And the prefix and the tag cannot be taken for one another."""
    keys = {tag_key(prefix, tag) for prefix, tag in [("", "a:b"), ("a", "b"), ("a:", "b"), ("", "ab")]}
    assert len(keys) == 4
    first = make_cache(KEY_PREFIX="shop", VERSION=1)
    first.set("k", 1, tags=["t"])
    second = make_cache(KEY_PREFIX="shop", VERSION=2, OPTIONS=ALWAYS)
    other = make_cache(KEY_PREFIX="other")
    other.invalidate_tags("t")
    assert second.get("k", version=1) == 1
    second.invalidate_tags("t")
    assert second.get("k", version=1) is None


@EACH_FACE
def test_a_lost_version_costs_a_miss_and_brings_nothing_back(
    momento: LocalServer, make_cache: MakeCache, face: str
) -> None:
    cache = make_cache(OPTIONS=ALWAYS)
    cache.set("old", 1, tags=["t"])
    cache.invalidate_tags("t")
    cache.set("k", 1, tags=["t"])
    lose(momento, "t")
    assert call(cache, face, "get_many", ["old", "k"]) == {}
    call(cache, face, "set", "new", 2, tags=["t"])
    assert call(cache, face, "get_many", ["old", "k", "new"]) == {"new": 2}


def test_clear_forgets_the_versions_that_momento_forgets(make_cache: MakeCache) -> None:
    cache = make_cache(OPTIONS=KEPT)
    cache.set("k", 1, tags=["t"])
    cache.clear()
    cache.set("k", 1, tags=["t"])
    versions.forget()
    assert cache.get("k") == 1


def test_a_version_written_in_another_language_may_be_any_text(
    momento: LocalServer, make_cache: MakeCache
) -> None:
    cache = make_cache(OPTIONS=ALWAYS)
    for text in (b"1", b"a text of any length", b"2"):
        cache.set("k", 1, tags=["t"])
        invalidate_elsewhere(momento, "t", text)
        assert cache.get("k") is None
        cache.set("k", 2, tags=["t"])
        assert cache.get("k") == 2


def test_an_invalidation_elsewhere_is_seen_after_tag_seconds(
    momento: LocalServer, make_cache: MakeCache, clock: Clock
) -> None:
    cache = make_cache()
    cache.set("k", 1, tags=["t"])
    invalidate_elsewhere(momento, "t")
    clock.advance(0.999)
    assert cache.get("k") == 1
    clock.advance(0.002)
    assert cache.get("k") is None


@table("step", [-3600.0, 3600.0])
def test_a_step_of_the_wall_clock_makes_no_version_older(
    momento: LocalServer, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """As that of a machine which slept, whose monotonic clock stood still."""
    clock = Clock()
    cache = make_cache(OPTIONS=KEPT)
    monkeypatch.setattr(module, "wall", clock)
    cache.set("k", 1, tags=["t"])
    invalidate_elsewhere(momento, "t")
    assert cache.get("k") == 1
    clock.advance(step)
    assert cache.get("k") is None


def test_reads_cost_one_call_more_only_for_versions_not_in_memory(
    momento: LocalServer, make_cache: MakeCache
) -> None:
    cache = make_cache(OPTIONS=KEPT)
    tags = [f"tag{number}" for number in range(5)]
    data = {f"key{number}": number for number in range(100)}
    cache.set_many(data, tags=tags)
    assert sent(momento) == {"GetBatch": 1, "SetIfNotExists": 5, "SetBatch": 1}
    assert cache.get_many(data) == data
    assert (momento.operations["GetBatch"], sent(momento)) == (100, {"GetBatch": 1})

    versions.forget()
    assert cache.get_many(data) == data
    assert (momento.operations["GetBatch"], sent(momento)) == (105, {"GetBatch": 2})
    cache.invalidate_tags(*tags)
    assert (momento.operations["SetBatch"], sent(momento)) == (5, {"SetBatch": 1})
    assert cache.get_many(data) == {}
    assert sent(momento) == {"GetBatch": 1}

    cache.set("plain", 1)
    versions.forget()
    sent(momento)
    assert (cache.get("plain"), asyncio.run(cache.aget("plain"))) == (1, 1)
    assert sent(momento) == {"Get": 2}


def test_threads_and_tasks_ask_for_a_version_once_in_tag_seconds(
    momento: LocalServer, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAIT", HANG_GUARD)
    cache = make_cache(OPTIONS=KEPT)
    cache.set("k", 1, tags=["t"])
    results: list[Any] = []

    def read_in_thread() -> None:
        results.append(cache.get("k"))

    async def read() -> list[Any]:
        return await asyncio.gather(*(cache.aget_many(["k", str(number)]) for number in range(8)))

    for _ in range(5):
        versions.forget()
        sent(momento)
        threads = [threading.Thread(target=read_in_thread) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sent(momento) == {"Get": 8 + 1}
        versions.forget()
        results += [found["k"] for found in asyncio.run(read())]
        assert sent(momento) == {"GetBatch": 8, "Get": 1}
    assert results == [1] * 80


@EACH_FACE
def test_of_two_creators_of_a_version_the_first_one_holds(
    momento: LocalServer, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """Both have seen that there is none."""
    cache = make_cache(OPTIONS=ALWAYS)
    get_many = operations.get_many

    def get_many_and_lose_the_race(keys: list[bytes]) -> Any:
        monkeypatch.setattr(operations, "get_many", get_many)
        found = yield from get_many(keys)
        invalidate_elsewhere(momento, "t")
        return found

    monkeypatch.setattr(operations, "get_many", get_many_and_lose_the_race)
    call(cache, face, "set", "k", 1, tags=["t"])
    assert call(cache, face, "get", "k") == 1
    invalidate_elsewhere(momento, "t", b"a third!")
    assert call(cache, face, "get", "k") is None


@EACH_FACE
def test_an_invalidation_is_tried_again_with_another_version(
    momento: LocalServer, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """A copy of the first attempt that arrives late would otherwise bring back the values of its time."""
    cache = make_cache()
    tried: list[bytes] = []

    def store_after_two_failures(items: Any, ttl: int) -> SetBatchOnce:
        tried.extend(version for _, version in items)
        momento.fail("UNAVAILABLE" if len(tried) < 3 else "")
        return SetBatchOnce(items, ttl)

    monkeypatch.setattr(module, "SetBatchOnce", store_after_two_failures)
    call(cache, face, "invalidate_tags", "t")
    assert len(set(tried)) == 3
    assert momento.calls["SetBatch"] == 3


@EACH_FACE
def test_an_invalidation_that_fails_is_loud_and_counted(
    momento: LocalServer, make_cache: MakeCache, face: str
) -> None:
    momento.fail("UNAVAILABLE")
    try:
        with pytest.raises(ServerUnavailable):
            call(make_cache(), face, "invalidate_tags", "t")
        call(make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True}), face, "invalidate_tags", "t")
    finally:
        momento.fail()
    assert events.counts("default")["ignored_exceptions"] == 1


def test_a_version_is_renewed_while_values_are_stored_with_it(
    momento: LocalServer, make_cache: MakeCache, clock: Clock
) -> None:
    cache = make_cache(OPTIONS={"MAX_TTL": 400})
    cache.set("k", 1, tags=["t"])
    cache.set("k", 1, tags=["t"])
    assert "UpdateTtl" not in sent(momento)
    clock.advance(101)
    cache.set("k", 1, tags=["t"])
    cache.set("k", 1, tags=["t"])
    assert sent(momento)["UpdateTtl"] == 1
    clock.advance(101)
    cache.get("k")
    assert "UpdateTtl" not in sent(momento)
    lose(momento, "t")
    cache.set("k", 1, tags=["t"])
    assert cache.get("k") is None


def test_events_count_the_calls_for_tags_and_no_hits_of_them(
    momento: LocalServer, make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = make_cache(OPTIONS=ALWAYS)
    seen: list[Any] = []
    monkeypatch.setattr("django_momento.execution.observers", [seen.append])
    monkeypatch.setattr("django_momento.policies.observing.observers", [seen.append])
    cache.set("k", 1, tags=["t", "u"])
    cache.get("k")
    cache.invalidate_tags("t", "u")
    cache.get_many(["k", "missing"])
    cache.get("k")
    counted = [(each.verb, each.keys, each.operations, each.hits, each.misses) for each in seen]
    assert counted == [
        ("set", 1, 5, 0, 0),
        ("get", 1, 3, 1, 0),
        ("invalidate_tags", 2, 2, 0, 0),
        ("get_many", 2, 4, 0, 2),
        ("get", 1, 3, 0, 1),
    ]
