"""The face: settings, keys, the failure policy, and what is done with values that cannot be read."""

from __future__ import annotations

import asyncio
import logging
import pickle
import warnings
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning, caches
from django.core.cache.backends.base import BaseCache
from django.db import close_old_connections
from django.test import override_settings

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.registry import clients
from django_momento.exceptions import CacheNotFound, ConfigurationError, MomentoCacheError, ValueTooLarge
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.tables import table

BACKEND = "django_momento.cache.MomentoCache"


def raw(cache: MomentoCache, key: str, data: bytes) -> None:
    """Store bytes as they are, as another program could."""
    clients.get(cache.options.connection).run(
        cache.options.cache_name, operations.set(cache.make_key(key).encode(), data, 60_000)
    )


def test_wrong_settings_name_the_alias(settings: Any) -> None:
    """Django tells a backend all but its alias, which is what a reader looks for."""
    good = {"BACKEND": BACKEND, "LOCATION": "a", "OPTIONS": {"CREDENTIALS": "embedded"}}
    settings.CACHES = {"default": good, "sessions": {**good, "OPTIONS": {"CREDENTIAL": "embedded"}}}
    with pytest.raises(ConfigurationError, match=r"CACHES\['sessions'\].*'CREDENTIAL'.*'CREDENTIALS'"):
        caches["sessions"].get("key")


def test_an_alias_of_another_backend_lends_no_name(settings: Any) -> None:
    """It may have the same settings, while one backend is being replaced with another."""
    wrong = {"LOCATION": "a", "OPTIONS": {"CREDENTIAL": "embedded"}}
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache", **wrong}
    settings.CACHES = {"old": dummy, "default": {"BACKEND": BACKEND, **wrong}}
    with pytest.raises(ConfigurationError, match=r"CACHES\['default'\]"):
        caches["default"].get("key")


def test_a_cache_outside_caches_says_so() -> None:
    """A backend made by hand has no alias to name."""
    with pytest.raises(ConfigurationError, match="not in CACHES"):
        MomentoCache("", {"VERSION": 5}).get("key")


def test_making_an_instance_connects_to_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django makes instances freely; only a call asks for a client."""
    monkeypatch.setattr(clients, "get", lambda options: pytest.fail("asked for a client"))
    options = {"SECRET_ID": "no-such-secret", "REGION": "us-west-2"}
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "a", "OPTIONS": options}}
    cache = caches["default"]
    assert cache.get_many([]) == {}
    assert cache.set_many({}) == []
    cache.delete_many([])
    cache.close()


def test_settings_are_parsed_once_per_alias(make_cache: MakeCache) -> None:
    """Threads share what was parsed, and a change of settings is seen."""
    first = make_cache(TIMEOUT=60)
    again = caches.create_connection("default")
    assert isinstance(again, MomentoCache)
    assert first.options is again.options
    changed = make_cache(TIMEOUT=60, OPTIONS={"MAX_TTL": 5})
    assert changed.options.max_ttl == 5


def test_aliases_keep_to_their_own_prefix_and_timeout(make_cache: MakeCache) -> None:
    """What Django's base class does with its settings is left to it."""
    cache = make_cache(KEY_PREFIX="site", VERSION=3, TIMEOUT=None)
    assert cache.make_key("key") == "site:3:key"
    assert cache.get_backend_timeout() == 86_400_000


def test_max_ttl_cuts_what_is_longer(make_cache: MakeCache) -> None:
    """Longer timeouts and None become MAX_TTL; shorter ones are left alone."""
    cache = make_cache(OPTIONS={"MAX_TTL": 60})
    timeouts = [None, 61, 60, 1.5, 0, -1, float("inf")]
    assert [cache.get_backend_timeout(timeout) for timeout in timeouts] == [
        60_000,
        60_000,
        60_000,
        1_500,
        0,
        0,
        60_000,
    ]


