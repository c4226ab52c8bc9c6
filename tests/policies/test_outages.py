"""The database of a site in an outage: a query for each unknown key, and no invalidation lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit.at_once import at_once
from tests.kit.outages import Momento
from tests.kit.waiting import HANG_GUARD, eventually


@pytest.fixture
def momento(settings: Any) -> Iterator[Momento]:
    with LocalServer(caches=[CACHE_NAME]) as server:
        yield Momento(server, settings)


class Database:
    """Queries of a site, counted by key."""

    def __init__(self) -> None:
        self.queries: Counter[str] = Counter()

    def query(self, key: str) -> str:
        self.queries[key] += 1
        return f"value of {key}"

    async def aquery(self, key: str) -> str:
        await asyncio.sleep(0.001)
        return self.query(key)


KEYS = [f"key {number}" for number in range(20)]


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
@pytest.mark.parametrize("ignore", [False, True], ids=["loud", "open"])
@pytest.mark.parametrize("status", ["unavailable", "resource-exhausted", "unauthenticated"])
def test_an_outage_costs_the_database_one_query_for_each_unknown_key(
    momento: Momento, status: str, ignore: bool
) -> None:
    """Of all threads together, whether the alias is loud or fails open, and none for a known key."""
    database = Database()
    cache = momento.make(IGNORE_EXCEPTIONS=ignore)
    for options in ({}, {"stale": 50}, {"lease": 5}, {"tags": ["shop"]}):
        prefix = "".join(options)
        cache.get_or_set(f"{prefix} known", partial(database.query, "known"), 100, **options)
    database.queries.clear()
    momento.fail(status)

    def serve() -> None:
        for options in ({}, {"stale": 50}, {"lease": 5}, {"tags": ["shop"]}):
            prefix = "".join(options)
            for key in KEYS:
                name = f"{prefix} {key}"
                query = partial(database.query, name)
                found = cache.get_or_set(name, query, 100, wait=HANG_GUARD, **options)
                assert found == f"value of {name}"
            known = cache.get_or_set(f"{prefix} known", partial(database.query, "known"), 100, **options)
            assert known == "value of known"

    at_once(8, serve)
    serve()

    assert set(database.queries.values()) == {1}
    assert len(database.queries) == 4 * len(KEYS)


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_an_outage_costs_the_tasks_of_a_loop_one_query_for_each_unknown_key(momento: Momento) -> None:
    """As it does with threads."""
    database = Database()
    momento.fail()

    async def serve() -> None:
        for key in KEYS:
            found = await momento.cache.aget_or_set(key, partial(database.aquery, key), 100, wait=HANG_GUARD)
            assert found == f"value of {key}"

    async def main() -> None:
        await asyncio.gather(*(serve() for _ in range(8)))

    asyncio.run(main())
    asyncio.run(main())
    assert database.queries == dict.fromkeys(KEYS, 1)


def test_a_value_past_its_fresh_time_is_served_in_an_outage_alone(momento: Momento) -> None:
    """A plain get() does not return it otherwise."""
    momento.cache.get_or_set("k", "old", 0.01, stale=100)
    eventually(lambda: momento.cache.get("k") is None)
    momento.fail()

    assert momento.cache.get("k") == "old"
    assert momento.cache.get_many(["k"]) == {"k": "old"}
    assert momento.cache.get_or_set("k", "new", 10, stale=100) == "old"


def test_a_tag_that_could_not_be_invalidated_is_invalid_in_this_process_and_repaired(
    momento: Momento,
) -> None:
    """Its values are missing here at once, and everywhere when Momento is back."""
    momento.cache.set("k", "old", tags=["shop"])
    assert momento.elsewhere.get("k") == "old"
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.invalidate_tags("shop")

    assert momento.cache.get("k") is None
    momento.recover()
    assert momento.cache.get("k") is None
    eventually(lambda: momento.elsewhere.get("k") is None)


def test_an_alias_that_could_not_be_cleared_is_empty_in_this_process_and_repaired(
    momento: Momento,
) -> None:
    """With CLEAR=prefix, where the generation in its keys could not be replaced."""
    cache = momento.make(CLEAR="prefix")
    cache.set("k", "old")
    momento.fail()
    with pytest.raises(MomentoCacheError):
        cache.clear()

    with suppress(MomentoCacheError):
        assert cache.get("k") is None
    momento.recover()
    assert cache.get("k") is None
