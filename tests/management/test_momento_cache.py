"""``manage.py momento_cache``: one key, described, read or deleted."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.calls import Operation
from django_momento.client.registry import clients
from django_momento.codec.attributes import Attributes
from django_momento.local import LocalServer
from django_momento.policies.versions import generation_key, versions
from tests.conftest import MakeCache
from tests.kit.raw import encode
from tests.kit.tables import table

SECRET = "a value that nobody should see"


def run(*arguments: str) -> str:
    """Run the command and return its output."""
    out = io.StringIO()
    call_command("momento_cache", *arguments, stdout=out)
    return out.getvalue()


def run_operation(cache: MomentoCache, operation: Operation[Any]) -> Any:
    return clients.get(cache.options.connection).run(cache.options.cache_name, operation)


@pytest.fixture
def cache(make_cache: MakeCache) -> MomentoCache:
    return make_cache()


def test_get_describes_a_value_and_does_not_show_it(cache: MomentoCache) -> None:
    cache.set("user:1", SECRET * 100, 90)
    found = run("get", "user:1").replace("time left", "left")
    lines = dict(line.split(maxsplit=1) for line in found.splitlines())
    assert lines["key"] == ":1:user:1"
    assert lines["type"] == "pickle, signed, not compressed"
    assert lines["size"].endswith("3 operations for each read")
    assert lines["left"].startswith(("90 s", "8"))
    assert lines["readable"] == "yes"
    assert "value" not in lines
    assert SECRET not in str(lines)


def test_get_shows_a_value_if_asked(cache: MomentoCache) -> None:
    cache.set("k", {"a": 1})
    assert "value       {'a': 1}" in run("get", "k", "--value")


def test_get_names_the_attributes_of_a_value(cache: MomentoCache) -> None:
    """A value past its time to be fresh is still readable, for those who take stale values."""
    for key, fresh_until in {"fresh": 2**63, "stale": 1}.items():
        attributes = Attributes(fresh_until, (("products", b"8 bytes."), ("a\nb", b"8 bytes!")))
        data = encode(cache, f":1:{key}".encode(), 5, attributes)
        run_operation(cache, operations.set(f":1:{key}".encode(), data, 60_000))

    fresh, stale = run("get", "fresh", "--value"), run("get", "stale")

    assert "type        pickle, signed, not compressed, with attributes\n" in fresh
    assert "fresh for   " in fresh
    assert "fresh for   over: reads miss it\n" in stale
    assert "tags        products, a\\nb\n" in fresh
    assert "readable    yes\n" in stale
    assert "value       5\n" in fresh


@table(
    ("options", "value", "expected"),
    [
        ({}, 5, "integer, unsigned, not compressed"),
        ({}, "x", "pickle, signed, not compressed"),
        ({"SERIALIZER": "json"}, [1], "json, unsigned, not compressed"),
        ({"SERIALIZER": "json", "COMPRESSOR": "zlib"}, "x" * 2000, "json, unsigned, compressed"),
        ({"SERIALIZER": "msgpack"}, [1], "msgpack, signed, not compressed"),
        ({"ENCRYPTION_KEY": "A" * 22}, [1], "pickle, encrypted, not compressed"),
    ],
    afresh=True,
)
def test_type_names_the_format(
    options: dict[str, Any], value: Any, expected: str, make_cache: MakeCache
) -> None:
    make_cache(OPTIONS=options).set("k", value)
    assert run("type", "k") == expected + "\n"


def test_ttl_and_size_say_one_thing(cache: MomentoCache) -> None:
    cache.set("k", 12345, 72_000)
    assert run("size", "k") == "5 bytes, 9 with the key: 1 operation for each read\n"
    assert run("ttl", "k").startswith("20 h (")


def test_delete_deletes(cache: MomentoCache) -> None:
    cache.set("k", 1)
    assert run("delete", "k") == "deleted\n"
    assert cache.get("k") is None


@table("action", ["get", "ttl", "size", "type", "delete"], afresh=True)
def test_a_missing_key_is_a_failure(action: str, cache: MomentoCache) -> None:
    with pytest.raises(CommandError, match="':1:k' is missing"):
        run(action, "k")


def test_alias_and_version_and_raw_name_the_key(make_cache: MakeCache) -> None:
    cache = make_cache(alias="pages", KEY_PREFIX="site")
    cache.set("k", 1, version=3)
    assert "site:3:k" in run("get", "k", "--alias", "pages", "--version", "3")
    assert "site:3:k" in run("get", "site:3:k", "--alias", "pages", "--raw")


def test_a_key_of_an_alias_that_clears_by_prefix_is_found(make_cache: MakeCache) -> None:
    """Though Momento's own key has a generation before it, with each action."""
    cache = make_cache(OPTIONS={"CLEAR": "prefix"})
    cache.set("k", 1, 60)
    assert "type        integer" in run("get", "k")
    assert run("ttl", "k")
    cache.clear()
    with pytest.raises(CommandError, match="is missing"):
        run("get", "k")
    cache.set("k", 1)
    run("delete", "k")
    assert cache.get("k") is None