def test_the_backend_accepts_replaced_methods(make_cache: MakeCache) -> None:
    """Sentry and debug-toolbar replace methods on the instance."""
    cache = make_cache()
    cache.get = lambda *args, **kwargs: "replaced"  # type: ignore[method-assign]  # replaced on purpose
    assert caches["default"].get("key") == "replaced"


@table("key", ["with space", "x" * 251, "control\x01"], afresh=True)
def test_keys_that_memcached_refuses_warn(make_cache: MakeCache, key: str) -> None:
    """As with Django's other backends: a warning, and it works."""
    cache = make_cache()
    with pytest.warns(CacheKeyWarning):
        cache.set(key, "value")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        assert cache.get(key) == "value"


class PickyCache(MomentoCache):
    """A site's own backend, with rules of its own."""

    def validate_key(self, key: str) -> None:
        if key.endswith("forbidden"):
            raise ValueError("forbidden")


def test_a_backend_with_its_own_rules_for_keys_is_always_asked(momento: LocalServer) -> None:
    """Django documents validate_key() as the place for them."""
    cache = PickyCache(CACHE_NAME, {"OPTIONS": local_options(momento)})
    cache.set("with space and no warning", "value")
    with pytest.raises(ValueError, match="forbidden"):
        cache.get("forbidden")


@table("key", ["", "plain", "清" * 240, "\x80", "é"], afresh=True)
def test_keys_that_memcached_takes_do_not_warn(make_cache: MakeCache, key: str) -> None:
    """What is checked faster is checked the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CacheKeyWarning)
        make_cache().set(key, "value")


@table("verb", ["set", "add", "set_many"], afresh=True)
def test_an_unpicklable_value_raises_and_nothing_is_stored(make_cache: MakeCache, verb: str) -> None:
    """A value that cannot be stored is the caller's mistake, also when failing is open."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    args = [{"good": 1, "bad": lambda: None}] if verb == "set_many" else ["bad", lambda: None]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        getattr(cache, verb)(*args)
    assert cache.get_many(["good", "bad"]) == {}


def test_a_value_over_the_limit_raises_with_its_size(make_cache: MakeCache) -> None:
    """The message says how large the value was. ``add`` changes nothing, and ``set`` leaves a miss."""
    cache = make_cache()
    cache.set_many({"key": "old", "other": "old"})
    with pytest.raises(ValueTooLarge, match=r"':1:key' takes 6,000,0\d\d bytes"):
        cache.set("key", "x" * 6_000_000)
    for key in ("new", "other"):
        with pytest.raises(ValueTooLarge):
            cache.add(key, "x" * 6_000_000)
    assert cache.get_many(["key", "new", "other"]) == {"other": "old"}


def test_set_many_names_what_was_too_large(make_cache: MakeCache, caplog: pytest.LogCaptureFixture) -> None:
    """Django's contract is a list of the keys that failed; the log says why."""
    cache = make_cache()
    assert cache.set_many({"large": "x" * 6_000_000, "small": "y"}) == ["large"]
    assert cache.get_many(["large", "small"]) == {"small": "y"}
    (record,) = caplog.records
    assert "6,000,0" in record.getMessage()


