"""The system checks, run by Django's own framework: what is an error, and that it says enough to mend it."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError

from django_momento.conf.options import OPTIONS
from tests.kit.aws import KEYS, shown_of
from tests.kit.checking import BACKEND, Found, alias, ids, messages
from tests.kit.tables import table


@pytest.fixture
def found(settings: Any) -> Found:
    """What the checks say of some CACHES; see ``messages``."""
    return partial(messages, settings)


@table(
    "options",
    [
        {"SECRET_ID": "momento", "REGION": "eu-west-1"},
        {"CREDENTIALS": "agent", "SECRET_ID": "momento"},
        {"CREDENTIALS": "env"},
        {"CREDENTIALS": "file", "API_KEY_FILE": __file__},
        {"SECRET_ID": "momento", "ENDPOINT": "cell.example", "IGNORE_EXCEPTIONS": True, "MAX_TTL": 600},
        {"SECRET_ID": "momento", "SERIALIZER": "json", "SIGN": False},
        {"CREDENTIALS": "tests.kit.checking.alias"},
    ],
    afresh=True,
)
def test_a_site_that_is_ready_for_production_hears_nothing(
    found: Found, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that always has something to say is one that nobody reads. What raises is information only."""
    monkeypatch.setenv("MOMENTO_API_KEY", "any")
    caches = {"pages": alias(**options)}

    assert [] == found(caches)
    assert ([] if "IGNORE_EXCEPTIONS" in options else ["I001"]) == ids(found(caches, deploy=True))
    assert [] == found(caches, deploy=True, SILENCED_SYSTEM_CHECKS=["django_momento.I001"])


def test_a_site_without_momento_hears_nothing(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another backend's settings, and gRPC's, are none of this package's business."""
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
    others = {"file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/a"}}

    assert [] == found(others, deploy=True, SESSION_ENGINE="django.contrib.sessions.backends.cache")


# For each option a mistake that is typical of it; the id, and what the hint must say.
MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "CREDENTIALS": ({"CREDENTIALS": "vault"}, "E003", "one of 'secretsmanager', 'agent', 'env', 'file'"),
    "SECRET_ID": ({"SECRET_ID": ""}, "E003", "a string that is not empty"),
    "SECRET_VERSION_STAGE": ({"SECRET_ID": "a", "SECRET_VERSION_STAGE": 5}, "E003", "a string"),
    "REGION": ({"CREDENTIALS": "env", "REGION": "eu-west-1"}, "E002", "'secretsmanager' or 'agent'"),
    "SECRET_ROLE": ({"SECRET_ID": "a", "SECRET_ROLE": ""}, "E003", "a string that is not empty"),
    "AGENT_FALLBACK": ({"SECRET_ID": "a", "AGENT_FALLBACK": True}, "E002", "set CREDENTIALS to 'agent'"),
    "API_KEY_VARIABLE": ({"SECRET_ID": "a", "API_KEY_VARIABLE": "KEY"}, "E002", "set CREDENTIALS to 'env'"),
    "ENDPOINT_VARIABLE": ({"CREDENTIALS": "env", "ENDPOINT_VARIABLE": None}, "E003", "a string"),
    "API_KEY_FILE": ({"CREDENTIALS": "file"}, "E002", "Give API_KEY_FILE, the path of the file"),
    "ENDPOINT": ({"CREDENTIALS": "env", "ENDPOINT": "http://a.example"}, "E003", "a Momento endpoint, or"),
    "CONFIGURATION": ({"CREDENTIALS": "env", "CONFIGURATION": "fast"}, "E003", "'auto', 'in-region'"),
    "CONNECT_TIMEOUT": ({"CREDENTIALS": "env", "CONNECT_TIMEOUT": 0}, "E003", "a number of seconds"),
    "CLIENT_TIMEOUT": ({"CREDENTIALS": "env", "CLIENT_TIMEOUT": "2s"}, "E003", "a number of seconds"),
    "ROOT_CERTIFICATES": ({"CREDENTIALS": "env", "ROOT_CERTIFICATES": "/no.pem"}, "E003", "an existing file"),
    "READ_CONCERN": ({"CREDENTIALS": "env", "READ_CONCERN": "strong"}, "E003", "'balanced', 'consistent'"),
    "MAX_TTL": ({"CREDENTIALS": "env", "MAX_TTL": 0}, "E003", "a number of seconds above 0"),
    "TTL_JITTER": ({"CREDENTIALS": "env", "TTL_JITTER": 2}, "E003", "a number from 0 to 1"),
    "SERIALIZER": ({"CREDENTIALS": "env", "SERIALIZER": "yaml"}, "E003", "'pickle', 'json', 'msgpack'"),
    "SIGN": ({"CREDENTIALS": "env", "SIGN": "no"}, "E003", "True or False"),
    "ENCRYPTION_KEY": ({"CREDENTIALS": "env", "ENCRYPTION_KEY": "AAAA"}, "E003", "base64 of 16 or 32 bytes"),
    "COMPRESSOR": ({"CREDENTIALS": "env", "COMPRESSOR": "brotli"}, "E003", "'zlib', 'gzip'"),
    "COMPRESS_MIN_LENGTH": ({"CREDENTIALS": "env", "COMPRESS_MIN_LENGTH": "1k"}, "E003", "number of bytes"),
    "IGNORE_EXCEPTIONS": ({"CREDENTIALS": "env", "IGNORE_EXCEPTIONS": 1}, "E003", "True or False"),
    "LOG_IGNORED_EXCEPTIONS": ({"CREDENTIALS": "env", "LOG_IGNORED_EXCEPTIONS": None}, "E003", "True or"),
    "TAG_SECONDS": ({"CREDENTIALS": "env", "TAG_SECONDS": -1}, "E003", "a number of seconds, 0 or more"),
    "CLEAR": ({"CREDENTIALS": "env", "CLEAR": "all"}, "E003", "'cache', 'prefix'"),
    "NEAR_SECONDS": ({"CREDENTIALS": "env", "NEAR_SECONDS": -1}, "E003", "a number of seconds, 0 or more"),
    "NEAR_BYTES": ({"CREDENTIALS": "env", "NEAR_BYTES": "32M"}, "E003", "number of bytes"),
    "STALE_IF_ERROR": ({"CREDENTIALS": "env", "STALE_IF_ERROR": "5m"}, "E003", "seconds, 0 or more"),
    "SINGLE_FLIGHT": ({"CREDENTIALS": "env", "SINGLE_FLIGHT": "no"}, "E003", "True or False"),
    "KEY_GROUP": ({"CREDENTIALS": "env", "KEY_GROUP": "prefix"}, "E003", "a dotted path"),
    "OBSERVERS": ({"CREDENTIALS": "env", "OBSERVERS": "prefix"}, "E003", "dotted paths with commas"),
}


