"""Keys, values and errors of items: lone surrogates, unreadable values, and the names in messages."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.utils.asyncio import async_unsafe

from django_momento.cache import MomentoCache
from django_momento.client.client import Client
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.faces import EACH_FACE, call
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD


@EACH_FACE
@table("key", ["\ud800", "a\udfff", "\ud83d\ude00", "😀", "\u00e9"], afresh=True)
def test_a_lone_surrogate_in_a_key_is_a_key_like_any_other(
    make_cache: MakeCache, face: str, key: str
) -> None:
    """A visitor can send one in a URL. It works as with LocMemCache."""
    ours, theirs = make_cache(), LocMemCache("surrogates", {})
    for cache, twin in ((ours, face), (theirs, "sync")):
        assert call(cache, twin, "add", key, 1) is True
        assert call(cache, twin, "get", key) == 1
        assert call(cache, twin, "incr", key) == 2
        assert call(cache, twin, "set_many", {key: 3, "b": 4}) == []
        assert call(cache, twin, "get_many", [key, "b", "\udc00"]) == {key: 3, "b": 4}
        assert call(cache, twin, "incr_version", key) == 2
        assert call(cache, twin, "delete", key, version=2) is True
        assert call(cache, twin, "has_key", key) is False


def test_an_unreadable_value_under_a_lone_surrogate_is_a_miss(make_cache: MakeCache) -> None:
    """The warning escapes the key."""
    make_cache(OPTIONS={"SERIALIZER": "json"}).set("\ud800", [1])

    assert make_cache().get("\ud800") is None


@EACH_FACE
def test_get_or_set_replaces_an_unreadable_value(make_cache: MakeCache, face: str) -> None:
    """One computation, and then hits; ``add`` looks at the key alone."""
    make_cache(OPTIONS={"SERIALIZER": "json"}).set("key", [1])
    cache = make_cache()
    computed = []

    def compute() -> str:
        computed.append(1)
        return "new"

    assert call(cache, face, "add", "key", "other") is False
    assert ["new"] * 3 == [call(cache, face, "get_or_set", "key", compute) for _ in range(3)]
    assert [1] == computed
    assert cache.get("key") == "new"


class Counting(MomentoCache):
    """Overrides ``get`` with a default of its own, as packages for metrics do."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        value = super().get(key, None, version)
        return default if value is None else value


@EACH_FACE
def test_get_or_set_of_a_subclass_replaces_an_unreadable_value(momento: LocalServer, face: str) -> None:
    """Whichever default its ``get`` passes on."""
    params = {"OPTIONS": local_options(momento, SERIALIZER="json")}
    MomentoCache(CACHE_NAME, params).set("key", [1])
    cache = Counting(CACHE_NAME, {"OPTIONS": local_options(momento)})
    default = mock.Mock(return_value="new")

    assert ["new"] * 3 == [call(cache, face, "get_or_set", "key", default) for _ in range(3)]
    assert 1 == default.call_count


def test_an_unreadable_value_of_one_key_changes_no_other(make_cache: MakeCache) -> None:
    """A value that another caller has just stored stands."""
    make_cache(OPTIONS={"SERIALIZER": "json"}).set("key", [1])
    cache = make_cache()

    def compute() -> str:
        cache.get("key")
        cache.set("other", "of another caller")
        return "mine"

    assert cache.get_or_set("other", compute) == "of another caller"


@EACH_FACE
@table("verb", ["set", "add", "set_many", "get_or_set"], afresh=True)
def test_an_error_of_the_serializer_names_the_key_and_the_alias(
    make_cache: MakeCache, face: str, verb: str
) -> None:
    """And has the type that it always had."""
    for serializer, value, kinds in (
        ("pickle", lambda: None, (pickle.PicklingError, AttributeError)),
        ("json", object(), (TypeError,)),
        ("json", float("nan"), (ValueError,)),
        ("msgpack", object(), (TypeError,)),
    ):
        cache = make_cache(alias="pages", OPTIONS={"SERIALIZER": serializer})
        arguments = [{"user:1": value}] if verb == "set_many" else ["user:1", lambda value=value: value]
        if verb in ("set", "add"):
            arguments = ["user:1", value]
        with pytest.raises(kinds, match=r"\(key 'user:1' of cache 'pages'\)"):
            call(cache, face, verb, *arguments)


@EACH_FACE
@table(
    ("value", "delta", "error"),
    [(1.5, 1, TypeError), (1, 1.5, TypeError), (2**63 - 1, 1, OverflowError)],
    afresh=True,
)
def test_an_error_of_incr_names_the_key_and_the_alias(
    make_cache: MakeCache, face: str, value: Any, delta: Any, error: type[Exception]
) -> None:
    """A value or a delta that is no integer, and a sum that is too large."""
    cache = make_cache(alias="pages")
    cache.set("hits", value)
    for verb in ("incr", "decr") if error is TypeError else ("incr",):
        arguments = ["hits", -delta] if verb == "decr" else ["hits", delta]
        with pytest.raises(error, match=r"\(key 'hits' of cache 'pages'\)"):
            call(cache, face, verb, *arguments)
    assert cache.get("hits") == value


class Lazy:
    """A value that is evaluated when it is stored, as a queryset is."""

    @async_unsafe
    def _evaluate(self) -> list[int]:
        return [1, 2]

    def __reduce__(self) -> Any:
        return list, (self._evaluate(),)


