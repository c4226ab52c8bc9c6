"""``assert_max_cache_operations``: the bound, the list of calls, and the calls that count."""

from __future__ import annotations

import asyncio

import pytest

from django_momento.events import observers
from django_momento.testing import assert_max_cache_operations
from tests.conftest import MakeCache

BIG = b"x" * 3000


def test_a_block_within_its_bound_passes(make_cache: MakeCache) -> None:
    """Of both faces; the variable of the block has the calls."""
    cache = make_cache()
    with assert_max_cache_operations(5) as counted:
        cache.set("page:1", BIG)
        cache.get("missing")
        asyncio.run(cache.aget("missing"))
    assert counted.operations == 5
    assert [event.verb for event in counted.calls] == ["set", "get", "get"]


def test_a_block_beyond_its_bound_fails_and_lists_its_calls(make_cache: MakeCache) -> None:
    cache = make_cache()

    def exceed() -> None:
        with assert_max_cache_operations(2):
            cache.set("page:1", BIG)
            cache.get_many(["page:2", "user:1"])

    with pytest.raises(AssertionError) as caught:
        exceed()

    assert str(caught.value).splitlines() == [
        "5 cache operations, at most 2 expected. The 2 calls:",
        "1. set of 'page', 1 keys: 3 operations",
        "2. get_many of 'mixed', 2 keys: 2 operations",
    ]


def test_only_the_named_alias_counts(make_cache: MakeCache) -> None:
    cache = make_cache(alias="other")
    with assert_max_cache_operations(0, using="default"):
        cache.get("k")


def test_an_exception_of_the_block_is_not_hidden(make_cache: MakeCache) -> None:
    """And nothing is left that observes."""
    cache = make_cache()
    before = list(observers)

    def fail() -> None:
        with assert_max_cache_operations(0):
            cache.get("k")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert observers == before


def test_a_long_list_is_cut(make_cache: MakeCache) -> None:
    cache = make_cache()

    def exceed() -> None:
        with assert_max_cache_operations(0):
            for number in range(60):
                cache.get(f"k:{number}")

    with pytest.raises(AssertionError, match=r"\.\.\. and 10 more\."):
        exceed()
