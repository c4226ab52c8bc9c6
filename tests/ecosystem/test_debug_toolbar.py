"""django-debug-toolbar's cache panel, which puts methods of its own in the place of the cache's."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from debug_toolbar.toolbar import DebugToolbar
from django.core.cache import cache as default_cache
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer

PAGE = "<html><body>page</body></html>"


def show_toolbar(request: HttpRequest) -> bool:
    """Named in the settings, because the toolbar's own answer is no unless the site is in DEBUG."""
    return True


def page(request: HttpRequest) -> HttpResponse:
    default_cache.set_many({"a": 1, "b": 2})
    default_cache.get("a")
    default_cache.get("missing")
    default_cache.get_many(["a", "b", "missing"])
    default_cache.get_or_set("c", 3)
    default_cache.incr("a")
    default_cache.touch("a")
    default_cache.delete("b")
    return HttpResponse(PAGE)


async def apage(request: HttpRequest) -> HttpResponse:
    await default_cache.aset_many({"a": 1, "b": 2})
    found = await default_cache.aget_many(["a", "missing"])
    return HttpResponse(f"<html><body>{found} {default_cache.get('b')}</body></html>")


urlpatterns = [path("page/", page), path("apage/", apage), path("__debug__/", include("debug_toolbar.urls"))]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _toolbar(settings: Any) -> None:
    settings.MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *settings.MIDDLEWARE]


def request_id(response: Any) -> str:
    found = re.search(r'data-request-id="([0-9a-f]+)"', response.content.decode())
    assert found, response.content
    return found[1]


def stats(response: Any) -> dict[str, Any]:
    """What the cache panel has kept of the request."""
    toolbar = DebugToolbar.fetch(request_id(response), "CachePanel")
    return dict(toolbar.get_panel_by_id("CachePanel").get_stats())


def test_the_panel_records_each_call_once(client: Client) -> None:
    """Methods that are made of others are one call, as in Django's own backends; a miss is not a hit."""
    recorded = stats(client.get("/page/"))
    names = ["set_many", "get", "get", "get_many", "get_or_set", "incr", "touch", "delete"]
    assert names == [call["name"] for call in recorded["calls"]]
    assert (4, 2) == (recorded["hits"], recorded["misses"])


def test_the_panel_shows_the_backend(client: Client) -> None:
    """The page that the toolbar fetches names alias and backend."""
    query = {"request_id": request_id(client.get("/page/")), "panel_id": "CachePanel"}
    content = client.get("/__debug__/render_panel/", query).json()["content"]
    assert "default (MomentoCache)" in content


def test_async_views_work_under_the_toolbar(momento: LocalServer) -> None:
    """The panel replaces sync methods only: it records those, and the async ones stay native."""

    async def get() -> Any:
        return await AsyncClient().get("/apage/")

    response = asyncio.run(get())
    assert b"{'a': 1} 2" in response.content
    assert ["get"] == [call["name"] for call in stats(response)["calls"]]
    assert (1, 1) == (momento.calls["SetBatch"], momento.calls["GetBatch"])


def test_the_cache_is_itself_again_after_the_request(client: Client, cache: MomentoCache) -> None:
    """What the panel leaves on the instance does nothing between requests."""
    client.get("/page/")
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_the_toolbar_can_keep_its_requests_in_the_cache(client: Client, settings: Any) -> None:
    """Its CacheStore shares what was recorded between processes; it needs an alias of its own."""
    configured = settings.CACHES["default"]
    settings.CACHES = {"default": configured, "toolbar": {**configured, "KEY_PREFIX": "toolbar"}}
    store = {"TOOLBAR_STORE_CLASS": "debug_toolbar.store.CacheStore", "CACHE_BACKEND": "toolbar"}
    settings.DEBUG_TOOLBAR_CONFIG = {**settings.DEBUG_TOOLBAR_CONFIG, **store}
    response = client.get("/page/")
    assert caches["toolbar"].get("djdt:request_ids") == [request_id(response)]
    assert 8 == len(stats(response)["calls"])
