"""The header Server-Timing, of sync and async views."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from tests.conftest import MakeCache

MIDDLEWARE = ["django_momento.monitoring.middleware.CacheTimingMiddleware"]


def view(request: HttpRequest) -> HttpResponse:
    cache = caches["default"]
    cache.set("k", b"x" * 3000)
    cache.get("k")
    return HttpResponse(str(request.cache_totals.calls))  # type: ignore[attr-defined]  # the middleware sets it


async def async_view(request: HttpRequest) -> HttpResponse:
    cache = caches["default"]
    await cache.aset("k", b"x" * 3000)
    await asyncio.gather(cache.aget("k"), sync_to_async(caches["default"].get)("k"))
    return HttpResponse("done")


def quiet(request: HttpRequest) -> HttpResponse:
    response = HttpResponse()
    response.headers["Server-Timing"] = "db;dur=1"
    return response


def failing(request: HttpRequest) -> HttpResponse:
    caches["default"].get("k")
    raise ValueError


urlpatterns = [
    path("sync", view),
    path("async", async_view),
    path("quiet", quiet),
    path("failing", failing),
]


@pytest.fixture(autouse=True)
def _site(settings: Any, make_cache: MakeCache) -> None:
    make_cache()
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = MIDDLEWARE


def test_a_sync_view_says_its_calls() -> None:
    response = Client().get("/sync")
    assert response.content == b"2"
    assert re.fullmatch(r'cache;desc="2 calls, 6 operations";dur=\d+\.\d', response.headers["Server-Timing"])


def test_an_async_view_says_its_calls() -> None:
    """Those of its tasks and threads included."""
    response = asyncio.run(AsyncClient().get("/async"))
    assert 'desc="3 calls, 9 operations"' in response.headers["Server-Timing"]


def test_requests_at_the_same_time_are_told_apart() -> None:
    async def ask() -> list[Any]:
        client = AsyncClient()
        return await asyncio.gather(*(client.get("/async") for _ in range(5)), client.get("/quiet"))

    *busy, idle = asyncio.run(ask())
    assert all("3 calls" in response.headers["Server-Timing"] for response in busy)
    assert idle.headers["Server-Timing"] == 'db;dur=1, cache;desc="0 calls, 0 operations";dur=0.0'


def test_a_response_for_an_exception_has_the_header_too() -> None:
    response = Client(raise_request_exception=False).get("/failing")
    assert response.status_code == 500
    assert 'desc="1 call, 1 operation"' in response.headers["Server-Timing"]
