"""A server of each test's own, with one cache, on a clock that the test moves, and a bare client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from django_momento.local import LocalServer
from django_momento.local.storage.retention import Retention
from django_momento.local.storage.store import Cache, Store
from tests.kit.sdk import Blocking, cache_client
from tests.kit.wire import Wire
from tests.local.clock import FakeClock

Connect = Callable[[LocalServer], Wire]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Cache:
    """A cache without a server around it."""
    store = Store(Retention(clock))
    store.create("cache")
    return store.cache("cache")


@pytest.fixture
def server(clock: FakeClock) -> Iterator[LocalServer]:
    with LocalServer(caches=["cache"], clock=clock) as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to any server; the connections are closed after the test."""
    with ExitStack() as stack:

        def connect(server: LocalServer) -> Wire:
            wire = Wire(server.address)
            stack.callback(wire.channel.close)
            return wire

        yield connect


@pytest.fixture
def wire(server: LocalServer, connect: Connect) -> Wire:
    return connect(server)


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, server: LocalServer) -> Iterator[Blocking]:
    """Momento's own client and its async twin, set up for Momento Local as its documentation says."""
    with cache_client(server, request.param) as client:
        yield client
