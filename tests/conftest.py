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
from django_momento.policies.versions import versions

CACHE_NAME = "tests"


@pytest.fixture(scope="session")
def _session_server() -> Iterator[LocalServer]:
    with LocalServer(caches=[CACHE_NAME]) as server:
        yield server


@pytest.fixture
def momento(_session_server: LocalServer) -> Iterator[LocalServer]:
    """A Momento server that has the cache ``tests``, empty at the end, and has counted no calls yet."""
    _session_server.reset_calls()
    yield _session_server
    MomentoCache(CACHE_NAME, {"OPTIONS": local_options(_session_server)}).clear()


@pytest.fixture(autouse=True)
def _no_clients_left() -> Iterator[None]:
    """Clients and what was noted are process-wide: no test may inherit another's."""
    yield
    nears.close()
    clients.close()
    versions.forget()
    group_names.forget()
    events.forget()
    meter.forget()


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
