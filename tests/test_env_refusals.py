"""A cache URL that is wrong: what is refused at once, what the backend refuses, and that no key is shown."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from django_momento.conf.loading import parse
from django_momento.env import Env
from django_momento.exceptions import ConfigurationError
from tests.kit.aws import KEYS, report, shown_of
from tests.kit.tables import table


def parsed(config: dict[str, Any]) -> Any:
    """What the backend makes of an alias, as Django hands it over."""
    params = {name: value for name, value in config.items() if name not in ("BACKEND", "LOCATION")}
    return parse("default", config["LOCATION"], params)


def refusal(url: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Env.cache_url_config(url)
    assert all(problem.fix for problem in refused.value.problems)
    return str(refused.value)


@table(
    ("name", "text"),
    [
        ("max_ttl", "soon"),
        ("CLIENT_TIMEOUT", ""),
        ("client_timeout", "1,5"),
        ("client_timeout", "5x"),
        ("client_timeout", "5ms3"),
        ("compress_min_length", "-1"),
        ("compress_min_length", "64kk"),
        ("compress_min_length", "0.3k"),
        ("agent_fallback", "perhaps"),
        ("sign", "maybe"),
        ("sign", ""),
        ("ignore_exceptions", "2"),
        ("timeout", "soon"),
        ("timeout", ""),
        ("timeout", "500ms"),
        ("timeout", "inf"),
        ("version", "1.5"),
        ("version", "none"),
    ],
)
def test_a_text_that_is_no_value_names_its_option(name: str, text: str) -> None:
    """What cannot be read as the option's type is refused where it stands."""
    with pytest.raises(ConfigurationError) as refused:
        Env.cache_url_config(f"momento://my-cache?{name}={text}")

    assert f"The cache URL has {name.lower()}={text!r}." == refused.value.cause
    assert "Allowed: " in refused.value.fix
    assert "; in a URL: " in refused.value.fix


@table(
    ("query", "hint"),
    [
        ("credentials=vault", "['CREDENTIALS'] is 'vault'"),
        ("secret_id=", "['SECRET_ID'] is ''"),
        ("credentials=env&max_ttl=-5", "['MAX_TTL'] is -5.0"),
        ("credentials=env&max_ttl=nan", "['MAX_TTL'] is nan"),
        ("credentials=env&sign=1&serializer=yaml", "['SERIALIZER'] is 'yaml'. Allowed: one of 'pickle'"),
        ("credentials=env&region=eu-west-1", "['REGION'] has no meaning with CREDENTIALS 'env'"),
        ("region=eu-west-1", "does not say where the Momento API key comes from"),
        ("credentials=env&root_certificates=/no/such.pem", "['ROOT_CERTIFICATES'] is '/no/such.pem'"),
    ],
)
def test_a_wrong_option_is_refused_as_in_a_dict(query: str, hint: str) -> None:
    """The URL passes on what only the backend can judge, which names alias and option."""
    with pytest.raises(ConfigurationError) as refused:
        parsed(Env.cache_url_config(f"momento://my-cache?{query}"))

    assert hint in str(refused.value)


@table(
    ("query", "message"),
    [
        ("secretid=momento", "an unknown setting 'secretid'. Did you mean 'SECRET_ID'?"),
        ("timout=5", "an unknown setting 'timout'. Did you mean 'TIMEOUT'?"),
        ("max_entries=5", "an unknown setting 'max_entries'. Momento evicts by itself; leave it out."),
        (
            "xyz=5",
            "an unknown setting 'xyz'. Valid are: TIMEOUT, KEY_PREFIX, VERSION, KEY_FUNCTION, CREDENTIALS,",
        ),
    ],
)
def test_an_unknown_parameter_names_the_nearest(query: str, message: str) -> None:
    """Django's settings and OPTIONS stand side by side in a URL, so both are looked through."""
    assert f"The cache URL has {message}" in refusal(f"momento://my-cache?{query}")


@table("query", ["timeout=5&timeout=6", "max_ttl=5&MAX_TTL=5", "sign=1&secret_id=a&Sign=0"])
def test_a_repeated_parameter_is_refused(query: str) -> None:
    """Which of the two was meant is not for the parser to guess."""
    assert "more than once. Keep only one of them." in refusal(f"momento://my-cache?{query}")


def test_a_local_url_names_its_server_once() -> None:
    """The host of the URL is the endpoint already."""
    url = "momento-local://127.0.0.1:8080/my-cache?endpoint=127.0.0.1:9090"
    assert "names its host and an endpoint" in refusal(url)


@table(
    "url",
    [
        "momento://user@my-cache?credentials=env",
        "momento://:a-password@my-cache?credentials=env",
        "momento-local://a-password@127.0.0.1:8080/my-cache",
    ],
)
def test_a_user_or_a_password_is_refused_and_not_shown(url: str) -> None:
    """Other caches' URLs have their password there; Momento's key does not belong in a URL."""
    message = refusal(url)
    assert "has a user name or a password" in message
    assert "secret_id" in message
    assert "a-password" not in message


