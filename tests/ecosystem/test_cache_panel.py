"""dj-cache-panel: look up, edit, delete and flush in the admin. Momento lists no keys, nor can it."""

from __future__ import annotations

from typing import Any

import pytest
from dj_cache_panel import cache_panel
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path

from django_momento.cache import MomentoCache
from django_momento.monitoring.cache_panel import register

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


class OwnCache(MomentoCache):
    """A site's own subclass."""


ALL_BUT_A_LIST = {"get_key", "delete_key", "edit_key", "add_key", "flush_cache"}


def test_the_panel_offers_all_but_a_list_of_keys_without_a_setting(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Also for a subclass. By itself it offers to look up and delete, as for any unknown backend."""
    assert ALL_BUT_A_LIST == abilities()
    monkeypatch.delitem(cache_panel.BACKEND_PANEL_MAP, BACKEND)
    assert {"get_key", "delete_key"} == abilities()
    settings.CACHES = {"default": {**settings.CACHES["default"], "BACKEND": f"{__name__}.OwnCache"}}
    apps.get_app_config("django_momento").ready()
    assert ALL_BUT_A_LIST == abilities()
    monkeypatch.delitem(cache_panel.BACKEND_PANEL_MAP, f"{__name__}.OwnCache")


def test_a_panel_that_the_settings_name_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """BACKEND_PANEL_EXTENSIONS puts it into the same list, when dj-cache-panel is imported."""
    monkeypatch.setitem(cache_panel.BACKEND_PANEL_MAP, BACKEND, "GenericCachePanel")
    register()
    assert "GenericCachePanel" == cache_panel.BACKEND_PANEL_MAP[BACKEND]


def test_another_backend_gets_no_panel_of_ours(settings: Any) -> None:
    """Nor does one that cannot be imported, which fails elsewhere."""
    settings.CACHES = {"a": {"BACKEND": "no.such.Backend"}, "b": {"BACKEND": "builtins.dict"}}
    before = dict(cache_panel.BACKEND_PANEL_MAP)
    register()
    assert before == cache_panel.BACKEND_PANEL_MAP
