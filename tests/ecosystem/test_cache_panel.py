"""dj-cache-panel: look up, edit, delete and flush in the admin. Momento lists no keys, nor can it."""

from __future__ import annotations

import pytest
from dj_cache_panel import cache_panel
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path

from django_momento.cache import MomentoCache

BACKEND = "django_momento.cache.MomentoCache"

urlpatterns = [path("admin/caches/", include("dj_cache_panel.urls")), path("admin/", admin.site.urls)]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def abilities() -> set[str]:
    return {name for name, able in cache_panel.get_cache_panel("default").abilities.items() if able}


def test_the_index_lists_the_cache(client: Client) -> None:
    """By alias and backend."""
    content = client.get("/admin/caches/").content.decode()
    assert "default" in content
    assert BACKEND in content


def test_a_key_can_be_looked_up(client: Client, cache: MomentoCache) -> None:
    """Asked for by its name, as cache.get() would."""
    cache.set("stock", {"apples": 3})
    assert "apples" in client.get("/admin/caches/default/keys/stock/").content.decode()
    assert "stock" in client.get("/admin/caches/default/keys/?q=stock").content.decode()
    missing = client.get("/admin/caches/default/keys/?q=missing").content.decode()
    assert "not found in cache" in missing


def test_a_key_can_be_added_changed_and_deleted(client: Client, cache: MomentoCache) -> None:
    """What the panel writes, the site reads, with its type."""
    client.post("/admin/caches/default/add/", {"key": "stock", "value": '{"apples": 3}', "timeout": "60"})
    assert cache.get("stock") == {"apples": 3}
    client.post("/admin/caches/default/keys/stock/", {"action": "update", "value": "none left"})
    assert cache.get("stock") == "none left"
    client.post("/admin/caches/default/keys/stock/", {"action": "delete"})
    assert cache.has_key("stock") is False


def test_a_cache_can_be_flushed(client: Client, cache: MomentoCache) -> None:
    """All of the Momento cache, as clear() says."""
    cache.set_many({"a": 1, "b": 2})
    client.post("/admin/caches/default/keys/", {"action": "flush"})
    assert cache.get_many(["a", "b"]) == {}


def test_without_a_mapping_the_panel_can_look_up_and_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any unknown backend. BACKEND_PANEL_EXTENSIONS, as in the settings here, adds the rest."""
    assert {"get_key", "delete_key", "edit_key", "add_key", "flush_cache"} == abilities()
    monkeypatch.delitem(cache_panel.BACKEND_PANEL_MAP, BACKEND)
    assert {"get_key", "delete_key"} == abilities()
