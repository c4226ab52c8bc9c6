"""What the system checks remark on settings that are valid, and that they say what to do about it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.checks import WARNING

from tests.kit.checking import Found, alias, ids, messages
from tests.kit.tables import table

CACHE_SESSIONS = "django.contrib.sessions.backends.cache"
CACHED_DB_SESSIONS = "django.contrib.sessions.backends.cached_db"


class SessionStore(CacheSessionStore):
    """A site's own session engine on top of Django's; this module is it."""


@pytest.fixture
def found(settings: Any) -> Found:
    """What the checks say of some CACHES; see ``messages``."""
    return partial(messages, settings)


@table(
    ("timeout", "max_ttl", "expected"),
    [
        (None, 86400, ["W001"]),
        (86401, 86400, ["W001"]),
        ("90000", 86400, ["W001"]),
        (86400, 86400, []),
        (0, 86400, []),
        (90000, 604800, []),
        (301, 300, ["W001"]),
    ],
)
def test_a_timeout_beyond_max_ttl_is_remarked(
    found: Found, timeout: Any, max_ttl: int, expected: list[str]
) -> None:
    """Values would end earlier than the settings say."""
    remarks = found({"pages": alias(timeout=timeout, SECRET_ID="a", MAX_TTL=max_ttl)})

    assert expected == ids(remarks)
    for message in remarks:
        assert "CACHES['pages']['TIMEOUT']" in message.msg
        assert str(max_ttl) in message.msg
        assert f"Set TIMEOUT to {max_ttl} or less" in str(message.hint)


def test_a_large_number_of_seconds_is_written_out(found: Found) -> None:
    """1e+09 is not what anybody would put into settings."""
    (message,) = found({"pages": alias(timeout=None, SECRET_ID="a", MAX_TTL=10**9)})
    assert "1000000000 seconds" in message.msg


@table(
    ("engine", "age", "expected"),
    [
        (CACHE_SESSIONS, 1209600, ["W002"]),
        (CACHE_SESSIONS, 86400, []),
        (__name__, 1209600, ["W002"]),
        (CACHED_DB_SESSIONS, 1209600, []),
        ("django.contrib.sessions.backends.signed_cookies", 1209600, []),
        ("no.such.engine", 1209600, []),
        ("os", 1209600, []),
    ],
)
def test_sessions_that_end_before_their_cookie_are_remarked(
    found: Found, engine: str, age: int, expected: list[str]
) -> None:
    """Only sessions that live in the cache alone: those of ``cached_db`` outlive it."""
    remarks = found({"default": alias(SECRET_ID="a")}, SESSION_ENGINE=engine, SESSION_COOKIE_AGE=age)

    assert expected == ids(remarks)
    for message in remarks:
        assert "CACHES['default']" in message.msg
        assert f"SESSION_COOKIE_AGE is {age}" in message.msg
        assert "cached_db" in str(message.hint)


def test_sessions_of_another_alias_are_none_of_this_ones(found: Found) -> None:
    """SESSION_CACHE_ALIAS says which alias the sessions are in."""
    caches = {"default": alias(SECRET_ID="a"), "sessions": alias("b", SECRET_ID="a", MAX_TTL=2000000)}

    assert [] == found(caches, SESSION_ENGINE=CACHE_SESSIONS, SESSION_CACHE_ALIAS="sessions")
    assert ["W002"] == ids(found(caches, SESSION_CACHE_ALIAS="default"))


@table(
    ("options", "expected"),
    [
        ({"SIGN": False}, ["W003"]),
        ({"SERIALIZER": "pickle", "SIGN": False}, ["W003"]),
        ({"SERIALIZER": "django.core.signing.JSONSerializer", "SIGN": False}, ["W003"]),
        ({"SERIALIZER": "django.core.signing.JSONSerializer"}, []),
        ({"SERIALIZER": "json", "SIGN": False}, []),
        ({"SERIALIZER": "msgpack"}, []),
        ({"SIGN": False, "ENCRYPTION_KEY": "AAAAAAAAAAAAAAAAAAAAAA=="}, []),
    ],
)
def test_pickles_that_anybody_can_write_are_remarked(
    found: Found, options: dict[str, Any], expected: list[str]
) -> None:
    """A signature keeps forged ones out, and so does encryption."""
    remarks = found({"pages": alias(SECRET_ID="a", **options)})

    assert expected == ids(remarks)
    for message in remarks:
        assert "CACHES['pages']" in message.msg
        assert "may run code in this site" in message.msg
        assert "Leave SIGN out" in str(message.hint)


def test_sessions_in_a_cache_that_fails_open_are_remarked(found: Found) -> None:
    """Django would try 10,000 session keys; an alias of their own helps, as does ``cached_db``."""
    pages = alias(SECRET_ID="a", IGNORE_EXCEPTIONS=True)
    sessions = alias(SECRET_ID="a", key_prefix="sessions")
    caches = {"default": pages, "sessions": sessions}
    others = {"SESSION_ENGINE": CACHE_SESSIONS, "SESSION_COOKIE_AGE": 3600}
    (message,) = found(caches, **others)

    assert "django_momento.W004" == message.id
    assert "CACHES['default'], which has IGNORE_EXCEPTIONS" in message.msg
    assert "SESSION_CACHE_ALIAS" in str(message.hint)
    assert [] == found(caches, SESSION_CACHE_ALIAS="sessions")
    assert [] == found(caches, SESSION_ENGINE=CACHED_DB_SESSIONS, SESSION_CACHE_ALIAS="default")


@table(
    ("other", "expected"),
    [
        ({}, ["W005"]),
        ({"CLIENT_TIMEOUT": 5, "IGNORE_EXCEPTIONS": True, "timeout": 5}, ["W005"]),
        ({"SERIALIZER": "json"}, ["W005"]),
        ({"location": "other"}, []),
        ({"key_prefix": "other"}, []),
        ({"key_prefix": ["other"]}, []),
        ({"version": {"any": "object"}}, []),
        ({"version": 2}, []),
        ({"CLEAR": "prefix"}, []),
        ({"key_function": "tests.kit.checking.alias"}, []),
        ({"REGION": "eu-west-1"}, []),
        ({"SECRET_ID": "other"}, []),
    ],
)
def test_aliases_with_the_same_keys_are_remarked(
    found: Found, other: dict[str, Any], expected: list[str]
) -> None:
    """What one stores the other reads, which is seldom meant where there are two."""
    second = {"SECRET_ID": "a", **other}
    remarks = found({"one": alias(SECRET_ID="a"), "two": alias(second.pop("location", "my-cache"), **second)})

    assert expected == ids(remarks)
    for message in remarks:
        assert "CACHES['one'] and CACHES['two']" in message.msg
        assert "KEY_PREFIX" in str(message.hint)


@table(
    ("options", "expected", "message", "hint"),
    [
        (
            {"CREDENTIALS": "env", "ENDPOINT": "127.0.0.1:8080"},
            ["I001", "W008"],
            "CACHES['pages']['OPTIONS']['ENDPOINT'] is '127.0.0.1:8080'",
            "without a port",
        ),
        ({"CREDENTIALS": "local"}, ["W009"], "CACHES['pages'] has CREDENTIALS 'local'", "Give SECRET_ID"),
        (
            {"CREDENTIALS": "local", "ENDPOINT": "127.0.0.1:8080"},
            ["W009"],
            "by momento_local, which loses everything",
            "Give SECRET_ID",
        ),
        ({"CREDENTIALS": "embedded"}, ["W009"], "kept inside each process", "Give SECRET_ID"),
    ],
    afresh=True,
)
def test_what_is_for_development_is_remarked_before_a_deployment(
    found: Found,
    options: dict[str, Any],
    expected: list[str],
    message: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With --deploy, and only then."""
    monkeypatch.setenv("MOMENTO_API_KEY", "any")
    caches = {"pages": alias(**options)}
    remarks = found(caches, deploy=True)

    assert expected == ids(remarks)
    (remark,) = [remark for remark in remarks if remark.level == WARNING]
    assert message in remark.msg
    assert hint in str(remark.hint)
    assert [] == found(caches)


