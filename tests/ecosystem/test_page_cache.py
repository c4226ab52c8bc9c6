"""``cache_page`` and the cache middleware: whole responses in the cache, with their headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers

from django_momento.local import LocalServer
from tests.ecosystem.conftest import Configure
from tests.kit.clock import Clock

served: Iterator[int]


def numbered(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"response {next(served)}", headers={"X-Shop": "open"})


async def anumbered(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"response {next(served)}")


urlpatterns = [
    path("minute/", cache_page(60)(numbered)),
    path("formats/", cache_page(60)(vary_on_headers("Accept")(numbered))),
    path("site/", numbered),
    path("async/", anumbered),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    global served  # noqa: PLW0603 - views have no other way to be given something
    served = count(1)


@pytest.fixture
def whole_site(settings: Any) -> None:
    """The cache middleware around every view, and conditional requests around that."""
    settings.CACHE_MIDDLEWARE_SECONDS = 60
    settings.MIDDLEWARE = [
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]


def get(client: Client, url: str, **headers: str) -> str:
    return client.get(url, headers=headers).content.decode()


def test_a_cached_page_is_served_until_its_time_is_over(client: Client, clock: Clock) -> None:
    """A response is made once a minute, and comes back with the headers it had."""
    assert ["response 1", "response 1"] == [get(client, "/minute/"), get(client, "/minute/")]
    again = client.get("/minute/")
    assert ("open", "max-age=60") == (again["X-Shop"], again["Cache-Control"])
    clock.advance(61)
    assert get(client, "/minute/") == "response 2"


def test_each_page_is_its_own(client: Client) -> None:
    """Paths and queries tell pages apart; HEAD is answered from the page of GET, POST is never cached."""
    assert ["response 1", "response 2"] == [get(client, "/minute/?page=1"), get(client, "/minute/?page=2")]
    assert get(client, "/minute/?page=1") == "response 1"
    assert client.head("/minute/?page=1")["X-Shop"] == "open"
    assert ["response 3", "response 4"] == [client.post("/minute/").content.decode() for _ in range(2)]


def test_what_a_page_varies_on_tells_its_variants_apart(client: Client) -> None:
    """Vary is honoured: whoever asks for a format gets the page that was made for it."""
    formats = ("text/html", "text/plain")
    first = [get(client, "/formats/", accept=accept) for accept in formats]
    again = [get(client, "/formats/", accept=accept) for accept in formats]
    assert ["response 1", "response 2"] == first == again


@pytest.mark.usefixtures("whole_site")
def test_the_middleware_caches_every_page(client: Client, clock: Clock) -> None:
    """Without a decorator, for CACHE_MIDDLEWARE_SECONDS."""
    assert ["response 1", "response 1"] == [get(client, "/site/"), get(client, "/site/")]
    clock.advance(61)
    assert get(client, "/site/") == "response 2"


@pytest.mark.usefixtures("whole_site")
def test_an_etag_answers_304_from_the_cache(client: Client) -> None:
    """A visitor who has the page gets no body, and no view runs for it."""
    etag = client.get("/site/")["ETag"]
    assert client.get("/site/", headers={"if-none-match": etag}).status_code == 304
    assert client.get("/site/", headers={"if-none-match": '"another"'}).content == b"response 1"


@pytest.mark.usefixtures("whole_site")
def test_async_views_are_cached_too() -> None:
    """The middleware serves an async site, whose every request may come in an event loop of its own."""

    async def get() -> str:
        response = await AsyncClient().get("/async/")
        return str(response.content.decode())

    assert ["response 1", "response 1"] == [asyncio.run(get()) for _ in range(2)]


def test_pages_are_served_while_a_cache_that_fails_open_is_away(
    client: Client, momento: LocalServer, configure: Configure
) -> None:
    """Each request then runs the view, and the next one after the outage is cached again."""
    configure(IGNORE_EXCEPTIONS=True)
    momento.stop()
    assert ["response 1", "response 2"] == [get(client, "/minute/"), get(client, "/minute/")]
