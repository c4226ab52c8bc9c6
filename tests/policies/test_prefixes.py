"""CLEAR=prefix: clear() forgets the keys of one alias, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache import caches
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.policies.versions import generation_key, versions
from tests.conftest import CACHE_NAME, local_options
from tests.kit.faces import EACH_FACE, call
from tests.kit.wire import Wire


def configure(settings: Any, server: LocalServer, **aliases: dict[str, Any]) -> list[MomentoCache]:
    """Put aliases into CACHES, each with its KEY_PREFIX and its OPTIONS. Return their caches."""
    settings.CACHES = {
        alias: {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": CACHE_NAME,
            "KEY_PREFIX": params.get("KEY_PREFIX", ""),
            "OPTIONS": local_options(server, **params.get("OPTIONS", {})),
        }
        for alias, params in aliases.items()
    }
    return [caches[alias] for alias in aliases]  # type: ignore[misc]  # all of them are ours


def lose(server: LocalServer, key: bytes) -> None:
    """Let the server lose a key, as by eviction."""
    Wire(server.address).Delete(pb._DeleteRequest(cache_key=key), cache=CACHE_NAME)


PREFIXED = {"CLEAR": "prefix"}


@EACH_FACE
def test_clear_forgets_one_alias_with_its_counters_and_no_other(
    momento: LocalServer, settings: Any, face: str
) -> None:
    shop, other, whole = configure(
        settings,
        momento,
        default={"KEY_PREFIX": "shop", "OPTIONS": PREFIXED},
        other={"KEY_PREFIX": "other", "OPTIONS": PREFIXED},
        whole={"KEY_PREFIX": "shop"},
    )
    for cache in (shop, other, whole):
        cache.set("value", "v", version=2)
        cache.set("count", 1)

    call(shop, face, "clear")

    assert call(shop, face, "get_many", ["count"]) == {}
    assert call(shop, face, "get", "value", version=2) is None
    assert call(shop, face, "add", "count", 5) is True
    with pytest.raises(ValueError, match="not found"):
        call(shop, face, "incr", "value", version=2)
    for cache in (other, whole):
        assert (cache.get("value", version=2), cache.get("count")) == ("v", 1)


def test_every_verb_works_inside_a_generation(momento: LocalServer, settings: Any) -> None:
    (cache,) = configure(settings, momento, default={"OPTIONS": PREFIXED})

    assert cache.set_many({"a": 1, "b": "x"}) == []
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": "x"}
    assert (cache.incr("a"), cache.touch("a", 50), cache.has_key("a"), cache.add("a", 5)) == (
        2,
        True,
        True,
        False,
    )
    assert (cache.incr_version("b"), cache.get("b", version=2)) == (2, "x")
    assert (cache.get_or_set("d", lambda: 7), cache.delete("d"), cache.delete("d")) == (7, True, False)
    cache.delete_many(["a"])
    assert cache.get("a") is None


def test_another_process_sees_a_clear_within_tag_seconds(momento: LocalServer, settings: Any) -> None:
    """With 0 it asks each time. A process is played by one that has forgotten the generation."""
    here, there = configure(
        settings,
        momento,
        default={"OPTIONS": {**PREFIXED, "TAG_SECONDS": 600}},
        there={"OPTIONS": {**PREFIXED, "TAG_SECONDS": 0, "CLIENT_TIMEOUT": 9}},
    )
    here.set("k", "v")
    assert there.get("k") == "v"

    here.clear()

    assert (here.get("k"), there.get("k")) == (None, None)
    there.clear()
    here.set("k", "late")
    assert there.get("k") is None
    assert here.get("k") == "late"
    versions.get(here.options).forget()
    assert here.get("k") is None


def test_a_lost_generation_forgets_all_and_brings_nothing_back(momento: LocalServer, settings: Any) -> None:
    (cache,) = configure(settings, momento, default={"KEY_PREFIX": "shop", "OPTIONS": PREFIXED})
    cache.set("k", "v")
    lose(momento, generation_key("shop"))
    versions.forget()

    assert cache.get("k") is None
    cache.set("k", "new")
    assert cache.get("k") == "new"


def test_a_generation_costs_one_get_for_each_tag_seconds(momento: LocalServer, settings: Any) -> None:
    (cache,) = configure(settings, momento, default={"OPTIONS": {**PREFIXED, "TAG_SECONDS": 600}})
    cache.set("k", "v")
    momento.reset_calls()

    for _ in range(5):
        assert cache.get("k") == "v"
    assert asyncio.run(cache.aget("k")) == "v"
    cache.clear()

    assert dict(momento.calls) == {"Get": 6, "SetBatch": 1}


def test_a_prefix_that_changes_has_a_generation_of_its_own(momento: LocalServer, settings: Any) -> None:
    """As a cache that takes the tenant of the request as its KEY_PREFIX."""
    (cache,) = configure(settings, momento, default={"OPTIONS": PREFIXED})
    for tenant in ("a", "b"):
        cache.key_prefix = tenant
        cache.set("k", tenant)

    cache.clear()

    assert cache.get("k") is None
    cache.key_prefix = "a"
    assert cache.get("k") == "a"
