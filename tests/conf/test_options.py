"""CACHES parsed: what each option takes, and that every mistake is named where it was made."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from django_momento.conf.loading import parse
from django_momento.conf.options import CALLABLE, OPTIONS, CacheOptions, ConnectionOptions
from django_momento.endpoint import Endpoint
from django_momento.exceptions import ConfigurationError
from django_momento.redaction import SecretStr
from tests.kit.tables import table

HERE = __file__
SOURCES: dict[str, dict[str, Any]] = {
    "secretsmanager": {"SECRET_ID": "momento"},
    "agent": {"CREDENTIALS": "agent", "SECRET_ID": "momento"},
    "env": {"CREDENTIALS": "env"},
    "file": {"CREDENTIALS": "file", "API_KEY_FILE": "/run/secrets/momento"},
    CALLABLE: {"CREDENTIALS": "mysite.keys.current"},
    "local": {"CREDENTIALS": "local"},
    "embedded": {"CREDENTIALS": "embedded"},
}
NOT_TEXT = ["", None, 1, True, b"text", ["text"]]
NOT_SECONDS = [0, -1, -0.5, True, None, "60", Decimal(60), [60], 10**9 + 1, 10**400]
NOT_SECONDS += [float("nan"), float("inf")]
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
    "MAX_TTL": ([(60, 60.0), (0.001, 0.001), (10**9, 1e9)], NOT_SECONDS),
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


def parsed(**given: Any) -> CacheOptions:
    return parse("default", "my-cache", {"OPTIONS": given})


def value_of(options: CacheOptions, name: str) -> Any:
    field = name.lower()
    return getattr(options.connection if hasattr(options.connection, field) else options, field)


def refusal(params: object, location: object = "my-cache", alias: str = "pages") -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse(alias, location, params)  # type: ignore[arg-type]
    assert refused.value.fix
    return str(refused.value)


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


@table("source", SOURCES)
def test_the_least_a_source_needs_is_enough(source: str) -> None:
    """Each credential source works with its one line of OPTIONS."""
    expected = SOURCES[source].get("CREDENTIALS", "secretsmanager")

    assert expected == parsed(**SOURCES[source]).connection.credentials


@table("given", [{}, {"REGION": "eu-west-1"}, {"ENDPOINT": "cell.example"}])
def test_options_without_a_source_of_the_key_are_refused(given: dict[str, Any]) -> None:
    """Nothing guesses where the key is; the message offers every way to say it."""
    message = refusal({"OPTIONS": given})

    assert "CACHES['pages']['OPTIONS'] does not say where the Momento API key comes from." in message
    assert "SECRET_ID" in message
    assert "CREDENTIALS: 'agent', 'env', 'file', 'local', 'embedded', or the dotted path of a" in message


def test_a_site_without_options_is_told_what_is_missing() -> None:
    """The first try of a new user often has no OPTIONS at all."""
    assert "SECRET_ID" in refusal({})


@table(
    ("source", "name"), [("secretsmanager", "SECRET_ID"), ("agent", "SECRET_ID"), ("file", "API_KEY_FILE")]
)
def test_a_source_without_what_it_needs_is_refused(source: str, name: str) -> None:
    """The source alone does not say which secret, or which file."""
    message = refusal({"OPTIONS": {"CREDENTIALS": source}})

    assert f"CREDENTIALS {source!r} but no {name}. Give {name}, " in message


@table(
    ("source", "name"),
    [
        (source, option.name)
        for source in SOURCES
        for option in OPTIONS.values()
        if option.sources and source not in option.sources
    ],
)
def test_an_option_of_another_source_is_refused(source: str, name: str) -> None:
    """An option that would be ignored is a misunderstanding, and better said than kept."""
    given = {"ENDPOINT": "127.0.0.1:8080", "AGENT_FALLBACK": True}.get(name, "value")
    message = refusal({"OPTIONS": {"CREDENTIALS": source, **SOURCES[source], name: given}})

    credentials = SOURCES[source].get("CREDENTIALS", source)
    others = [other if other == CALLABLE else repr(other) for other in OPTIONS[name].sources]
    assert f"CACHES['pages']['OPTIONS']['{name}'] has no meaning with CREDENTIALS '{credentials}'" in message
    assert f"set CREDENTIALS to {' or '.join(others)}." in message


def test_momento_local_needs_a_port() -> None:
    """A cell's endpoint is not where momento-local listens."""
    message = refusal({"OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": "cell.example"}})

    assert "CACHES['pages']['OPTIONS']['ENDPOINT'] is 'cell.example', without a port." in message
    assert "'127.0.0.1:8080'" in message


def test_aliases_with_equal_connections_can_share_a_client() -> None:
    """Connection options are the key of the process-wide clients: equal ones are one key, others are not."""
    one = parse("one", "a", {"OPTIONS": {"CREDENTIALS": "env", "CLIENT_TIMEOUT": 2, "SERIALIZER": "json"}})
    two = parse("two", "b", {"OPTIONS": {"CREDENTIALS": "env", "CLIENT_TIMEOUT": 2.0, "MAX_TTL": 60}})
    other = parsed(CREDENTIALS="env", CLIENT_TIMEOUT=3)

    assert one.connection == two.connection
    assert 2 == len({one.connection, two.connection, other.connection})


@table("location", ["", " ", None, 1, b"my-cache", ["a", "b"], ("a",), {}])
def test_a_location_that_names_no_cache_is_refused(location: object) -> None:
    """LOCATION is one Momento cache; Django answers an empty string where there is none."""
    message = refusal({"OPTIONS": SOURCES["env"]}, location)

    assert f"CACHES['pages']['LOCATION'] must be the name of a Momento cache, not {location!r}." in message


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


