"""django-ratelimit: counters with a window, which ``add`` opens and ``incr`` must not prolong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django_ratelimit.core
import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django_ratelimit.core import get_usage, is_ratelimited
from django_ratelimit.decorators import ratelimit

from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.ecosystem.conftest import Configure
from tests.kit.clock import Clock


@ratelimit(key="ip", rate="3/m")
def limited(request: HttpRequest) -> HttpResponse:
    return HttpResponse("served")


def usage(request: HttpRequest) -> HttpResponse:
    used = get_usage(request, group="usage", key="ip", rate="3/m", increment=request.method == "POST")
    return HttpResponse(str(used["count"]))


async def alimited(request: HttpRequest) -> HttpResponse:
    # The package's decorator is for sync views; what it decorates with can be called from anywhere.
    over = await sync_to_async(is_ratelimited)(request, group="async", key="ip", rate="3/m", increment=True)
    return HttpResponse(status=403 if over else 200)


urlpatterns = [path("limited/", limited), path("usage/", usage), path("async/", alimited)]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(django_ratelimit.core, "time", clock)


def statuses(client: Client, number: int) -> list[int]:
    return [client.get("/limited/").status_code for _ in range(number)]


def test_what_is_over_the_rate_is_refused(client: Client) -> None:
    """Three a minute are three, for each address."""
    assert [200, 200, 200, 403, 403] == statuses(client, 5)
    assert client.get("/limited/", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_a_window_ends_however_often_it_is_hit(client: Client, clock: Clock) -> None:
    """Who goes on asking while over the limit is served again within the minute, and not later for it."""
    assert [200, 200, 200] == statuses(client, 3)
    refused = 0
    while client.get("/limited/").status_code == 403:
        refused += 1
        clock.advance(1)
    assert 0 < refused <= 60


def test_usage_can_be_asked_without_counting(client: Client) -> None:
    """A counter is read as the number it is."""
    assert ["1", "2"] == [client.post("/usage/").content.decode() for _ in range(2)]
    assert ["2", "2"] == [client.get("/usage/").content.decode() for _ in range(2)]


def test_hits_at_the_same_time_are_all_counted() -> None:
    """Momento increments, so no hit is lost between reading a counter and writing it."""
    with ThreadPoolExecutor(8) as threads:
        counts = threads.map(lambda _: int(Client().post("/usage/").content), range(40))
        assert [*range(1, 41)] == sorted(counts)


def test_an_async_view_can_ask() -> None:
    """In a thread, whichever event loop the view runs in."""

    async def get() -> int:
        response = await AsyncClient().get("/async/")
        return int(response.status_code)

    assert [200, 200, 200, 403] == [asyncio.run(get()) for _ in range(4)]


@pytest.mark.parametrize(("fail_open", "expected"), [(True, [200] * 5), (False, [403] * 5)])
def test_the_site_decides_what_happens_without_the_cache(
    client: Client,
    configure: Configure,
    momento: LocalServer,
    settings: Any,
    fail_open: bool,
    expected: list[int],
) -> None:
    """With IGNORE_EXCEPTIONS the package notices the outage, and RATELIMIT_FAIL_OPEN does what it says."""
    configure(IGNORE_EXCEPTIONS=True)
    settings.RATELIMIT_FAIL_OPEN = fail_open
    momento.stop()
    assert expected == statuses(client, 5)


def test_a_loud_cache_is_louder_than_fail_open(client: Client, momento: LocalServer, settings: Any) -> None:
    """The package does not catch the errors of a cache, so RATELIMIT_FAIL_OPEN needs IGNORE_EXCEPTIONS."""
    settings.RATELIMIT_FAIL_OPEN = True
    momento.stop()
    with pytest.raises(ServerUnavailable):
        client.get("/limited/")


def test_an_outage_resets_no_limit(client: Client, configure: Configure, momento: LocalServer) -> None:
    """Who was over the limit before is over it after."""
    configure(IGNORE_EXCEPTIONS=True)
    assert [200, 200, 200, 403] == statuses(client, 4)
    momento.stop()
    assert [403] == statuses(client, 1)
    momento.start()
    assert [403] == statuses(client, 1)