def test_every_option_has_a_mistake_in_these_tests() -> None:
    """A new option must come with what the checks say when it is wrong."""
    assert set(OPTIONS) == set(MISTAKES)


@table("option", OPTIONS, afresh=True)
def test_a_mistake_in_an_option_is_an_error_that_names_it_and_the_fix(found: Found, option: str) -> None:
    """One error, with the alias, the option and what is allowed in it."""
    options, number, hint = MISTAKES[option]
    (error,) = found({"pages": alias(**options)})

    assert (f"django_momento.{number}", True) == (error.id, error.is_serious())
    assert error.msg.startswith("CACHES['pages']['OPTIONS']")
    assert option in error.msg + str(error.hint)
    assert hint in str(error.hint)


@table("option", OPTIONS, afresh=True)
def test_the_doctor_says_of_a_mistake_what_the_check_says(found: Found, option: str) -> None:
    """Whichever of the two somebody runs, the words are the same."""
    options, _, _ = MISTAKES[option]
    (error,) = found({"pages": alias(**options)})
    output = StringIO()
    with pytest.raises(CommandError, match="1 of 1 caches failed: pages"):
        call_command("momento_check", stdout=output, no_color=True)

    assert error.msg in output.getvalue()
    assert str(error.hint) in output.getvalue()


