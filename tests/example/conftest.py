"""The example site under the test client, on the embedded Momento server that its settings default to."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, override_settings

from example_project import shop
from example_project.activity import activity
from tests.kit.ports import unserved

Settings = dict[str, Any]


@pytest.fixture
def read_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The example's settings as a process with just these environment variables would read them."""

    def read(**environment: str) -> Settings:
        for name in ("CACHE_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        module = runpy.run_module("example_project.settings")
        return {name: value for name, value in module.items() if name.isupper()}

    return read


@pytest.fixture
def site(read_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A visitor of the site, whose cache is empty, whose database is quick and whose figures are none."""
    monkeypatch.setattr(shop, "QUERY_SECONDS", 0)
    settings = read_settings() | {"DEBUG": False, "ALLOWED_HOSTS": ["testserver"]}
    with override_settings(**settings):
        cache.clear()
        activity.forget()
        yield Client()


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of the loopback address on which nothing listens, and that no other process gets by chance.

    A server that names the port can have it, because servers reuse addresses.
    """
    with unserved() as port:
        yield port
