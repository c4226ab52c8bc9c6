"""The repr of a cache and of its client: the place, and no secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD


def test_repr_has_the_alias_the_cache_and_the_endpoint(make_cache: MakeCache, momento: LocalServer) -> None:
    """Before and after the first call."""
    cache = make_cache(alias="pages")
    expected = f"<MomentoCache alias='pages' cache='{CACHE_NAME}' endpoint='{momento.address}'>"

    assert expected == repr(cache)
    cache.get("key")
    assert momento.address in repr(cache)


def test_repr_of_a_client_has_its_endpoint_and_no_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So do the reprs of the registry and of the transport and its channels."""
    monkeypatch.setenv("MOMENTO_API_KEY", "a-key-that-is-secret")
    with LocalServer(api_keys=["a-key-that-is-secret"], caches=[CACHE_NAME]) as server:
        options = {"CREDENTIALS": "env", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        backend = "django_momento.cache.MomentoCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        cache = caches.create_connection("default")
        assert isinstance(cache, MomentoCache)
        client = clients.get(cache.options.connection)
        assert "not connected, key from env" in repr(client)
        cache.get("key")
        shown = repr([clients, client, client.transport, *vars(client.transport).values()])

        assert f"<Client to {server.address}, key from env>" in shown
        assert f"<Transport to {server.address}>" in shown
        assert f"<Channel to {server.address}>" in shown
        assert "a-key-that-is-secret" not in shown


@table(
    "options",
    [{"CREDENTIALS": "env", "ENDPOINT": "cell.example"}, {"SECRET_ID": "momento"}, {"SECRET": 1}],
    afresh=True,
)
def test_repr_shows_no_secret_and_never_fails(
    settings: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Debug pages show it, also for settings that are refused."""
    monkeypatch.setenv("MOMENTO_API_KEY", "a-key-that-is-secret")
    backend = "django_momento.cache.MomentoCache"
    params = {**options, "ENCRYPTION_KEY": "AAAAAAAAAAAAAAAAAAAAAA=="}
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "a", "OPTIONS": params}}
    shown = repr(caches.create_connection("default"))

    assert shown.startswith("<MomentoCache")
    assert "secret" not in shown
    assert "AAAA" not in shown
