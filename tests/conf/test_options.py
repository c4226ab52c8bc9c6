"""CACHES parsed: what each option takes, and that every mistake is named where it was made."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from django_momento.conf.loading import parse
from django_momento.conf.options import OPTIONS, CacheOptions, ConnectionOptions
from django_momento.endpoint import Endpoint
from django_momento.exceptions import ConfigurationError
from django_momento.redaction import SecretStr
from tests.kit.parsing import SOURCES, parsed, refusal
from tests.kit.tables import table

HERE = __file__
NOT_TEXT = ["", None, 1, True, b"text", ["text"]]
NOT_SECONDS: list[Any] = [0, -1, -0.5, True, None, "60", Decimal(60), [60], 10**9 + 1, 10**400]
NOT_SECONDS += [float("nan"), float("inf"), timedelta(0), timedelta(days=-1)]
ZERO_OR_SECONDS = [(0, 0.0), (0.0, 0.0), (timedelta(0), 0.0), (0.5, 0.5), (60, 60.0)]
NOT_ZERO_OR_SECONDS = [each for each in NOT_SECONDS if each not in (0, timedelta(0))]
NOT_FLAGS = [0, 1, None, "true", ""]

# For each option: given and parsed, and what is refused.
TABLE: dict[str, tuple[list[tuple[Any, Any]], list[Any]]] = {
    "CREDENTIALS": (
        [("env", "env"), ("local", "local"), ("mysite.keys.current", "mysite.keys.current"), ("a.b", "a.b")],
        ["", "vault", "ENV", None, 1, ["env"], {}, "a.", ".b", "a..b", "a.b-c", "a.1b", "a/b.c", "a.b()"],
    ),
    "SECRET_ID": ([("a/b", "a/b"), ("arn:aws:x", "arn:aws:x")], NOT_TEXT),
    "SECRET_VERSION_STAGE": ([("AWSPREVIOUS", "AWSPREVIOUS")], NOT_TEXT),
    "REGION": ([("eu-west-1", "eu-west-1")], NOT_TEXT),
    "SECRET_ROLE": ([("arn:aws:iam::1:role/a", "arn:aws:iam::1:role/a")], NOT_TEXT),
    "AGENT_FALLBACK": ([(True, True), (False, False)], NOT_FLAGS),
    "API_KEY_VARIABLE": ([("KEY", "KEY")], NOT_TEXT),
    "ENDPOINT_VARIABLE": ([("CELL", "CELL")], NOT_TEXT),
    "API_KEY_FILE": (
        [("/no/such/file", Path("/no/such/file")), (Path(HERE), Path(HERE)), ("key.txt", Path("key.txt"))],
        ["", None, 1, b"/run/key", ["/run/key"], "nul\0byte"],
    ),
    "ENDPOINT": (
        [
            ("cell.example", Endpoint("cell.example")),
            ("https://cell.example", Endpoint("cell.example")),
            ("[::1]:8080", Endpoint("::1", 8080)),
            ("https://momento:8443", Endpoint("momento", 8443, secure=True)),
        ],
        [*NOT_TEXT, "cell.example:80", "http://cell.example", "cache.cell.example", "127.0.0.1"],
    ),
    "CONFIGURATION": (
        [(name, name) for name in ("auto", "in-region", "low-latency", "lambda", "laptop")],
        ["", "Lambda", None, 1],
    ),
    "CLIENT_TIMEOUT": ([(1, 1.0), (0.5, 0.5), (Fraction(1, 2), 0.5)], NOT_SECONDS),
    "CONNECT_TIMEOUT": ([(1, 1.0), (0.5, 0.5), (Fraction(1, 2), 0.5)], NOT_SECONDS),
    "ROOT_CERTIFICATES": (
        [(HERE, Path(HERE)), (Path(HERE), Path(HERE))],
        ["", None, 1, "/no/such/file", str(Path(HERE).parent), "a" * 5000, "nul\0byte", Path()],
    ),
    "READ_CONCERN": ([("balanced", "balanced"), ("consistent", "consistent")], ["", "express", None]),
    "MAX_TTL": ([(60, 60.0), (0.001, 0.001), (10**9, 1e9), (timedelta(days=1), 86400.0)], NOT_SECONDS),
    "TTL_JITTER": (
        [(0, 0.0), (0.25, 0.25), (1, 1.0), (Fraction(1, 4), 0.25)],
        [-0.1, 1.1, float("nan"), True, None, "0.1", Decimal("0.1"), timedelta(seconds=1)],
    ),
    "SERIALIZER": (
        [(name, name) for name in ("pickle", "json", "msgpack", "mysite.serializers.Cbor")],
        ["", "yaml", None, int, "mysite.serializers.", "ENV"],
    ),
    "SIGN": ([(True, True), (False, False)], NOT_FLAGS),
    "ENCRYPTION_KEY": (
        [(keys, SecretStr(keys)) for keys in ("secret", "A" * 22, f"{'A' * 43}=, {'-_' * 11}")],
        ["", None, 1, b"A" * 22, ["A" * 22], "Secret", "hunter2", "A" * 22 + ",hunter2", "A" * 22 + ","],
    ),
    "COMPRESSOR": (
        [(name, name) for name in ("zlib", "gzip", "lzma", "zstd", "lz4")],
        ["", "ZLIB", "brotli", "mysite.compressors.Brotli", None, True],
    ),
    "COMPRESS_MIN_LENGTH": ([(0, 0), (1024, 1024)], [-1, 1.5, None, "1024", True]),
    "IGNORE_EXCEPTIONS": ([(True, True), (False, False)], NOT_FLAGS),
    "LOG_IGNORED_EXCEPTIONS": ([(True, True), (False, False)], NOT_FLAGS),
    "TAG_SECONDS": ([(0, 0.0), (0.5, 0.5), (60, 60.0)], [None, "1", -1, True, float("nan"), 10**9 + 1]),
    "CLEAR": ([("cache", "cache"), ("prefix", "prefix")], ["", "Prefix", "all", None, True]),
    "NEAR_SECONDS": (ZERO_OR_SECONDS, NOT_ZERO_OR_SECONDS),
    "NEAR_BYTES": ([(0, 0), (2**25, 2**25)], [-1, 1.5, None, "1024", True]),
    "STALE_IF_ERROR": (ZERO_OR_SECONDS, NOT_ZERO_OR_SECONDS),
    "SINGLE_FLIGHT": ([(True, True), (False, False)], NOT_FLAGS),
    "KEY_GROUP": ([("mysite.meter.group", "mysite.meter.group")], [*NOT_TEXT, "group", "mysite.", "a b.c"]),
    "OBSERVERS": (
        [
            ("a.b", ("a.b",)),
            ("a.b, c.d", ("a.b", "c.d")),
            (["a.b", "c.d"], ("a.b", "c.d")),
            (("a.b",), ("a.b",)),
            ([], ()),
        ],
        ["", "a", "a.b,", "a.b;c.d", None, 1, True, b"a.b", [1], ["a.b,c.d"], {"a.b": 1}],
    ),
}


def base_for(name: str) -> dict[str, Any]:
    """The least OPTIONS in which an option has a meaning."""
    return SOURCES[next(iter(OPTIONS[name].sources), "env")]


def value_of(options: CacheOptions, name: str) -> Any:
    field = name.lower()
    return getattr(options.connection if hasattr(options.connection, field) else options, field)


def test_the_table_of_these_tests_has_every_option() -> None:
    """A new option must come with what it takes and what it refuses, and with a field to be kept in."""
    kept = {field.name.upper() for kind in (CacheOptions, ConnectionOptions) for field in fields(kind)}

    assert set(TABLE) == set(OPTIONS)
    assert set(OPTIONS) == kept - {"ALIAS", "CACHE_NAME", "CONNECTION", "EXTRA"}


@table(
    ("name", "given", "expected"),
    [(name, given, expected) for name, (taken, _) in TABLE.items() for given, expected in taken],
)
def test_an_option_takes_its_values(name: str, given: object, expected: object) -> None:
    """Each option takes what the documentation allows and keeps it in one type."""
    actual = value_of(parsed(**base_for(name) | {name: given}), name)

    assert (expected, type(expected)) == (actual, type(actual))


@table(("name", "given"), [(name, given) for name, (_, refused) in TABLE.items() for given in refused])
def test_a_wrong_value_is_refused_with_all_that_mends_it(name: str, given: object) -> None:
    """The message names the alias, the option, what was given and what is allowed."""
    message = refusal({"OPTIONS": base_for(name) | {name: given}})

    shown = "not usable" if OPTIONS[name].type.secret else repr(given)
    assert f"CACHES['pages']['OPTIONS']['{name}'] is {shown}" in message
    assert f"Allowed: {OPTIONS[name].type.allowed}." in message


@table(
    ("name", "given", "reason"),
    [
        ("ENDPOINT", "cell.example:80", ": it names a port, which means plaintext"),
        ("ROOT_CERTIFICATES", "/no/such/file", ": it names no file."),
        ("ROOT_CERTIFICATES", "a" * 5000, ": it names no file."),
        ("MAX_TTL", 0, "is 0. Allowed"),
    ],
)
def test_a_reason_is_part_of_the_sentence(name: str, given: object, reason: str) -> None:
    """Where a value is refused for more than its type, the sentence says for what."""
    assert reason in refusal({"OPTIONS": base_for(name) | {name: given}})


def test_the_defaults_are_those_of_the_documentation() -> None:
    """With nothing but a secret's name, everything else is as the option table says."""
    connection = ConnectionOptions(
        credentials="secretsmanager",
        secret_id="momento",
        secret_version_stage="AWSCURRENT",
        region=None,
        agent_fallback=False,
        api_key_variable="MOMENTO_API_KEY",
        endpoint_variable="MOMENTO_ENDPOINT",
        api_key_file=None,
        endpoint=None,
        configuration="auto",
        client_timeout=None,
        connect_timeout=5.0,
        root_certificates=None,
        read_concern="balanced",
    )
    expected = CacheOptions(
        alias="default",
        cache_name="my-cache",
        connection=connection,
        max_ttl=86400.0,
        serializer="pickle",
        sign=True,
        encryption_key=None,
        compressor=None,
        compress_min_length=1024,
        ignore_exceptions=False,
        log_ignored_exceptions=True,
    )

    assert expected == parsed(SECRET_ID="momento")


