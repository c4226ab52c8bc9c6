"""Fixtures shared by the whole suite: a real Momento server on a free port, a clean process-wide state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.events import events
from django_momento.local import LocalServer
from django_momento.monitoring.meter import meter
from django_momento.policies.key_groups import group_names
from django_momento.policies.near import nears
from django_momento.policies.page_facts import headers_of_pages, uncacheable_pages
from django_momento.policies.versions import versions
from tests.kit import ctrl_c, output, stalls
from tests.kit.fork_guard import guard

CACHE_NAME = "tests"

guard.install()

# pytest finds fixtures and hooks by the names of a module.
pytest_configure = stalls.pytest_configure
same_output_everywhere, ctrl_c_everywhere = output.same_output_everywhere, ctrl_c.ctrl_c_everywhere


@pytest.fixture(scope="session")
def _session_server() -> Iterator[LocalServer]:
    with LocalServer(caches=[CACHE_NAME]) as server:
        yield server


@pytest.fixture
def momento(_session_server: LocalServer) -> Iterator[LocalServer]:
    """A Momento server that has the cache ``tests``, empty at the end, and has counted no calls yet."""
    _session_server.reset_calls()
    yield _session_server
    _empty(_session_server)


@pytest.fixture(autouse=True)
def _no_clients_left() -> Iterator[None]:
    """Clients and what was noted are process-wide: no test may inherit another's."""
    yield
    _forget()


@pytest.fixture
def start_afresh(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Return a function that does what is done between two tests, for the rows of a table."""
    names = ("momento", "aws", "agent")
    servers = {name: request.getfixturevalue(name) for name in names if name in request.fixturenames}

    def start_afresh() -> None:
        if "momento" in servers:
            _empty(servers["momento"])
        _forget()
        if "momento" in servers:
            servers["momento"].reset_calls()
        if "aws" in servers:
            servers["aws"].reset()
        if "agent" in servers:
            servers["agent"].forget()

    return start_afresh


def _empty(server: LocalServer) -> None:
    MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)}).clear()


def _forget() -> None:
    nears.close()
    clients.close()
    versions.forget()
    group_names.forget()
    events.forget()
    meter.forget()
    headers_of_pages.forget()
    uncacheable_pages.forget()


def local_options(server: LocalServer, **options: Any) -> dict[str, Any]:
    """OPTIONS for a server on this machine."""
    return {"CREDENTIALS": "local", "ENDPOINT": server.address, **options}


MakeCache = Callable[..., MomentoCache]


@pytest.fixture
def make_cache(momento: LocalServer, settings: Any) -> MakeCache:
    """Configure CACHES with one alias on the test server and answer its cache, as a site would get it."""

    def make(location: str = CACHE_NAME, alias: str = "default", **params: Any) -> MomentoCache:
        params["OPTIONS"] = local_options(momento, **params.get("OPTIONS", {}))
        config = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": location, **params}
        settings.CACHES = {alias: config}
        cache = caches[alias]
        assert isinstance(cache, MomentoCache)
        return cache

    return make
