"""Django's hooks for keys: replaced or overridden, each is used by every verb."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.core.cache.backends.base import BaseCache

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.tables import table

HOOKS = ["make_key", "validate_key", "make_and_validate_key"]


def stored_keys(cache: MomentoCache, *keys: str) -> list[str]:
    """Return those of some full keys that exist in Momento."""
    client = clients.get(cache.options.connection)
    data = client.run(cache.options.cache_name, operations.get_many([key.encode() for key in keys]))
    return sorted(key.decode() for key in data)


@table("used_before", [False, True], afresh=True)
def test_a_key_function_that_is_assigned_later_is_used(make_cache: MakeCache, used_before: bool) -> None:
    """A tenant must never read another tenant's value."""
    cache = make_cache()
    if used_before:
        cache.set("key", "of nobody")
    cache.key_func = lambda key, prefix, version: f"tenant:{key}"
    cache.set("key", "of a tenant")

    assert cache.get("key") == "of a tenant"
    assert stored_keys(cache, "tenant:key", ":1:key") == [*[":1:key"] * used_before, "tenant:key"]
    cache.key_func = lambda key, prefix, version: f"another:{key}"
    assert cache.get("key") is None


@table("used_before", [False, True], afresh=True)
@table("place", ["instance", "class", "base class"], afresh=True)
@table("hook", HOOKS, afresh=True)
def test_a_hook_that_is_replaced_is_used(
    make_cache: MakeCache, hook: str, place: str, used_before: bool
) -> None:
    """On an instance or a class, before or after the first call, and no longer than it is replaced."""
    cache = make_cache()
    if used_before:
        cache.get("key")
    target = {"instance": cache, "class": MomentoCache, "base class": BaseCache}[place]
    with mock.patch.object(target, hook, side_effect=KeyError("replaced")) as replaced:
        for verb in ("get", "delete", "has_key"):
            with pytest.raises(KeyError, match="replaced"):
                getattr(cache, verb)("key")

    assert 3 == replaced.call_count
    assert cache.get("key") is None


@table("hook", HOOKS, afresh=True)
def test_a_hook_that_a_subclass_overrides_is_used(momento: LocalServer, hook: str) -> None:
    """Each of Django's three."""
    seen = []

    def override(self: Any, key: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(key)
        return getattr(BaseCache, hook)(self, key, *args, **kwargs)

    cache = type("OurCache", (MomentoCache,), {hook: override})(
        CACHE_NAME, {"OPTIONS": local_options(momento)}
    )
    cache.set("key", "value")

    assert cache.get("key") == "value"
    assert 2 == len(seen)