@table("key", KEYS)
@table(
    "url",
    [
        "momento://my-cache?secret_id={}",
        "momento://my-cache?credentials=env&endpoint={}",
        "momento://my-cache?credentials=env&timeout={}",
        "momento://my-cache?api_key={}",
        "momento://my-cache?{}=api_key",
        "momento://my-cache?credentials={}&credentials={}",
        "momento://my-cache?credentials=env#{}",
        "momento://:{}@my-cache",
        "momento://{}",
        "momento-local://127.0.0.1:8080/{}",
    ],
)
def test_an_api_key_in_a_url_is_refused_and_not_shown(url: str, key: str) -> None:
    """Wherever it was pasted, the message says so, says what to do, and shows no part of it."""
    message = refusal(url.replace("{}", quote(key)))
    assert message.startswith("The cache URL holds a Momento API key. Revoke it")
    assert "SECRET_ID" in message
    assert [] == shown_of(key, message)


@table("form", ["momento://my-cache?secret_id={}", "momento://[{}", "momento://{}]", "momento://{}\u2100"])
def test_no_frame_of_a_refused_url_shows_a_key(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Error trackers print each frame's local variables, also if the text cannot be split as a URL."""
    url = form.format(KEYS[0])
    monkeypatch.setenv("CACHE_URL", url)
    calls: list[Any] = [
        lambda: Env.cache_url_config(url),
        lambda: Env().cache_url(),
        lambda: Env().cache(),
        lambda: Env().cache_url("NO_SUCH_URL", default=url),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError) as refused:
            call()
        assert [] == shown_of(KEYS[0], report(refused.value))


def test_an_encryption_key_that_was_not_escaped_is_explained_and_not_shown() -> None:
    """In a query a plus is a space, and no longer what the key had."""
    message = refusal("momento://my-cache?credentials=env&encryption_key=+/AA+/AA+/AA+/AA+/AA+w==")
    assert "encryption_key has a space in it" in message
    assert "%2B" in message
    assert "AA" not in message


@table(
    ("url", "message"),
    [
        (
            "momento://my-cache?credentials=env&key_prefix=a#b",
            "has a '#', and all text after it is lost. Write it as %23.",
        ),
        (
            "momento://my-cache?credentials=env&key_prefix=%ff",
            "has an escape that is not UTF-8. Write a % as %25.",
        ),
        (
            "momento://cell-1.prod.a.momentohq.com/my-cache?credentials=env",
            "Write momento://CACHE-NAME?endpoint=cell-1.prod.a.momentohq.com",
        ),
        ("momento://127.0.0.1:8080/my-cache", "has a port"),
        ("momento://127.0.0.1:8080/my-cache", "momento-local://127.0.0.1:8080/CACHE-NAME"),
        ("momento-local://my-cache", "does not name both a local server and a cache."),
        ("momento-local://my-cache/?credentials=env", "momento-local:///CACHE-NAME"),
        ("momento-local://", "does not name both a local server and a cache."),
        ("'momento://my-cache?credentials=env'", "has quotes around it. Remove them"),
        ('"momento://my-cache?credentials=env"', "has quotes around it. Remove them"),
        ("'redis://127.0.0.1'", "has quotes around it. Remove them"),
        ("my-cache", "has no scheme such as momento://. Write momento://CACHE-NAME?secret_id="),
        ("//my-cache", "has no scheme"),
        ("momento_local://127.0.0.1:8080/my-cache", "has no scheme"),
        ("mommento://my-cache", "has the unknown scheme 'mommento'. Write momento://CACHE-NAME?secret_id="),
        ("momento+local://127.0.0.1:8080/a", "has the unknown scheme"),
        ("  ", "is empty. Write momento://CACHE-NAME?secret_id="),
    ],
)
def test_what_only_a_url_can_get_wrong_is_refused(url: str, message: str) -> None:
    """What would be lost or misread without a word is named, with the way to write it."""
    assert message in refusal(url)


def test_a_scheme_that_a_site_adds_is_known() -> None:
    """As with django-environ's own class."""

    class SiteEnv(Env):
        CACHE_SCHEMES: ClassVar[dict[str, str]] = {**Env.CACHE_SCHEMES, "site": "site.Cache"}

    assert "site.Cache" == SiteEnv.cache_url_config("site://a")["BACKEND"]


@table("text", ["", " ", "\n"], afresh=True)
def test_an_empty_variable_says_what_to_write(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A deployment that forgot the value sets it to nothing."""
    monkeypatch.setenv("CACHE_URL", text)
    with pytest.raises(ConfigurationError, match=r"is empty\. Write momento://CACHE-NAME"):
        Env().cache_url()


@table("text", [" momento://my-cache?credentials=env", "momento://my-cache?credentials=env \n"], afresh=True)
def test_white_space_around_a_url_changes_nothing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A file that is read into a variable ends with a line feed."""
    monkeypatch.setenv("CACHE_URL", text)
    assert "env" == parsed(Env().cache_url()).connection.credentials


def test_all_mistakes_of_a_url_are_in_one_report() -> None:
    """Each with its own name and fix."""
    url = "momento-local://127.0.0.1:8080/my-cache?endpoint=a&sign=maybe&timeout=soon&password=x&max_ttl=1&max_ttl=2"

    message = refusal(url + "&version=a")

    assert "The cache URL has 6 problems:\n1. " in message
    for mistake in ("an endpoint", "sign='maybe'", "timeout='soon'", "'password'", "max_ttl more than once"):
        assert mistake in message
    assert "version='a'" in message