@table("timeout", [None, 0, -1, 300, 1.5, "300"])
def test_a_timeout_that_django_takes_is_taken(timeout: object) -> None:
    """What Django's other backends accept is accepted."""
    assert parse("pages", "my-cache", {"OPTIONS": SOURCES["env"], "TIMEOUT": timeout})


@table(
    ("location", "hint"),
    [
        ("my-cache\n", "printable ASCII"),
        ("my\rcache", "printable ASCII"),
        ("my\x00cache", "printable ASCII"),
        ("my\x1bcache", "printable ASCII"),
        ("größe", "printable ASCII"),
        ("my\u2028cache", "printable ASCII"),
        ("my\ud800cache", "printable ASCII"),
        (" my-cache", "Write 'my-cache'."),
        ("my-cache ", "Write 'my-cache'."),
        ("'my-cache'", "Write 'my-cache'."),
        ('"my-cache"', "Write 'my-cache'."),
        ("redis://127.0.0.1:6379/1", "a URL: Momento's caches have plain names."),
        ("rediss://user:password@cache.example:6379", "another cache backend"),
        ("https://cell.example", "a URL"),
        ("momento://my-cache?credentials=env", "django_momento.env.Env().cache_url()"),
        ("momento-local://127.0.0.1:8080/my-cache", "django_momento.env.Env().cache_url()"),
    ],
)
def test_a_location_that_no_cache_can_have_is_refused(location: str, hint: str) -> None:
    """gRPC would say "invalid metadata" of it, or Momento that there is no such cache."""
    message = refusal({"OPTIONS": SOURCES["env"]}, location)

    assert message.startswith("CACHES['pages']['LOCATION'] is ")
    assert hint in message
    assert message.isascii()
    assert message.isprintable()


def test_a_password_in_a_location_is_not_shown() -> None:
    """A URL of Redis may hold one."""
    assert "hunter2" not in refusal({"OPTIONS": SOURCES["env"]}, "redis://:hunter2@127.0.0.1:6379/1")


@table("location", ["my-cache", "My_Cache.2", "a b", "a/b", "a:b", "a" * 255, "127.0.0.1"])
def test_a_location_of_printable_ascii_is_taken(location: str) -> None:
    """Momento decides whether there is such a cache."""
    assert location == parse("pages", location, {"OPTIONS": SOURCES["env"]}).cache_name


def test_all_problems_of_an_alias_are_in_one_report() -> None:
    """Nobody mends one to be told of the next."""
    options = {"CREDENTIALS": "env", "REGION": "eu-west-1", "SIGN": "no", "MAX_TTL": 0, "CLIENT_CLASS": "x"}
    params = {"OPTIONS": options, "TIMEOUT": "1h", "KEYPREFIX": "a"}

    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a\nb", params)

    mistakes = ("['LOCATION']", "'KEYPREFIX'", "'CLIENT_CLASS'", "['TIMEOUT']", "'SIGN'", "'MAX_TTL'")
    for mistake in mistakes:
        assert 1 == len([problem for problem in refused.value.problems if mistake in problem.cause])
    assert 6 == len(refused.value.problems)
    assert "CACHES['pages'] has 6 problems:\n1. CACHES['pages']['LOCATION'] is 'a" in refused.value.cause
    assert all(str(problem) in str(refused.value) for problem in refused.value.problems)


def test_problems_of_options_together_are_in_one_report_too() -> None:
    """Options that are right one by one, and have no meaning together."""
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a", {"OPTIONS": {"CREDENTIALS": "file", "SECRET_ID": "a", "REGION": "b"}})

    assert [
        "CACHES['pages']['OPTIONS'] has CREDENTIALS 'file' but no API_KEY_FILE.",
        "CACHES['pages']['OPTIONS']['SECRET_ID'] has no meaning with CREDENTIALS 'file'.",
        "CACHES['pages']['OPTIONS']['REGION'] has no meaning with CREDENTIALS 'file'.",
    ] == [problem.cause for problem in refused.value.problems]


def test_one_problem_is_its_own_report() -> None:
    """A list of one would only be longer."""
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a", {"OPTIONS": {"CREDENTIALS": "env", "MAX_TTL": 0}})

    assert (refused.value,) == refused.value.problems


@table("certificates", [{}, {"ROOT_CERTIFICATES": HERE}])
@table("host", ["momento", "10.0.0.1", "[fe80::1]", "127.0.0.1", "0.0.0.0", "localhost"])
def test_a_local_server_may_be_on_any_host(host: str, certificates: dict[str, str]) -> None:
    """No key goes there. With certificates to trust, TLS serves the port."""
    options = parsed(CREDENTIALS="local", ENDPOINT=f"{host}:8080", **certificates)

    assert options.connection.endpoint is not None
    assert bool(certificates) is not options.connection.endpoint.is_plaintext
    assert str(options.connection.endpoint) == f"{'https://' if certificates else ''}{host}:8080"


@table("source", [source for source in SOURCES if source not in ("local", "embedded")])
def test_a_key_goes_to_another_host_by_tls_alone(source: str) -> None:
    """In plaintext it would be sent in the clear."""
    given = {**SOURCES[source], "ENDPOINT": "momento:8443"}

    assert "in the clear" in refusal({"OPTIONS": given})
    for secure in ({"ENDPOINT": "https://momento:8443"}, {"ROOT_CERTIFICATES": HERE}):
        assert "https://momento:8443" == str(parsed(**given | secure).connection.endpoint)