@table(
    ("config", "number", "message", "hint"),
    [
        (
            {"BACKEND": BACKEND, "OPTIONS": {"SECRET_ID": "a"}},
            "E001",
            "['LOCATION'] must be the name of a Momento cache, not ''",
            "--create",
        ),
        (alias("", SECRET_ID="a"), "E001", "['LOCATION'] must be", "Name a cache of your Momento account"),
        (alias(), "E002", "['OPTIONS'] does not say where the Momento API key comes from", "Give SECRET_ID"),
        (alias(CREDENTIALS="agent"), "E002", "has CREDENTIALS 'agent' but no SECRET_ID", "Give SECRET_ID"),
        (
            alias(SECRET_ID="a", CREDENTIALS="env"),
            "E002",
            "['OPTIONS']['SECRET_ID'] has no meaning with CREDENTIALS 'env'",
            "Leave it out, or set CREDENTIALS to 'secretsmanager' or 'agent'.",
        ),
        (
            alias(SECRET_ID="a", API_KEY_FILE="/key"),
            "E002",
            "['OPTIONS']['API_KEY_FILE'] has no meaning with CREDENTIALS 'secretsmanager'",
            "Leave it out, or set CREDENTIALS to 'file'.",
        ),
        (
            alias(CREDENTIALS="no.such.function"),
            "E002",
            "['OPTIONS']['CREDENTIALS'] is 'no.such.function', which cannot be imported (ModuleNotFoundError",
            "Check the path",
        ),
        (
            alias(SECRET_ID="a", SERIALIZER="no.such.Serializer"),
            "E003",
            "['OPTIONS']['SERIALIZER'] is 'no.such.Serializer', which cannot be imported",
            "Check the path",
        ),
        (alias(SECRETID="a"), "E003", "unknown setting 'SECRETID'", "Did you mean 'SECRET_ID'?"),
        (alias(MAX_ENTRIES=5), "E003", "unknown setting 'MAX_ENTRIES'", "Momento evicts by itself"),
        (
            alias(timout=5, SECRET_ID="a"),
            "E003",
            "['pages'] has an unknown setting 'TIMOUT'",
            "Did you mean 'TIMEOUT'?",
        ),
        (alias(timeout="1h", SECRET_ID="a"), "E003", "['TIMEOUT'] is '1h'", "It must be a number of seconds"),
        (
            alias(key_function="no.such", SECRET_ID="a"),
            "E003",
            "No module named 'no'",
            "Check BACKEND and KEY_",
        ),
    ],
)
def test_a_mistake_beside_the_options_is_an_error(
    found: Found, config: dict[str, Any], number: str, message: str, hint: str
) -> None:
    """LOCATION and the source of the key have ids of their own; everything else that is refused has one."""
    (error,) = found({"pages": config})

    assert f"django_momento.{number}" == error.id
    assert "CACHES['pages']" in error.msg
    assert message in error.msg
    assert hint in str(error.hint)


@table("key", KEYS)
@table(
    ("setting", "config"),
    [
        ("['LOCATION']", alias),
        ("['KEY_PREFIX']", lambda key: alias(key_prefix=key, SECRET_ID="a")),
        ("['OPTIONS']['SECRET_ID']", lambda key: alias(SECRET_ID=key)),
        ("['OPTIONS']['API_KEY_VARIABLE']", lambda key: alias(CREDENTIALS="env", API_KEY_VARIABLE=key)),
        ("['OPTIONS']['ENDPOINT']", lambda key: alias(CREDENTIALS="env", ENDPOINT=key)),
        ("['OPTIONS']['API_KEY']", lambda key: alias(API_KEY=key)),
        ("['OPTIONS']", lambda key: {**alias(), "OPTIONS": [key]}),
        ("['OPTIONS']['SECRET_ID']['api_key']", lambda key: alias(SECRET_ID={"api_key": key})),
    ],
)
def test_a_key_in_the_settings_is_an_error_that_does_not_show_it(
    found: Found, setting: str, config: Any, key: str
) -> None:
    """The one mistake whose message must not repeat what was given."""
    (error,) = found({"pages": config(key)})

    assert "django_momento.E004" == error.id
    assert f"CACHES['pages']{setting}" in error.msg
    assert error.msg.endswith(" holds a Momento API key.")
    assert "Revoke it" in str(error.hint)
    assert [] == shown_of(key, str(error))


def test_all_mistakes_of_an_alias_are_reported_at_once(found: Found) -> None:
    """Each is an error of its own; nobody mends one to be told of the next."""
    config = alias("a\nb", CREDENTIALS="env", MAX_TTL=0, SIGN="no", PASSWORD="x", timeout="1h", key_prefx="a")

    errors = found({"pages": config})

    assert ["E001", *["E003"] * 5] == sorted(ids(errors))
    for name in ("MAX_TTL", "SIGN", "PASSWORD", "TIMEOUT", "KEY_PREFX"):
        assert 1 == len([error for error in errors if f"'{name}'" in error.msg])


def test_an_alias_that_is_wrong_does_not_hide_what_is_to_remark_on_others(found: Found) -> None:
    """All are looked at, whichever is refused."""
    caches = {
        "wrong": alias(SECRETID="a"),
        "pages": alias(SECRET_ID="a", SIGN=False),
        "empty": alias("", SECRET_ID="a"),
    }

    assert ["E001", "E003", "W003"] == ids(found(caches))


def test_a_missing_secret_key_is_an_error_that_names_the_alias(found: Found) -> None:
    """What is wrong outside CACHES, but keeps a cache from being made, is told as well."""
    (error,) = found({"pages": alias(SECRET_ID="a")}, SECRET_KEY="")

    assert "django_momento.E003" == error.id
    assert "CACHES['pages']: The SECRET_KEY setting must not be empty." == error.msg


