"""A cache URL means the same as the dict it stands for, and its mistakes are named as well."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urlparse

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from django_momento.conf.loading import parse
from django_momento.conf.options import OPTIONS
from django_momento.env import Env
from django_momento.exceptions import ConfigurationError
from tests.kit.tables import table

BACKEND = "django_momento.cache.MomentoCache"

# For each option: how a dict says it, and the ways in which a URL may.
FLAGS = [
    (True, ["true", "True", "1", "yes", "y", "on"]),
    (False, ["false", "FALSE", "0", "no", "n", "off"]),
]
SPELLINGS: dict[str, list[tuple[Any, list[str]]]] = {
    "CREDENTIALS": [("env", ["env"]), ("shop.keys.fetch", ["shop.keys.fetch"])],
    "SECRET_ID": [("team/momento+key@1", ["team/momento+key@1"])],
    "SECRET_VERSION_STAGE": [("AWSPREVIOUS", ["AWSPREVIOUS"])],
    "REGION": [("eu-west-1", ["eu-west-1"])],
    "SECRET_ROLE": [("arn:aws:iam::1:role/reader", ["arn:aws:iam::1:role/reader"])],
    "AGENT_FALLBACK": FLAGS,
    "API_KEY_VARIABLE": [("KEY", ["KEY"])],
    "ENDPOINT_VARIABLE": [("CELL", ["CELL"])],
    "API_KEY_FILE": [("/run/secrets/momento", ["/run/secrets/momento"])],
    "ENDPOINT": [
        ("cell.example", ["cell.example", "cell.example:443", "https://cell.example/", " cell.example "]),
        ("[::1]:80", ["[::1]:80"]),
    ],
    "CONFIGURATION": [("low-latency", ["low-latency"])],
    "CLIENT_TIMEOUT": [(2.5, ["2.5", "2.50", "2.5s", "2500ms"]), (2, ["2", "2.0", "2 s", "2sec"])],
    "CONNECT_TIMEOUT": [(2.5, ["2.5", "2.50", "2.5s", "2500ms"]), (2, ["2", "2.0", "2 s", "2sec"])],
    "ROOT_CERTIFICATES": [(__file__, [__file__])],
    "READ_CONCERN": [("consistent", ["consistent"])],
    "MAX_TTL": [
        (3600, ["3600", "3.6e3", "1h", "1H", "60m", "60 min", "1 hour"]),
        (172800, ["2d", "2 days", "48h", "1d24h", "1 day 24 hours"]),
    ],
    "TTL_JITTER": [(0.25, ["0.25", ".25"]), (0, ["0", "0.0"])],
    "SERIALIZER": [("json", ["json"])],
    "SIGN": FLAGS,
    "ENCRYPTION_KEY": [("+/AA+/AA+/AA+/AA+/AA+w==", ["+/AA+/AA+/AA+/AA+/AA+w=="]), ("secret", ["secret"])],
    "COMPRESSOR": [("zlib", ["zlib"])],
    "TAG_SECONDS": [(0, ["0"]), (0.5, ["0.5", "500ms"]), (60, ["60", "1m"])],
    "CLEAR": [("prefix", ["prefix"])],
    "SINGLE_FLIGHT": FLAGS,
    "KEY_GROUP": [("mysite.meter.group", ["mysite.meter.group"])],
    "OBSERVERS": [("a.b,c.d", ["a.b,c.d"])],
    "COMPRESS_MIN_LENGTH": [
        (65536, ["65536", "64k", "64K", "64kB", "64 KiB"]),
        (1024, ["1024", "1KiB", "1k", "1024B"]),
        (2**21, ["2M", "2MiB"]),
        (0, ["0"]),
    ],
    "NEAR_SECONDS": [(0, ["0", "0s"]), (0.5, ["0.5", "500ms"])],
    "NEAR_BYTES": [(2**25, ["33554432", "32M", "32MiB"]), (0, ["0"])],
    "STALE_IF_ERROR": [(0, ["0"]), (300, ["300", "5m"])],
    "IGNORE_EXCEPTIONS": FLAGS,
    "LOG_IGNORED_EXCEPTIONS": FLAGS,
}


def base_for(name: str) -> dict[str, str]:
    if name == "CREDENTIALS":
        return {}
    source = next(iter(OPTIONS[name].sources), "env")
    needed = {"secretsmanager": "SECRET_ID", "agent": "SECRET_ID", "file": "API_KEY_FILE"}
    return {"CREDENTIALS": source} | ({needed[source]: "momento"} if source in needed else {})


def parsed(config: dict[str, Any]) -> Any:
    """What the backend makes of an alias, as Django hands it over."""
    params = dict(config)
    assert BACKEND == params.pop("BACKEND")
    return parse("default", params.pop("LOCATION"), params)


def test_the_table_of_these_tests_has_every_option() -> None:
    """A new option must work in a URL as well."""
    assert set(OPTIONS) == set(SPELLINGS)


@table(
    ("name", "value", "text"),
    [
        (name, value, text)
        for name, spellings in SPELLINGS.items()
        for value, texts in spellings
        for text in texts
    ],
)
@table("case", [str.upper, str.lower, str.title])
def test_an_option_means_the_same_in_a_url_as_in_a_dict(
    name: str, value: object, text: str, case: Any
) -> None:
    """Whoever moves a setting between the two forms gets the same cache."""
    query = {case(key): words for key, words in (base_for(name) | {name: text}).items()}
    in_dict = {"BACKEND": BACKEND, "LOCATION": "my-cache", "OPTIONS": base_for(name) | {name: value}}

    assert parsed(in_dict) == parsed(Env.cache_url_config(f"momento://my-cache?{urlencode(query)}"))


@table("case", [str.upper, str.lower])
@table(
    ("setting", "text", "value"),
    [
        ("TIMEOUT", "600", 600),
        ("TIMEOUT", "0", 0),
        ("TIMEOUT", "-1", -1),
        ("TIMEOUT", "none", None),
        ("TIMEOUT", "None", None),
        ("TIMEOUT", "10m", 600),
        ("TIMEOUT", "1.5h", 5400),
        ("TIMEOUT", "2d", 172800),
        ("VERSION", "2", 2),
        ("KEY_PREFIX", "shop", "shop"),
        ("KEY_PREFIX", "7", "7"),
        ("KEY_PREFIX", "", ""),
        ("KEY_FUNCTION", "shop.keys.make", "shop.keys.make"),
    ],
)
def test_django_s_own_settings_stand_beside_options(
    setting: str, text: str, value: object, case: Any
) -> None:
    """TIMEOUT and its like are Django's, and belong outside OPTIONS with the type Django expects."""
    config = Env.cache_url_config(f"momento://my-cache?credentials=env&{case(setting)}={text}")

    rest = {"BACKEND": BACKEND, "LOCATION": "my-cache", "OPTIONS": {"CREDENTIALS": "env"}}
    assert rest | {setting: value} == config
    assert type(value) is type(config[setting])