@table("verb", ["aset", "aadd", "aset_many", "aget_or_set"], afresh=True)
def test_a_value_that_must_not_be_evaluated_in_an_event_loop_is_stored(
    make_cache: MakeCache, momento: LocalServer, verb: str
) -> None:
    """It is encoded in Django's thread for sync code, and no call is sent twice."""
    cache = make_cache()

    async def store() -> Any:
        await getattr(cache, verb)(*([{"key": Lazy()}] if verb == "aset_many" else ["key", Lazy()]))
        return await cache.aget("key")

    momento.reset_calls()
    assert [1, 2] == asyncio.run(store())
    assert 1 == sum(momento.calls[name] for name in ("Set", "SetIfNotExists", "SetBatch"))


SITE = """
import asyncio, sys, tempfile

import django
from django.conf import settings

options = {"CREDENTIALS": "local", "ENDPOINT": sys.argv[1], "SERIALIZER": sys.argv[2]}
config = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "tests", "OPTIONS": options}
settings.configure(
    SECRET_KEY="only-for-tests",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions", "django_momento"],
    CACHES={"default": config},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tempfile.mkdtemp() + "/site"}},
)
django.setup()

from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.cached_db import SessionStore
from django.core.cache import cache
from django.core.management import call_command

call_command("migrate", verbosity=0)
"""
STORE = """
async def store():
    types = ContentType.objects.order_by("model")
    await cache.aset("a", types)
    await cache.aadd("b", types.all())
    await cache.aset_many({"c": types.all()})
    await cache.aget_or_set("d", types.all())
    return await cache.aget_many("abcd")

for key, types in sorted(asyncio.run(store()).items()):
    print(key, *(content_type.model for content_type in types))
"""
REFUSE = """
try:
    cache.set("types", ContentType.objects.all())
except TypeError as error:
    print(error)
"""
SESSION = """
session = SessionStore()
session["cart"] = "old"
session.save()
session["cart"] = "x" * 6_000_000
session.save()
print(len(SessionStore(session.session_key)["cart"]))
"""


@table(
    ("serializer", "script", "expected"),
    [
        ("pickle", STORE, [f"{key} contenttype session" for key in "abcd"]),
        (
            "json",
            REFUSE,
            ["Object of type QuerySet is not JSON serializable (key 'types' of cache 'default')"],
        ),
        ("pickle", SESSION, ["6000000"]),
    ],
    afresh=True,
)
def test_a_site_with_a_database_stores_querysets_and_sessions(
    momento: LocalServer, serializer: str, script: str, expected: list[str]
) -> None:
    """From an event loop too. If a session is too large, no older one is read from the cache."""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", SITE + script]
    arguments = [momento.address, serializer]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)

    assert (expected, 0) == (ended.stdout.splitlines(), ended.returncode), ended.stderr


@EACH_FACE
def test_a_value_that_needs_no_thread_is_encoded_in_the_loop(make_cache: MakeCache, face: str) -> None:
    """A thread costs more than the call."""
    cache = make_cache()
    with mock.patch("django_momento.execution.sync_to_async", side_effect=AssertionError("a thread")):
        call(cache, face, "set", "key", "value")
        assert call(cache, face, "get_or_set", "other", "value") == "value"
        assert call(cache, face, "set_many", {"key": "value"}) == []


def test_partial_failures_are_throttled_and_counted(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    """Like all others: one warning, and the count of all."""
    from django_momento.events import events

    cache = make_cache()
    for _ in range(3):
        assert cache.set_many({"large": "x" * 6_000_000, "small": "y"}) == ["large"]

    (record,) = caplog.records
    assert "set_many() did not store 1 of 2 keys" in record.getMessage()
    assert {"partial_failures": 3} == events.counts("default")


def test_encryption_keys_are_not_waited_for_in_the_event_loop(
    settings: Any, tmp_path: Path, momento: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come with the API key, which the first call fetches on a thread of its own."""
    secret = {"api_key": "any", "endpoint": momento.address, "encryption_key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    (tmp_path / "secret").write_text(json.dumps(secret))
    options = {
        "CREDENTIALS": "file",
        "API_KEY_FILE": str(tmp_path / "secret"),
        "ENDPOINT": momento.address,
        "ENCRYPTION_KEY": "secret",
        "CLIENT_TIMEOUT": HANG_GUARD,
    }
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
    get_credential = Client.get_credential

    def refuse_to_block(client: Client) -> Any:
        assert client.credential is not None
        return get_credential(client)

    monkeypatch.setattr(Client, "get_credential", refuse_to_block)

    async def store(verb: str, *arguments: Any) -> Any:
        clients.close()
        await getattr(caches["default"], verb)(*arguments)
        return await caches["default"].aget("key")

    for verb in ("aset", "aadd"):
        assert "value" == asyncio.run(store(verb, "key", "value"))
        caches["default"].clear()
    assert "value" == asyncio.run(store("aset_many", {"key": "value"}))


def test_a_warning_of_an_unreadable_session_does_not_show_its_key(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    """It is still good in the database of ``cached_db``."""
    key = "django.contrib.sessions.cached_db" + "t0ys7azf6u50v4aveq3qat64mvxs11qx"
    make_cache(OPTIONS={"SERIALIZER": "json"}).set(key, "value")

    assert make_cache(OPTIONS={"SERIALIZER": "msgpack"}).get(key) is None
    assert "sessions.cached_db**********' reads as a miss" in caplog.text
    assert "t0ys7azf" not in caplog.text