@table(
    "data",
    [
        b"",
        b"foreign text",
        b"\x80",
        b"\xff\xff\xff",
        pickle.dumps("unsigned"),
        b"99999999999999999999",
        b"\xa1" + bytes(16) + pickle.dumps("forged"),
    ],
    afresh=True,
)
def test_what_cannot_be_read_back_is_a_miss_and_one_warning(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """Foreign, forged or truncated: a miss, and the log has the key but never the value."""
    cache = make_cache()
    raw(cache, "key", data)
    caplog.clear()
    assert cache.get("key", "default") == "default"
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("django_momento", logging.WARNING)
    assert "':1:key' reads as a miss" in record.getMessage()
    assert "forged" not in record.getMessage()
    assert cache.get_many(["key", "other"]) == {}
    with pytest.raises(ValueError, match="not found"):
        cache.incr_version("key")


def test_a_value_of_another_site_is_a_miss(make_cache: MakeCache) -> None:
    """Sites with other secret keys cannot make this one unpickle anything; a fallback key can."""
    with override_settings(SECRET_KEY="theirs"):
        make_cache().set("key", "value")
    assert make_cache().get("key") is None
    with override_settings(SECRET_KEY_FALLBACKS=["theirs"]):
        assert make_cache().get("key") == "value"


def test_a_value_moved_to_another_key_is_a_miss(make_cache: MakeCache) -> None:
    """A signature is for one key: whoever can write to the cache cannot swap two users' values."""
    cache = make_cache()
    cache.set("admin", {"is_staff": True})
    client = clients.get(cache.options.connection)
    stolen = client.run(CACHE_NAME, operations.get(cache.make_key("admin").encode()))
    assert stolen is not None
    raw(cache, "guest", stolen)
    assert cache.get("guest") is None


def called(cache: Any, verb: str, args: list[Any]) -> Any:
    """Call a method, or its async twin, which is named with an ``a`` before it."""
    answer = getattr(cache, verb)(*args)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def test_every_async_method_is_our_own() -> None:
    """The base class would run a method in a thread, or put it together of others that are not atomic."""
    twins = {name for name in dir(BaseCache) if name.startswith("a") and hasattr(BaseCache, name[1:])}
    bases = MomentoCache.__mro__[: MomentoCache.__mro__.index(BaseCache)]
    ours = {name for base in bases for name in vars(base)}
    assert twins - ours == {"aclose"}  # which does nothing, as close() does


def test_a_missing_momento_cache_is_named(make_cache: MakeCache) -> None:
    """The error says which name was looked for and how to create it."""
    with pytest.raises(CacheNotFound, match=r"no cache named 'elsewhere'.*--create"):
        make_cache("elsewhere").get("key")
    with pytest.raises(MomentoCacheError):
        make_cache("elsewhere").get_many(["a", "b"])


def test_the_end_of_a_request_keeps_the_client(make_cache: MakeCache) -> None:
    """caches.close_all() is called after every request; reconnecting then would cost every request."""
    cache = make_cache()
    cache.set("key", "value")
    client = clients.get(cache.options.connection)
    caches.close_all()
    close_old_connections()
    assert clients.get(cache.options.connection) is client


# The verb table of the documentation, in RPCs: what each method costs.
COSTS: dict[str, tuple[list[Any], list[str]]] = {
    "get": (["key"], ["Get"]),
    "set": (["key", "v"], ["Set"]),
    "add": (["new", "v"], ["SetIfNotExists"]),
    "touch": (["key"], ["UpdateTtl"]),
    "delete": (["key"], ["KeysExist", "Delete"]),
    "has_key": (["key"], ["KeysExist"]),
    "incr": (["number"], ["ItemGetTtl", "Increment"]),
    "get_many": ([["key", "number"]], ["GetBatch"]),
    "set_many": ([{"a": 1, "b": 2}], ["SetBatch"]),
    "delete_many": ([["a", "b"]], ["Delete", "Delete"]),
    "get_or_set": (["missing", "v"], ["Get", "SetIfNotExists"]),
    "incr_version": (["key"], ["Get", "ItemGetTtl", "Set", "Delete"]),
    "clear": ([], ["FlushCache"]),
}


@table("verb", COSTS, afresh=True)
@table("prefix", ["", "a"], afresh=True)
def test_a_verb_costs_these_calls_to_momento(
    make_cache: MakeCache, momento: LocalServer, verb: str, prefix: str
) -> None:
    """Momento bills by operation: no verb may quietly start to cost more, in either face."""
    cache = make_cache()
    cache.set_many({"key": "value", "number": 1})
    momento.reset_calls()
    args, calls = COSTS[verb]
    called(cache, f"{prefix}{verb}", args)
    assert sorted(calls) == sorted(momento.calls.elements())