def test_a_check_that_is_silenced_is_silent(found: Found) -> None:
    """The ids are stable, so that a site can say that it knows."""
    caches = {"pages": alias(SECRET_ID="a", SIGN=False)}

    assert ["W003"] == ids(found(caches))
    assert [] == found(caches, SILENCED_SYSTEM_CHECKS=["django_momento.W003"])


def check_command(**options: Any) -> str:
    output = StringIO()
    call_command("check", stdout=output, stderr=output, no_color=True, **options)
    return output.getvalue()


def test_manage_check_prints_warnings_and_passes(settings: Any) -> None:
    """Django's command runs these checks among all others."""
    settings.CACHES = {"default": alias(CREDENTIALS="embedded", timeout=None)}

    plain, deploy = check_command(), check_command(deploy=True)
    assert "?: (django_momento.W001) CACHES['default']['TIMEOUT'] is None" in plain
    assert "HINT: Set TIMEOUT to 86400 or less" in plain
    assert "W009" not in plain
    assert "?: (django_momento.W009) CACHES['default'] has CREDENTIALS 'embedded'" in deploy


@table("tags", [None, ["momento"]], afresh=True)
def test_manage_check_fails_for_an_error(settings: Any, tags: list[str] | None) -> None:
    """Among all checks, of which Django's own make every cache, and alone."""
    settings.CACHES = {"default": alias(SECRETID="a")}

    with pytest.raises(SystemCheckError) as failed:
        check_command(tags=tags)
    assert "(django_momento.E003) CACHES['default']['OPTIONS'] has an unknown" in str(failed.value)
    assert "HINT: Did you mean 'SECRET_ID'?" in str(failed.value)


IN_A_PROCESS = """
import sys

def refuse(event, args):
    if event.startswith("socket."):
        raise AssertionError(f"a check used the network: {event} {args}")

sys.addaudithook(refuse)

import django
from django.conf import settings
from django.core.checks import run_checks

settings.configure(
    SECRET_KEY="only-for-tests",
    INSTALLED_APPS=["django_momento"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    MIDDLEWARE=["django.middleware.cache.UpdateCacheMiddleware"],
    CACHE_MIDDLEWARE_ALIAS="pages",
    CACHES={
        name: {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": name, "OPTIONS": options}
        for name, options in {
            "default": {"SECRET_ID": "momento", "REGION": "eu-west-1", "SIGN": False},
            "embedded": {"CREDENTIALS": "embedded"},
            "env": {"CREDENTIALS": "env", "ENDPOINT": "127.0.0.1:8080"},
            "pages": {"SECRET_ID": "momento", "SERIALIZER": "json", "IGNORE_EXCEPTIONS": True},
            "wrong": {},
        }.items()
    },
)
django.setup()
found = run_checks(tags=["momento"], include_deployment_checks=True)
print(*sorted(message.id for message in found))
print(*sorted({"momento", "momento_wire_types", "grpc", "boto3", "botocore"} & set(sys.modules)))
"""


def test_no_check_uses_the_network_or_imports_an_sdk() -> None:
    """``manage.py`` runs them with nearly every command, also where a site is built and nothing answers."""
    ended = subprocess.run([sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, check=True)
    found, imported = ended.stdout.split("\n")[:2]

    assert [
        f"django_momento.{number}"
        for number in ("E002", "I001", "I001", "W002", "W003", "W008", "W009", "W010", "W011")
    ] == found.split()
    assert "" == imported


def test_the_checks_for_deployment_name_the_keys_that_clear_takes_along(found: Found) -> None:
    """For each alias that empties a Momento cache of several."""
    pages, sessions = alias(CREDENTIALS="env"), {**alias(CREDENTIALS="env"), "KEY_PREFIX": "s"}
    prefixed = {**alias(CREDENTIALS="env", CLEAR="prefix"), "KEY_PREFIX": "p"}
    elsewhere = {**alias(CREDENTIALS="env"), "LOCATION": "elsewhere"}
    caches = {"pages": pages, "sessions": sessions, "prefixed": prefixed, "elsewhere": elsewhere}
    infos = {each.msg for each in found(caches, deploy=True) if each.id == "django_momento.I002"}

    text = "clear() of CACHES['{}'] empties the whole Momento cache 'my-cache', and with it {}."
    assert infos == {
        text.format("pages", "CACHES['sessions'], CACHES['prefixed']"),
        text.format("sessions", "CACHES['pages'], CACHES['prefixed']"),
    }
