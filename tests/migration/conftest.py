"""Fixtures of a migration: a real Redis, a real Momento, and an alias over both whose phase is in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches

from django_momento.local import LocalServer
from django_momento.migration import DualCache
from django_momento.migration.state import migrations
from tests.conftest import CACHE_NAME, local_options
from tests.kit.redis import RedisServer


@pytest.fixture(scope="session")
def _redis_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_redis_of_session: RedisServer) -> RedisServer:
    """A Redis server without values, which a test must not kill."""
    _flush(_redis_of_session)
    return _redis_of_session


def _flush(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()


@pytest.fixture(autouse=True)
def _no_migration_left() -> Iterator[None]:
    yield
    migrations.forget()


class Phases:
    """The phase of the tests' alias, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.spelling = f"file:{path}"
        self._path.write_text("shadow")

    def write(self, phase: str) -> None:
        """Change the phase, as an operator would."""
        self._path.write_text(f"{phase}\n")

    def switch(self, phase: str) -> None:
        """Change the phase, and let this process see it at once."""
        self.write(phase)
        for migration in migrations.all():
            migration.phase.expire()


@pytest.fixture
def phases(tmp_path: Path) -> Phases:
    return Phases(tmp_path / "phase")


@pytest.fixture
def start_afresh(request: pytest.FixtureRequest, start_afresh: Callable[[], None]) -> Callable[[], None]:
    """Empty Redis and begin another migration, too."""
    names = ("phases", "redis_server")
    used = {name: request.getfixturevalue(name) for name in names if name in request.fixturenames}

    def start_another_migration() -> None:
        migrations.forget()
        start_afresh()
        if "phases" in used:
            used["phases"].write("shadow")
        if "redis_server" in used:
            _flush(used["redis_server"])

    return start_another_migration


MakeDual = Callable[..., DualCache]


@pytest.fixture
def make_dual(momento: LocalServer, phases: Phases, settings: Any) -> MakeDual:
    """Configure CACHES with two aliases, ``old`` and ``new``, and a DualCache over them; return that.

    Without other settings OLD is Django's memory cache and NEW is a cache of Momento.
    """

    def make(
        old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **options: Any
    ) -> DualCache:
        memory = {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": str(phases.spelling),
        }
        ours = {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": CACHE_NAME,
            "OPTIONS": local_options(momento),
        }
        given = {"OLD": "old", "NEW": "new", "PHASE": phases.spelling, "SAMPLE": 1.0, **options}
        settings.CACHES = {
            "default": {"BACKEND": "django_momento.migration.DualCache", "OPTIONS": given},
            "old": old or memory,
            "new": new or ours,
        }
        cache = caches["default"]
        assert isinstance(cache, DualCache)
        return cache

    return make