def test_a_counter_of_a_rate_limit_is_described(cache: MomentoCache) -> None:
    """It is no value of the cache, and has a time left all the same."""
    cache.rate_limit("login:1", 5, 60)
    found = run("get", "login:1")
    assert "type        a collection" in found
    assert "time left   " in found
    assert "rate_limit" in run("type", "login:1")
    with pytest.raises(CommandError, match="does not tell the size"):
        run("size", "login:1")
    run("delete", "login:1")
    assert cache.has_key("login:1") is False


def test_a_value_of_another_configuration_says_why_it_cannot_be_read(make_cache: MakeCache) -> None:
    make_cache(OPTIONS={"SERIALIZER": "json"}).set("k", ["x"])
    make_cache()
    found = run("get", "k", "--value")
    assert "readable    no: " in found
    assert "value       cannot be read" in found
    assert "'x'" not in found


@table(
    ("arguments", "message"),
    [
        (["get", "k", "--alias", "nothing"], "CACHES has no alias 'nothing'"),
        (["get", "k", "--alias", "plain"], "does not use Momento"),
        (["ttl", "k", "--value"], "--value goes with get"),
        (["get", "k", "--raw", "--version", "2"], "A raw key has its version in it"),
        (["get", "k", "--alias", "lost"], "has no cache named"),
        (["get"], "required: key"),
        (["look", "k"], "invalid choice: 'look'"),
    ],
    afresh=True,
)
def test_a_mistake_says_what_to_do(
    arguments: list[str], message: str, make_cache: MakeCache, settings: Any
) -> None:
    make_cache()
    config = settings.CACHES["default"]
    settings.CACHES = {
        "default": config,
        "lost": {**config, "LOCATION": "nowhere"},
        "plain": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    with pytest.raises(CommandError, match=message):
        run(*arguments)


def test_invalidate_forgets_the_values_of_tags(cache: MomentoCache) -> None:
    cache.set("a", 1, tags=["shop"])
    cache.set("b", 1, tags=["x:y"])
    assert run("invalidate", "shop", "x:y") == "invalidated: shop, x:y\n"
    assert cache.get_many(["a", "b"]) == {}


def test_clear_empties_what_the_alias_says(make_cache: MakeCache) -> None:
    whole = make_cache(alias="whole")
    whole.set("k", 1)
    prefixed = make_cache(KEY_PREFIX="shop", OPTIONS={"CLEAR": "prefix"})
    prefixed.set("k", 1, 50)
    assert "integer, unsigned" in run("get", "k")
    assert run("get", "k", "--value").endswith("value       1\n")
    assert run("clear") == "done: clear() forgets the keys with KEY_PREFIX 'shop' in 'tests', and no others\n"
    with pytest.raises(CommandError, match="is missing"):
        run("ttl", "k")
    make_cache(alias="whole")
    assert run("get", "k", "--alias", "whole", "--value").endswith("value       1\n")
    assert run("clear", "--alias", "whole") == (
        "done: clear() empties the whole Momento cache 'tests', other prefixes and sites included\n"
    )
    assert whole.get("k") is None


def test_a_raw_key_has_its_generation_and_its_value_can_be_read(make_cache: MakeCache) -> None:
    cache = make_cache(OPTIONS={"CLEAR": "prefix"})
    cache.set("k", "text")
    generation = versions.get(cache.options).peek(generation_key(""))
    assert generation is not None
    found = run("get", f"{generation.hex()}::1:k", "--raw", "--value")
    assert "readable    yes\n" in found
    assert "value       'text'\n" in found


def test_forgetting_is_loud_also_for_a_cache_that_fails_open(
    momento: LocalServer, make_cache: MakeCache
) -> None:
    make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    momento.fail("RESOURCE_EXHAUSTED")
    try:
        for arguments in (["invalidate", "shop"], ["clear"]):
            with pytest.raises(CommandError, match="limit"):
                run(*arguments)
    finally:
        momento.fail()
    for arguments in (["invalidate"], ["clear", "k"], ["invalidate", ""], ["get", "a", "b"]):
        with pytest.raises(CommandError):
            run(*arguments)
