"""Names that OPTIONS does not have say what to write instead."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_momento.conf.foreign import FOREIGN_OPTIONS, find_nearest, foreign_replacement
from django_momento.conf.loading import parse
from django_momento.conf.options import OPTIONS
from django_momento.exceptions import ConfigurationError
from tests.kit.tables import table

# Options that sites have in CACHES, each with a word of the right replacement.
MIGRATED = {
    # django-redis
    "CLIENT_CLASS": "one client",
    "CONNECTION_POOL_CLASS": "no pool",
    "CONNECTION_POOL_KWARGS": "no pool",
    "CONNECTION_FACTORY": "no pool",
    "REDIS_CLIENT_CLASS": "one client",
    "PARSER_CLASS": "no pool",
    "PASSWORD": "SECRET_ID",
    "SOCKET_TIMEOUT": "CLIENT_TIMEOUT",
    "SOCKET_CONNECT_TIMEOUT": "TIMEOUT",
    "PICKLE_VERSION": "highest protocol",
    "SENTINELS": "one client",
    "MAX_CONNECTIONS": "no pool",
    "REVERSE_KEY_FUNCTION": "cannot list keys",
    # Django's RedisCache, which hands them to redis-py
    "db": "LOCATION",
    "pool_class": "no pool",
    "username": "SECRET_ID",
    "health_check_interval": "CONFIGURATION",
    "ssl_cert_reqs": "ROOT_CERTIFICATES",
    "retry_on_timeout": "repeated",
    # pymemcache and pylibmc
    "ignore_exc": "IGNORE_EXCEPTIONS",
    "use_pooling": "no pool",
    "max_pool_size": "no pool",
    "no_delay": "CONFIGURATION",
    "serde": "SERIALIZER",
    "tls_context": "ROOT_CERTIFICATES",
    "allow_unicode_keys": "any character",
    "default_noreply": "Leave it out",
    "behaviors": "one client",
    "dead_timeout": "repeated",
    # Django's local backends
    "MAX_ENTRIES": "evicts",
    "cull_frequency": "evicts",
}


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "my-cache", {"OPTIONS": {"CREDENTIALS": "env", **options}})
    return str(refused.value)


@table("name", MIGRATED)
def test_an_option_of_another_backend_says_what_replaces_it(name: str) -> None:
    """And never names an option that only looks like it."""
    message = refusal(**{name: "value"})

    assert MIGRATED[name] in message
    assert "Did you mean" not in message


def test_what_replaces_an_option_exists() -> None:
    """The table may name no option that this backend has not."""
    settings = {"LOCATION", "KEY_PREFIX"}
    for option in FOREIGN_OPTIONS:
        for name in re.findall(
            r"\b[A-Z]+_[A-Z_]+\b|\b(?:ENDPOINT|SERIALIZER|CREDENTIALS)\b", option.replacement
        ):
            assert name in settings | OPTIONS.keys(), option


def test_no_option_of_ours_is_in_the_table() -> None:
    """An option that this backend gets must leave the table of those it has not."""
    assert set() == {name for option in FOREIGN_OPTIONS for name in option.names} & OPTIONS.keys()


def test_all_options_of_a_django_redis_site_are_in_one_report() -> None:
    """A site moves by one reading of the error, not by one run for each option."""
    message = refusal(CLIENT_CLASS="django_redis.client.DefaultClient", PASSWORD="hunter2", SOCKET_TIMEOUT=5)

    assert "has 3 problems" in message
    assert all(name in message for name in ("'CLIENT_CLASS'", "'PASSWORD'", "'SOCKET_TIMEOUT'"))
    assert "hunter2" not in message


@table(
    ("name", "nearest"),
    [
        ("SECRETID", "SECRET_ID"),
        ("Secret-Id", "SECRET_ID"),
        (" region", "REGION"),
        ("REGOIN", "REGION"),
        ("AWS_REGION", "REGION"),
        ("CREDENTIAL", "CREDENTIALS"),
        ("ENCRYPTION", "ENCRYPTION_KEY"),
        ("ENDPOINT_URL", "ENDPOINT"),
        ("COMPRESSION", "COMPRESSOR"),
        ("COMPRESS_MIN_LENGHT", "COMPRESS_MIN_LENGTH"),
        ("IGNORE_EXCEPTION", "IGNORE_EXCEPTIONS"),
        ("TTL", "MAX_TTL"),
        ("WORD", None),
        ("ORACLE", None),
        ("MONITOR", None),
        ("CLIENTS", None),
        ("", None),
        ("_", None),
    ],
)
def test_a_misspelled_option_names_one_that_is_near_or_none(name: str, nearest: str | None) -> None:
    """A wrong hint costs more than a list of all names."""
    assert nearest == find_nearest(name, OPTIONS)


def test_a_name_that_no_backend_has_is_not_in_the_table() -> None:
    """A site's own typo is nobody's option."""
    assert foreign_replacement("SECRETID") is None


@table(
    ("option", "value", "fix"),
    [
        ("SERIALIZER", "django_redis.serializers.json.JSONSerializer", "Write 'json'."),
        ("SERIALIZER", "django_redis.serializers.pickle.PickleSerializer", "Write 'pickle'."),
        ("SERIALIZER", "django_redis.serializers.msgpack.MSGPackSerializer", "Write 'msgpack'."),
        ("COMPRESSOR", "django_redis.compressors.zlib.ZlibCompressor", "Write 'zlib'."),
        ("COMPRESSOR", "django_redis.compressors.zstd.ZStdCompressor", "Write 'zstd'."),
        ("COMPRESSOR", "django_redis.compressors.identity.IdentityCompressor", "Leave it out"),
    ],
)
def test_a_class_of_django_redis_says_which_name_replaces_it(option: str, value: str, fix: str) -> None:
    """It is a dotted path like any other, and would fail with the first value."""
    message = refusal(**{option: value})

    assert f"['OPTIONS']['{option}'] is '{value}', a class of django-redis. {fix}" in message


@table(
    ("location", "hint"),
    [
        ("127.0.0.1:11211", "the server of another cache backend"),
        ("localhost:6379", "the server of another cache backend"),
        ("memcached.example:11211;memcached2.example:11211", "the server of another cache backend"),
        ("memcached:11211", "the server of another cache backend"),
        ("redis:6379", "the server of another cache backend"),
        ("[::1]:11211", "the server of another cache backend"),
        ("unix:/tmp/memcached.sock", "the server of another cache backend"),
        ("/var/tmp/django_cache", "the server of another cache backend"),
        ("C:\\cache", "the server of another cache backend"),
        ("cell-us-west-2-1.prod.a.momentohq.com", "Momento's endpoint"),
    ],
)
def test_the_location_of_another_backend_is_refused(location: str, hint: str) -> None:
    """Momento would say that there is no such cache."""
    with pytest.raises(ConfigurationError, match=r"\['LOCATION'\] is ") as refused:
        parse("pages", location, {"OPTIONS": {"CREDENTIALS": "env"}})

    assert hint in str(refused.value)
    assert "LOCATION" == refused.value.category


@table("location", ["a:b", "shop:1", "shop.v2:1", "v1.2", "cache:8080", "team/shop"])
def test_a_name_that_only_looks_like_a_server_is_taken(location: str) -> None:
    """A cache may have any name."""
    assert location == parse("pages", location, {"OPTIONS": {"CREDENTIALS": "env"}}).cache_name
