"""What looks like a key is taken out of text, and what people need to read in a message stays."""

from __future__ import annotations

import base64
import secrets

import pytest

from django_momento.redaction import MASK, SecretStr, looks_like_a_key, redact, redacted_repr
from tests.kit.aws import AGENT_TOKEN, ARN, CELL, KEYS, shown_of

READABLE = [
    "momento",
    ARN,
    CELL,
    f"cache.{CELL}:443",
    "/srv/www/site/releases/20260801/Secrets/momento-api-key.json",
    "mysite.credentials.MomentoKeys.current_key_of_this_cluster",
    "arn:aws:iam::123456789012:role/Production-Site-Role-Of-The-Team",
    "6f2b1a5e-57d9-4f4c-8d1e-000000000000",
    "a" * 5000,
    "eyJust",
    "monkeyJuggler-and-other-words",
    "The request signature we calculated does not match the signature you provided.",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", ["{key}", "'{key}'", '{{"api_key": "{key}"}}', "see {key}, and more"])
def test_a_key_is_recognized_wherever_it_stands(key: str, text: str) -> None:
    """Pasted alone, with quotes, or with the JSON around it."""
    whole = text.format(key=key)

    assert looks_like_a_key(whole)
    assert MASK in redact(whole)
    assert [] == shown_of(key, redact(whole))


@pytest.mark.parametrize("key", KEYS)
def test_the_beginning_of_a_key_is_recognized_too(key: str) -> None:
    """A line of a terminal or a field of a form cuts it."""
    assert [] == shown_of(key, redact(key[:40]))


@pytest.mark.parametrize("text", READABLE)
def test_what_is_not_a_key_stays_as_it_is(text: str) -> None:
    """Names, ARNs, paths and AWS's sentences are what a message is about."""
    assert not looks_like_a_key(text)
    assert text == redact(text)


@pytest.mark.parametrize(
    "text", [secrets.token_urlsafe(32), secrets.token_hex(16), base64.b64encode(bytes(range(48))).decode()]
)
def test_other_random_words_are_masked_in_what_others_say(text: str) -> None:
    """An error of somebody else's may quote a token; as a value it may be anything."""
    assert f"so: {MASK}." == redact(f"so: {text}.")
    assert not looks_like_a_key(text)


def test_a_session_token_of_aws_is_masked_for_the_most_part() -> None:
    """Its slashes are those of paths, so that a short run between two of them may stay."""
    assert len(redact(AGENT_TOKEN)) < len(AGENT_TOKEN) / 2


@pytest.mark.parametrize("value", [1, None, "name", b"bytes", ["a", {"b": 1}], object])
def test_a_value_is_shown_as_python_writes_it(value: object) -> None:
    """Quotes and types tell what is wrong with a setting."""
    assert repr(value) == redacted_repr(value)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("wrap", [str, str.encode, lambda key: [key], lambda key: {"API_KEY": key}])
def test_a_key_in_a_value_is_not_shown(key: str, wrap: object) -> None:
    """However deep it is."""
    assert callable(wrap)

    assert [] == shown_of(key, redacted_repr(wrap(key)))


def test_a_secret_shows_itself_to_no_one() -> None:
    """Logs, debug pages and error trackers print ``repr``."""
    secret = SecretStr("open sesame")

    assert ("'**********'", "['**********']", "open sesame") == (repr(secret), repr([secret]), str(secret))


@pytest.mark.parametrize(
    ("content", "text"), [(b"", ""), ("ä".encode(), "ä"), (b"\xef\xbb\xbfkey", "key"), (b"\xff", None)]
)
def test_bytes_become_a_secret_or_nothing(content: bytes, text: str | None) -> None:
    """A byte order mark is an editor's, not the key's; an error would have the bytes in it."""
    decoded = SecretStr.decoded(content)

    assert text == decoded
    assert type(decoded) in (SecretStr, type(None))