@table("value", [None, "", " "], afresh=True)
def test_a_missing_variable_is_remarked_before_a_deployment(
    found: Found, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """The message names the variable. Without --deploy nothing is said: a build has no key."""
    monkeypatch.setenv("OUR_KEY", "any")
    if value is None:
        monkeypatch.delenv("OUR_KEY")
    else:
        monkeypatch.setenv("OUR_KEY", value)
    caches = {"pages": alias(CREDENTIALS="env", API_KEY_VARIABLE="OUR_KEY", IGNORE_EXCEPTIONS=True)}
    (message,) = found(caches, deploy=True)

    assert "django_momento.W011" == message.id
    assert "CACHES['pages']" in message.msg
    assert "OUR_KEY" in message.msg
    assert [] == found(caches)
    monkeypatch.setenv("OUR_KEY", "a key")
    assert [] == found(caches, deploy=True)


def test_a_missing_key_file_is_remarked_before_a_deployment(found: Found, tmp_path: Path) -> None:
    """The message names the file."""
    caches = {"pages": alias(CREDENTIALS="file", API_KEY_FILE=str(tmp_path / "key"), IGNORE_EXCEPTIONS=True)}
    (message,) = found(caches, deploy=True)

    assert "django_momento.W011" == message.id
    assert str(tmp_path / "key") in message.msg
    assert [] == found(caches)
    (tmp_path / "key").touch()
    assert "which is empty" in found(caches, deploy=True)[0].msg
    (tmp_path / "key").write_text("a key")
    assert [] == found(caches, deploy=True)
    folder = {"pages": alias(CREDENTIALS="file", API_KEY_FILE=str(tmp_path), IGNORE_EXCEPTIONS=True)}
    assert "which is a folder" in found(folder, deploy=True)[0].msg


@table(
    ("name", "hint"),
    [
        ("DJANGO_REDIS_IGNORE_EXCEPTIONS", "Set IGNORE_EXCEPTIONS in OPTIONS"),
        ("DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS", "Set LOG_IGNORED_EXCEPTIONS in OPTIONS"),
        ("DJANGO_REDIS_LOGGER", "'django_momento' in LOGGING"),
        ("DJANGO_REDIS_SCAN_ITERSIZE", "Remove the setting"),
    ],
    afresh=True,
)
def test_a_setting_of_django_redis_without_effect_is_remarked(found: Found, name: str, hint: str) -> None:
    """Unless an alias still uses django-redis."""
    caches = {"pages": alias(SECRET_ID="a")}
    (message,) = found(caches, **{name: True})

    assert "django_momento.W012" == message.id
    assert message.msg.startswith(f"{name} has no effect")
    assert hint in str(message.hint)
    redis = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1"}
    assert [] == found({**caches, "redis": redis}, **{name: True})
    assert [] == found({}, **{name: True})


def test_pages_of_a_loud_cache_are_explained_before_a_deployment(found: Found) -> None:
    """As information: the site may want it so."""
    (message,) = found({"pages": alias(SECRET_ID="a")}, deploy=True)

    assert ("django_momento.I001", False) == (message.id, message.is_serious())
    assert "CACHES['pages'] raises LimitExceeded" in message.msg
    assert "IGNORE_EXCEPTIONS" in str(message.hint)
    assert [] == found({"pages": alias(SECRET_ID="a", IGNORE_EXCEPTIONS=True)}, deploy=True)
