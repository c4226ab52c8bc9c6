"""A Momento server of each test's own, on a clock that the test moves, behind the site's default cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.events import events
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, local_options
from tests.kit import ctrl_c, output, stalls
from tests.kit.clock import Clock

# pytest finds fixtures and hooks by the names of a module.
pytest_configure = stalls.pytest_configure
same_output_everywhere, ctrl_c_everywhere = output.same_output_everywhere, ctrl_c.ctrl_c_everywhere

PASSWORD = "correct horse battery staple"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def momento(clock: Clock) -> Iterator[LocalServer]:
    with LocalServer(caches=[CACHE_NAME], clock=clock.milliseconds) as server:
        yield server


Configure = Callable[..., MomentoCache]


@pytest.fixture
def configure(momento: LocalServer, settings: Any) -> Configure:
    """Make the server the site's default cache, with these OPTIONS, and answer that cache."""

    def configure(**options: Any) -> MomentoCache:
        backend = "django_momento.cache.MomentoCache"
        options = local_options(momento, **options)
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        cache = caches["default"]
        assert isinstance(cache, MomentoCache)
        return cache

    return configure


@pytest.fixture(autouse=True)
def cache(configure: Configure) -> Iterator[MomentoCache]:
    """The site's default cache. Clients and what was noted are process-wide: no test inherits another's."""
    yield configure()
    clients.close()
    events.forget()


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.com", PASSWORD)