@table(
    ("url", "name"),
    [
        ("momento://my-cache", "my-cache"),
        ("momento://My_Cache.2/", "My_Cache.2"),
        ("momento:///my-cache", "my-cache"),
        ("momento://my%20cache%2F1", "my cache/1"),
        ("momento://a/b", "a/b"),
        (f"momento://{quote('größe')}", "größe"),
        ("momento://", ""),
        ("momento-local:///my-cache", "my-cache"),
        ("momento-local://127.0.0.1:8080/my%20cache", "my cache"),
        ("momento-local://127.0.0.1:8080", ""),
    ],
)
def test_the_cache_s_name_comes_out_of_the_url(url: str, name: str) -> None:
    """LOCATION is the Momento cache's name, its case kept and its escapes undone."""
    assert name == Env.cache_url_config(url)["LOCATION"]


@table("url", ["momento://?credentials=env", "momento-local://127.0.0.1:8080"])
def test_a_url_without_a_cache_s_name_is_refused_by_the_backend(url: str) -> None:
    """A forgotten name must not become a cache of an empty name."""
    with pytest.raises(ConfigurationError, match="LOCATION"):
        parsed(Env.cache_url_config(url))


@table(
    ("url", "options"),
    [
        ("momento-local:///c", {"CREDENTIALS": "local"}),
        ("momento-local://127.0.0.1:9/c", {"CREDENTIALS": "local", "ENDPOINT": "127.0.0.1:9"}),
        ("momento-local://[::1]:9/c?sign=0", {"CREDENTIALS": "local", "ENDPOINT": "[::1]:9", "SIGN": False}),
        ("momento-local://localhost:9/c?credentials=env", {"CREDENTIALS": "env", "ENDPOINT": "localhost:9"}),
    ],
)
def test_a_local_url_says_where_momento_local_listens(url: str, options: dict[str, Any]) -> None:
    """The host is the server's; a key from elsewhere may be named, for a server that asks for one."""
    config = Env.cache_url_config(url)

    assert options == config["OPTIONS"]
    assert parsed(config)


