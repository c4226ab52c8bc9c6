"""A memo: no key is asked for twice within a block, and the middleware that begins one for each request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.middleware import CacheMemoMiddleware
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once


@pytest.fixture
def cache(make_cache: MakeCache, momento: LocalServer) -> MomentoCache:
    """A cache without options, whose value ``k`` another process changes."""
    cache = make_cache()
    cache.set("k", 1)
    momento.reset_calls()
    return cache


@pytest.fixture
def elsewhere(momento: LocalServer) -> MomentoCache:
    return MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento, CONNECT_TIMEOUT=6)})


def test_a_memo_keeps_what_was_read_until_it_ends(
    cache: MomentoCache, elsewhere: MomentoCache, momento: LocalServer
) -> None:
    """By any verb, and keys that are missing too."""
    with cache.memo():
        assert cache.get("k") == 1
        elsewhere.set_many({"k": 2, "missing": 2})
        assert cache.get_many(["k", "missing"]) == {"k": 1, "missing": 2}
        assert [cache.get("k"), cache.has_key("k"), cache.get("missing")] == [1, True, 2]
        assert momento.calls == {"Get": 1, "SetBatch": 1, "GetBatch": 1}
    assert cache.get("k") == 2


def test_a_memo_sees_the_writes_in_its_block(cache: MomentoCache) -> None:
    """Of this thread, at once."""
    with cache.memo():
        assert cache.get("k") == 1
        cache.set("k", 2)
        assert cache.get("k") == 2
        cache.delete("k")
        assert cache.get("k") is None
        assert cache.add("k", 3)
        assert cache.incr("k") == 4
        assert cache.get("k") == 4


def test_a_memo_works_in_tasks_and_ends_for_tasks_that_outlive_it(
    cache: MomentoCache, elsewhere: MomentoCache, momento: LocalServer
) -> None:
    """A task inherits the memo of its creator."""

    async def outlive(is_over: asyncio.Event) -> Any:
        await is_over.wait()
        return await cache.aget("k")

    async def main() -> None:
        is_over = asyncio.Event()
        with cache.memo():
            assert await cache.aget("k") == 1
            assert list(await asyncio.gather(cache.aget("k"), cache.aget("k"))) == [1, 1]
            assert await sync_to_async(cache.get)("k") == 1
            late = asyncio.create_task(outlive(is_over))
            await asyncio.sleep(0)
            assert momento.calls == {"Get": 1}
        await elsewhere.aset("k", 2)
        is_over.set()
        assert await late == 2

    asyncio.run(main())


def test_an_inner_memo_is_the_outer_one_and_other_threads_have_none(
    cache: MomentoCache, elsewhere: MomentoCache
) -> None:
    """The block of a library must not make a view ask again."""
    with cache.memo():
        assert cache.get("k") == 1
        elsewhere.set("k", 2)
        with cache.memo():
            assert cache.get("k") == 1
        assert cache.get("k") == 1
        assert at_once(1, lambda: cache.get("k")) == [2]


def test_the_middleware_begins_a_memo_for_each_request(
    cache: MomentoCache, elsewhere: MomentoCache, momento: LocalServer
) -> None:
    """In sync and async views, of every alias that uses Momento."""

    def view(request: Any) -> HttpResponse:
        return HttpResponse(str([caches["default"].get("k") for _ in range(3)]))

    async def aview(request: Any) -> HttpResponse:
        return HttpResponse(str([await caches["default"].aget("k") for _ in range(3)]))

    sync, native = CacheMemoMiddleware(view), CacheMemoMiddleware(aview)
    assert sync(RequestFactory().get("/")).content == b"[1, 1, 1]"
    assert momento.calls == {"Get": 1}
    elsewhere.set("k", 2)
    assert sync(RequestFactory().get("/")).content == b"[2, 2, 2]"
    elsewhere.set("k", 3)
    assert asyncio.run(native(AsyncRequestFactory().get("/"))).content == b"[3, 3, 3]"
    assert sum(momento.calls[name] for name in ("Get", "GetBatch")) == 3
