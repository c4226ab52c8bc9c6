"""django-health-check: its view is async, so under WSGI each request brings an event loop of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.request import urlopen

import pytest
from django.test import AsyncClient, Client
from django.urls import path
from health_check.views import HealthCheckView

from django_momento.local import LocalServer
from tests.ecosystem.conftest import Configure

CHECK = "Cache(alias='default')"

urlpatterns = [path("health/", HealthCheckView.as_view(checks=["health_check.checks.Cache"]))]
pytestmark = pytest.mark.urls(__name__)


def health(client: Client) -> tuple[int, dict[str, str]]:
    response = client.get("/health/?format=json")
    return response.status_code, response.json()


def test_a_working_cache_is_healthy_under_wsgi(client: Client) -> None:
    """Request after request, each of which brings an event loop of its own."""
    assert [(200, {CHECK: "OK"})] * 3 == [health(client) for _ in range(3)]


def test_a_working_cache_is_healthy_in_the_threads_of_a_server(live_server: Any) -> None:
    """The same over HTTP, where each request has a thread of its own too."""
    for _ in range(3):
        with urlopen(f"{live_server.url}/health/?format=json", timeout=100) as response:
            assert {CHECK: "OK"} == json.load(response)


def test_a_working_cache_is_healthy_under_asgi() -> None:
    """Request after request in one event loop."""

    async def main() -> list[int]:
        client = AsyncClient()
        return [(await client.get("/health/?format=json")).status_code for _ in range(3)]

    assert [200, 200, 200] == asyncio.run(main())


def test_a_loud_cache_that_is_away_is_unhealthy(client: Client, momento: LocalServer) -> None:
    """The page names the alias and nothing more; the reason is in the log."""
    momento.stop()
    status, checks = health(client)
    assert (500, [CHECK]) == (status, list(checks))
    assert "127.0.0.1" not in checks[CHECK]


def test_a_cache_that_fails_open_is_unhealthy_all_the_same(
    client: Client, configure: Configure, momento: LocalServer
) -> None:
    """The check compares what it reads with what it wrote, so IGNORE_EXCEPTIONS does not deceive it."""
    configure(IGNORE_EXCEPTIONS=True)
    momento.stop()
    status, checks = health(client)
    assert 500 == status
    assert "does not match" in checks[CHECK]
