"""Fixtures for pytest: Momento caches that are empty at the start of each test, on a server of this process.

Each process has a server of its own, so the workers of pytest-xdist do not clear each other's caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import override_settings

from ..checks.aliases import momento_aliases
from ..client.registry import clients
from ..conf.options import CONNECTION_FIELDS
from ..exceptions import ConfigurationError
from ..local import LocalServer
from ..local.clock import monotonic_ms

# The options of a connection that tests keep: all others say where the key comes from.
_KEPT = frozenset({"CONFIGURATION", "CLIENT_TIMEOUT", "READ_CONCERN"})


class MomentoClock:
    """The clock of the test server. Values expire when a test moves it on."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> int:
        return monotonic_ms() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once. Raises ValueError if they are negative."""
        if seconds < 0:
            raise ValueError(f"The clock cannot go back by {-seconds:g} s. Give a number of at least 0.")
        self._ahead += round(seconds * 1000)


@pytest.fixture(scope="session")
def momento_clock() -> MomentoClock:
    """Return the clock of the server of this process: ``momento_clock.advance(60)`` expires values."""
    return MomentoClock()


@pytest.fixture(scope="session")
def momento_server(momento_clock: MomentoClock) -> Iterator[LocalServer]:
    """Return the Momento server of this process, which creates missing caches."""
    with LocalServer(create_missing_caches=True, clock=momento_clock) as server:
        yield server
        clients.close(wait=True)


@pytest.fixture
def momento_caches(momento_server: LocalServer) -> Iterator[LocalServer]:
    """Direct each Momento alias of CACHES to the server of this process, and empty it; return the server.

    The server has counted no calls yet, and has no faults.
    """
    configured = {alias: dict(config) for alias, config in settings.CACHES.items()}
    aliases = momento_aliases()
    if not aliases:
        raise ConfigurationError(
            "No alias of CACHES uses Momento, so momento_caches has no cache to empty.",
            "Set the BACKEND of one to 'django_momento.cache.MomentoCache' in the settings of the tests.",
        )
    for alias in aliases:
        configured[alias]["OPTIONS"] = _options_for(momento_server, configured[alias].get("OPTIONS") or {})
    with override_settings(CACHES=configured):
        momento_server.fail()
        momento_server.delay()
        for alias in aliases:
            caches[alias].clear()
        momento_server.reset_calls()
        yield momento_server
        momento_server.fail()
        momento_server.delay()


def _options_for(server: LocalServer, options: dict[str, Any]) -> dict[str, Any]:
    dropped = {name.upper() for name in CONNECTION_FIELDS} - _KEPT
    kept = {name: value for name, value in options.items() if name not in dropped}
    if kept.get("ENCRYPTION_KEY") == "secret":
        del kept["ENCRYPTION_KEY"]
    return {**kept, "CREDENTIALS": "local", "ENDPOINT": server.address}
