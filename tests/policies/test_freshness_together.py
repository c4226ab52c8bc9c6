"""``get_or_set`` together with tags, the near cache and the shield."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.local import LocalServer
from django_momento.policies import leases
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once
from tests.kit.faces import EACH_FACE, call
from tests.kit.ports import unserved
from tests.kit.raw import find_client
from tests.kit.tables import table
from tests.kit.waiting import eventually

KEY = b":1:key"
LONG = 60.0
FRESHNESS: list[dict[str, Any]] = [{}, {"stale": 600}, {"lease": 60}, {"stale": 600, "lease": 60}]


def store_stale(cache: MomentoCache, value: Any) -> None:
    cache.get_or_set("key", lambda: value, 0.001, stale=600)
    eventually(lambda: cache.get("key") is None)


@EACH_FACE
@table("options", FRESHNESS, afresh=True)
@table("near", [{}, {"NEAR_SECONDS": 60}], afresh=True)
@table("clear", [{}, {"CLEAR": "prefix"}], afresh=True)
def test_a_value_whose_tag_was_invalidated_is_computed_again(
    make_cache: MakeCache, face: str, options: dict[str, Any], near: dict[str, Any], clear: dict[str, Any]
) -> None:
    """Once, and not even served stale. So is one that was cleared."""
    cache = make_cache(OPTIONS={**near, **clear})
    numbers = iter(range(10))

    def ask() -> int:
        value: int = call(
            cache, face, "get_or_set", "key", lambda: next(numbers), 60, tags=["shop", "tea"], **options
        )
        return value

    assert [ask(), ask()] == [0, 0]
    call(cache, face, "invalidate_tags", "tea")
    assert [ask(), ask()] == [1, 1]
    assert call(cache, face, "get", "key") == 1
    call(cache, face, "clear")
    assert [ask(), ask()] == [2, 2]


@EACH_FACE
@table("options", FRESHNESS, afresh=True)
def test_an_invalidation_while_the_default_runs_concerns_its_value(
    make_cache: MakeCache, face: str, options: dict[str, Any]
) -> None:
    cache = make_cache()

    def old() -> str:
        cache.invalidate_tags("tag")
        return "old"

    assert call(cache, face, "get_or_set", "key", old, 60, tags=["tag"], **options) == "old"
    assert call(cache, face, "get", "key") is None
    assert call(cache, face, "get_or_set", "key", lambda: "new", 60, tags=["tag"], **options) == "new"


def test_a_waiter_does_not_get_a_value_that_was_invalidated(make_cache: MakeCache) -> None:
    """It came after the invalidation, and the default began before."""
    cache = make_cache()
    runs: list[int] = []

    def default() -> int:
        runs.append(1)
        number = len(runs)
        if number == 1:
            cache.invalidate_tags("tag")
            eventually(lambda: events.counts("default").get("joined"))
        return number

    results: list[int] = []
    leader = threading.Thread(
        target=lambda: results.append(cache.get_or_set("key", default, wait=LONG, tags=["tag"]))
    )
    leader.start()
    eventually(lambda: runs)
    assert cache.get_or_set("key", default, wait=LONG, tags=["tag"]) == 2
    leader.join()
    assert results == [1]


@EACH_FACE
@table("tags", ["tag", [1], ["a", "a"], [""]], afresh=True)
def test_wrong_tags_are_refused(make_cache: MakeCache, face: str, tags: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="tag"):
        call(make_cache(), face, "get_or_set", "key", 1, tags=tags)


@EACH_FACE
@table("options", FRESHNESS, afresh=True)
def test_a_stale_value_in_the_near_cache_is_recomputed_once(
    make_cache: MakeCache, face: str, options: dict[str, Any]
) -> None:
    cache = make_cache(OPTIONS={"NEAR_SECONDS": 60})
    store_stale(cache, "old")
    assert call(cache, face, "get", "key") is None

    assert call(cache, face, "get_or_set", "key", lambda: "new", 60, **options) == "new"
    assert call(cache, face, "get_or_set", "key", pytest.fail, 60, **options) == "new"
    assert call(cache, face, "get", "key") == "new"


@EACH_FACE
@table("known", ["missing", "stale"], afresh=True)
@table("memory", ["near", "near with generations", "memo"], afresh=True)
def test_a_value_that_another_process_stored_under_its_lease_is_not_hidden_by_memory(
    make_cache: MakeCache, momento: LocalServer, face: str, memory: str, known: str
) -> None:
    """The callers that wait for the lease ask Momento again, and so does the next one that has it."""
    shared = {"CLEAR": "prefix"} if memory == "near with generations" else {}
    cache = make_cache(OPTIONS={**shared, "NEAR_SECONDS": 0 if memory == "memo" else 600})
    options = local_options(momento, CONNECT_TIMEOUT=6, **shared)
    elsewhere = MomentoCache(CACHE_NAME, {"OPTIONS": options})
    with cache.memo() if memory == "memo" else nullcontext():
        if known == "stale":
            store_stale(cache, "old")
        assert call(cache, face, "get", "key") is None
        elsewhere.set("key", "theirs")

        computed = call(cache, face, "get_or_set", "key", pytest.fail, stale=600, lease=60)
        assert computed == "theirs"

        assert call(cache, face, "get", "other") is None
        token = bytes(16)
        find_client(elsewhere).run(CACHE_NAME, leases.acquire(b":1:other", token, 60_000))

        def store() -> None:
            eventually(lambda: events.counts("default").get("leases_waited"))
            elsewhere.set("other", "theirs")

        holder = threading.Thread(target=store)
        holder.start()
        computed = call(cache, face, "get_or_set", "other", pytest.fail, lease=60, wait=LONG)
        holder.join()
        assert computed == "theirs"


@EACH_FACE
@table("options", FRESHNESS, afresh=True)
@table("is_loud", [True, False], afresh=True)
def test_in_an_outage_a_shielded_cache_computes_a_value_once(
    momento: LocalServer, face: str, options: dict[str, Any], is_loud: bool
) -> None:
    """Known values are not computed at all, not even stale ones."""
    with LocalServer(caches=[CACHE_NAME]) as server, ExitStack() as outage:
        settings = local_options(server, STALE_IF_ERROR=600, IGNORE_EXCEPTIONS=not is_loud)
        cache = MomentoCache(CACHE_NAME, {"OPTIONS": settings})
        cache.set("known", "known")
        store_stale(cache, "old")
        server.stop()
        outage.enter_context(unserved(server.port))
        runs: list[int] = []

        def default() -> str:
            runs.append(1)
            return "computed"

        def ask(key: str) -> Any:
            return call(cache, face, "get_or_set", key, default, 60, wait=LONG, **options)

        assert ask("known") == "known"
        assert ask("key") == "old"
        assert call(cache, face, "get", "key") == "old"
        assert runs == []
        assert at_once(8, lambda: ask("unknown")) == ["computed"] * 8
        assert [ask("unknown") for _ in range(3)] == ["computed"] * 3
        assert runs == [1]