@table(
    ("given", "sign"),
    [
        ({"SERIALIZER": "pickle"}, True),
        ({"SERIALIZER": "json"}, False),
        ({"SERIALIZER": "pickle", "SIGN": False}, False),
        ({"SERIALIZER": "json", "SIGN": True}, True),
        ({"SERIALIZER": "msgpack"}, True),
        ({"SERIALIZER": "msgpack", "SIGN": False}, False),
        ({"SERIALIZER": "mysite.serializers.Cbor"}, True),
        ({"SERIALIZER": "mysite.serializers.Cbor", "SIGN": False}, False),
        ({"ENCRYPTION_KEY": "A" * 22}, False),
        ({"ENCRYPTION_KEY": "secret", "SERIALIZER": "mysite.serializers.Cbor"}, False),
        ({"ENCRYPTION_KEY": "secret", "SIGN": True}, True),
    ],
)
def test_all_but_json_is_signed_unless_told_otherwise(given: dict[str, Any], sign: bool) -> None:
    """Reading what anybody may have written is never a default; what is encrypted nobody else wrote."""
    assert sign is parsed(CREDENTIALS="env", **given).sign


def test_aliases_with_equal_connections_can_share_a_client() -> None:
    """Connection options are the key of the process-wide clients: equal ones are one key, others are not."""
    one = parse("one", "a", {"OPTIONS": {"CREDENTIALS": "env", "CLIENT_TIMEOUT": 2, "SERIALIZER": "json"}})
    two = parse("two", "b", {"OPTIONS": {"CREDENTIALS": "env", "CLIENT_TIMEOUT": 2.0, "MAX_TTL": 60}})
    other = parsed(CREDENTIALS="env", CLIENT_TIMEOUT=3)

    assert one.connection == two.connection
    assert 2 == len({one.connection, two.connection, other.connection})