@table(
    "url",
    [
        "momento-local://cell.example:8080/my-cache?credentials=env",
        "momento-local://10.0.0.1:8080/my-cache?credentials=file&api_key_file=/run/key",
        "momento-local://localhost/my-cache",
    ],
)
def test_a_local_url_to_another_machine_is_refused_by_the_backend_if_a_key_goes_there(url: str) -> None:
    """A local server is plaintext: with a key it is reached on this machine, at a port, or not at all."""
    with pytest.raises(ConfigurationError, match="ENDPOINT"):
        parsed(Env.cache_url_config(url))


@table("host", ["cell.example:8080", "10.0.0.1:8080", "momento:8080"])
def test_a_local_url_may_name_another_machine(host: str) -> None:
    """momento-local may run in another container, and is sent no key."""
    assert host == str(parsed(Env.cache_url_config(f"momento-local://{host}/my-cache")).connection.endpoint)


def test_escapes_mean_what_they_stand_for() -> None:
    """Every character can be given, percent-encoded."""
    prefix = "a+b &=#%/ü@"
    config = Env.cache_url_config(f"momento://my-cache?credentials=env&key_prefix={quote(prefix, safe='')}")

    assert prefix == config["KEY_PREFIX"]


def test_the_environment_s_cache_url_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented line of settings.py: ``CACHES = {"default": Env().cache_url()}``."""
    monkeypatch.setenv("CACHE_URL", "momento://my-cache?secret_id=Momento_Auth_Token&region=us-west-2")

    expected = {
        "BACKEND": BACKEND,
        "LOCATION": "my-cache",
        "OPTIONS": {"SECRET_ID": "Momento_Auth_Token", "REGION": "us-west-2"},
    }

    assert expected == Env().cache_url() == Env().cache()


def test_a_default_stands_in_for_a_missing_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """``default=`` works as for django-environ's own schemes, and its absence is an error."""
    monkeypatch.delenv("CACHE_URL", raising=False)
    config = Env().cache_url(default="momento://my-cache?credentials=embedded")

    assert {"CREDENTIALS": "embedded"} == config["OPTIONS"]
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL"):
        Env().cache_url()


def test_a_backend_of_one_s_own_is_kept() -> None:
    """A subclass of the backend can be named, as for django-environ's own schemes."""
    config = Env.cache_url_config("momento://my-cache?credentials=env", backend="shop.cache.ShopCache")

    assert config["BACKEND"] == "shop.cache.ShopCache"


def test_a_parsed_url_is_as_good_as_its_text() -> None:
    """django-environ hands over either."""
    url = "momento://my-cache?credentials=env&timeout=5"

    assert Env.cache_url_config(url) == Env.cache_url_config(urlparse(url))


@table(
    "url",
    [
        "redis://127.0.0.1:6379/1",
        "rediscache://a:1,b:2/1?timeout=5&client_class=x.Y",
        "locmemcache://snowflake?key_prefix=a",
        "dummycache://",
        "filecache:///var/tmp/cache",
        "memcache://127.0.0.1:11211",
        "",
    ],
)
def test_the_other_schemes_work_as_in_django_environ(url: str) -> None:
    """One variable may name Momento in production and another cache elsewhere."""
    assert environ.Env.cache_url_config(url) == Env.cache_url_config(url)


def test_an_unknown_scheme_is_refused_as_in_django_environ() -> None:
    """A misspelt scheme is no Momento URL."""
    with pytest.raises(ImproperlyConfigured, match="moment0"):
        Env.cache_url_config("moment0://my-cache")