@table("options", [None, [], "SECRET_ID=momento", 1, [("SECRET_ID", "momento")]])
def test_options_that_are_no_dict_are_refused(options: object) -> None:
    """A wrong type is named as such, and not met later as an AttributeError."""
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "my-cache", {"OPTIONS": options})

    assert f"CACHES['pages']['OPTIONS'] must be a dict, not {options!r}." == str(refused.value)


@table(
    ("name", "fix"),
    [
        ("SECRETID", "Did you mean 'SECRET_ID'?"),
        ("secret_id", "Did you mean 'SECRET_ID'?"),
        ("Secret-Id", "Did you mean 'SECRET_ID'?"),
        ("REGON", "Did you mean 'REGION'?"),
        ("API_KEY", "Did you mean 'API_KEY_FILE'?"),
        ("TTL", "Did you mean 'MAX_TTL'?"),
        ("XYZ", f"Valid are: {', '.join(OPTIONS)}."),
        (7, f"Valid are: {', '.join(OPTIONS)}."),
        ("TIMEOUT", "TIMEOUT belongs beside OPTIONS."),
        ("key_prefix", "KEY_PREFIX belongs beside OPTIONS."),
        ("LOCATION", "LOCATION belongs beside OPTIONS."),
        ("MAX_ENTRIES", "Momento evicts by itself; leave it out."),
        ("CULL_FREQUENCY", "Momento evicts by itself; leave it out."),
    ],
)
def test_an_unknown_option_names_the_nearest_valid_one(name: Any, fix: str) -> None:
    """A typo, a wrong case and a setting of the other level each name what was meant."""
    message = refusal({"OPTIONS": SOURCES["env"] | {name: "value"}})

    assert f"CACHES['pages']['OPTIONS'] has an unknown setting {name!r}. {fix}" == message


@table(
    ("name", "fix"),
    [
        ("TIMOUT", "Did you mean 'TIMEOUT'?"),
        ("timeout", "Did you mean 'TIMEOUT'?"),
        ("KEYPREFIX", "Did you mean 'KEY_PREFIX'?"),
        ("XYZ", "Valid are: TIMEOUT, KEY_PREFIX, VERSION, KEY_FUNCTION, OPTIONS."),
        ("SECRET_ID", "SECRET_ID belongs in OPTIONS."),
        ("region", "REGION belongs in OPTIONS."),
        ("MAX_ENTRIES", "Momento evicts by itself; leave it out."),
        ("CULL_FREQUENCY", "Momento evicts by itself; leave it out."),
    ],
)
def test_an_unknown_setting_beside_options_is_refused(name: str, fix: str) -> None:
    """Django ignores what it does not know there; a typo in TIMEOUT must not go unnoticed."""
    message = refusal({"OPTIONS": SOURCES["env"], name: "value"})

    assert f"CACHES['pages'] has an unknown setting {name!r}. {fix}" == message


@table("given", ["hunter2", "hunter2!" * 4, b"hunter2", ["hunter2"], "A" * 22 + ",hunter2"])
def test_a_key_that_is_refused_is_not_shown(given: object) -> None:
    """A key with a typo is nearly a key: the message says what is wrong with it and no more."""
    message = refusal({"OPTIONS": SOURCES["env"] | {"ENCRYPTION_KEY": given}})

    assert "hunter2" not in message
    assert "AAAA" not in message


def test_options_show_no_key() -> None:
    """Options are in the locals of many frames, which debug pages and error trackers print."""
    assert "hunter2" not in repr(parsed(CREDENTIALS="env", ENCRYPTION_KEY="hunter2hunter2hunter2A"))


def test_an_unknown_option_shows_no_value() -> None:
    """The API key itself, put where its source belongs, must not end in a log."""
    assert "hunter2" not in refusal({"OPTIONS": {"API_KEY": "hunter2"}})


@table("timeout", ["soon", "", "1.5", [], {}, object, float("nan"), float("inf")])
def test_a_timeout_that_is_no_number_is_refused(timeout: object) -> None:
    """Django would make it 300 seconds without a word."""
    message = refusal({"OPTIONS": SOURCES["env"], "TIMEOUT": timeout})

    assert f"CACHES['pages']['TIMEOUT'] is {timeout!r}." in message


@table("timeout", [None, 0, -1, 300, 1.5, "300", timedelta(minutes=5)])
def test_a_timeout_that_django_takes_is_taken(timeout: object) -> None:
    """What Django's other backends accept is accepted."""
    assert parse("pages", "my-cache", {"OPTIONS": SOURCES["env"], "TIMEOUT": timeout})
