"""What looks like a key is taken out of text, and what people need to read in a message stays."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

from django_momento.redaction import (
    MASK,
    SecretStr,
    api_key_path,
    looks_like_a_key,
    quote,
    redact,
    redacted_repr,
)
from tests.kit.aws import AGENT_TOKEN, ARN, CELL, KEYS, shown_of
from tests.kit.tables import table

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


@table("key", KEYS)
@table("text", ["{key}", "'{key}'", '{{"api_key": "{key}"}}', "see {key}, and more"])
def test_a_key_is_recognized_wherever_it_stands(key: str, text: str) -> None:
    """Pasted alone, with quotes, or with the JSON around it."""
    whole = text.format(key=key)

    assert looks_like_a_key(whole)
    assert MASK in redact(whole)
    assert [] == shown_of(key, redact(whole))


@table("key", KEYS)
def test_the_beginning_of_a_key_is_recognized_too(key: str) -> None:
    """A line of a terminal or a field of a form cuts it."""
    assert [] == shown_of(key, redact(key[:40]))


@table("text", READABLE)
def test_what_is_not_a_key_stays_as_it_is(text: str) -> None:
    """Names, ARNs, paths and AWS's sentences are what a message is about."""
    assert not looks_like_a_key(text)
    assert text == redact(text)


@table(
    "text", [secrets.token_urlsafe(32), secrets.token_hex(16), base64.b64encode(bytes(range(48))).decode()]
)
def test_other_random_words_are_masked_in_what_others_say(text: str) -> None:
    """An error of somebody else's may quote a token; as a value it may be anything."""
    assert f"so: {MASK}." == redact(f"so: {text}.")
    assert not looks_like_a_key(text)


@table("text", ["redis://:{}@host/1", "see http://user:{}@proxy:80 now", "'https://{}@host'"])
def test_a_password_in_a_url_is_masked(text: str) -> None:
    """A proxy's or another cache's."""
    assert "hunter2" not in redact(text.format("hunter2"))
    assert "host" in redact(text) or "proxy:80" in redact(text)


@table("text", ["momento://my-cache?key_prefix=a@b", "https://host/@path", "a@b.example"])
def test_an_at_sign_elsewhere_in_a_text_stays(text: str) -> None:
    """Only before the host it ends a password."""
    assert text == redact(text)


def test_a_session_token_of_aws_is_masked_for_the_most_part() -> None:
    """Its slashes are those of paths, so that a short run between two of them may stay."""
    assert len(redact(AGENT_TOKEN)) < len(AGENT_TOKEN) / 2


@table("value", [1, None, "name", b"bytes", ["a", {"b": 1}], object])
def test_a_value_is_shown_as_python_writes_it(value: object) -> None:
    """Quotes and types tell what is wrong with a setting."""
    assert repr(value) == redacted_repr(value)


@table("key", KEYS)
@table("wrap", [str, str.encode, lambda key: [key], lambda key: {"API_KEY": key}])
def test_a_key_in_a_value_is_not_shown(key: str, wrap: object) -> None:
    """However deep it is."""
    assert callable(wrap)

    assert [] == shown_of(key, redacted_repr(wrap(key)))


def test_a_secret_shows_itself_to_no_one() -> None:
    """Logs, debug pages and error trackers print ``repr``."""
    secret = SecretStr("open sesame")

    assert ("'**********'", "['**********']", "open sesame") == (repr(secret), repr([secret]), str(secret))


@table(("content", "text"), [(b"", ""), ("ä".encode(), "ä"), (b"\xef\xbb\xbfkey", "key"), (b"\xff", None)])
def test_bytes_become_a_secret_or_nothing(content: bytes, text: str | None) -> None:
    """A byte order mark is an editor's, not the key's; an error would have the bytes in it."""
    decoded = SecretStr.from_bytes(content)

    assert text == decoded
    assert type(decoded) in (SecretStr, type(None))


@table("key", KEYS)
@table(
    "text",
    [
        "{}",
        "denied: '{}'",
        "authorization: {}\r\n",
        "\n{}",
        "\x1b[31m{}\x1b[0m",
        "\x00{}",
        "key%20{}",
        "é{}",
        "_{}",
    ],
)
def test_a_quoted_text_shows_no_key(text: str, key: str) -> None:
    """A proxy or a server may quote the request's key, next to any other character."""
    assert [] == shown_of(key, quote(text.format(key)))
    assert [] == shown_of(key, quote(text.format(key).encode()))
    assert [] == shown_of(key, quote(ValueError(text.format(key))))
    assert [] == shown_of(key, redacted_repr(text.format(key)))


@table(
    ("text", "quoted"),
    [
        ("Authorization: Bearer a-key", f"Authorization: Bearer {MASK}"),
        ("authorization=a-key; x", f"authorization={MASK}; x"),
        ("{'authorization': 'a-key', 'x': 1}", f"{{'authorization': '{MASK}', 'x': 1}}"),
        ("Proxy-Authorization: Basic YTpi\n", f"Proxy-Authorization: Basic {MASK}\\n"),
        ("no authorization given", "no authorization given"),
    ],
)
def test_a_quoted_header_shows_no_key_of_any_form(text: str, quoted: str) -> None:
    """A local server accepts any word as a key: only the header's name tells it."""
    assert quoted == quote(text)


def test_a_secret_that_the_caller_names_is_not_quoted() -> None:
    """The caller knows its key, whatever the key's form."""
    assert f"your key {MASK} is bad" == quote("your key a-key is bad", secrets=[SecretStr("a-key"), ""])
    assert MASK == quote(SecretStr("a-key"))


@table(
    ("text", "quoted"),
    [
        ("one\r\ntwo\ttabs", r"one\r\ntwo\ttabs"),
        ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("line\u2028and\u2029paragraph", r"line\u2028and\u2029paragraph"),
        ("right\u202eto left", r"right\u202eto left"),
        ("\ud800", r"\ud800"),
        (b"\xff", r"\xff"),
        ("größe 大", "größe 大"),
        ("", ""),
        (None, "None"),
        (ValueError("no\n"), r"no\n"),
    ],
)
def test_a_quoted_text_cannot_steer_a_terminal_or_forge_a_line_of_the_log(text: object, quoted: str) -> None:
    """Line ends, escape codes and marks of direction are shown, not obeyed."""
    assert quoted == quote(text)


@table("limit", [0, 1, 3, 10, 500])
@table("text", ["a", "ab" * 5, "\n" * 400, "words and " * 10**5, "\U0010ffff" * 500])
def test_a_quoted_text_is_bounded(text: str, limit: int) -> None:
    """Escapes count as they are shown, and a text that was cut says so."""
    quoted = quote(text, limit)
    whole = quote(text, 10**7)

    assert len(quoted) <= limit
    assert quoted == whole or quoted.endswith("..."[:limit])


def test_an_object_that_cannot_be_shown_does_not_hide_the_failure_it_explains() -> None:
    """A foreign error's own ``__str__`` may fail."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "<Silent>" == quote(Silent())


@table("key", KEYS)
@table(
    ("around", "path"),
    [
        (lambda key: key, ""),
        (lambda key: f" {key}\n", ""),
        (lambda key: key.encode(), ""),
        (lambda key: Path("/run") / key, ""),
        (lambda key: f'{{"api_key": "{key}"}}', ""),
        (lambda key: {"LOCATION": "a", "OPTIONS": {"REGION": key}}, "['OPTIONS']['REGION']"),
        (lambda key: {"OPTIONS": [1, ("a", key)]}, "['OPTIONS'][1][1]"),
        (lambda key: {"OPTIONS": {key: 1}}, "['OPTIONS']"),
    ],
)
def test_a_key_is_found_where_it_stands(around: Any, path: str, key: str) -> None:
    """The path is what a message needs to name the setting."""
    assert path == api_key_path(around(key))


@table(
    "value",
    [
        "",
        "Momento_Auth_Token",
        "eyJ",
        "eyJhbGciOi",
        "arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf",
        5,
        None,
    ],
)
def test_what_is_no_key_is_not_taken_for_one(value: object) -> None:
    """Names, ARNs and short words are settings like any other."""
    assert api_key_path({"OPTIONS": {"SECRET_ID": value}}) is None


@table("engine", ["cache", "cached_db"])
def test_the_key_of_a_session_is_masked(engine: str) -> None:
    """Whoever reads it in a log could take over the session."""
    prefix = f":1:django.contrib.sessions.{engine}"

    assert f"key '{prefix}{MASK}'." == redact(f"key '{prefix}t0ys7azf6u50v4aveq3qat64mvxs11qx'.")
    assert f"'{prefix}{MASK}'" == quote(f"'{prefix}{'a' * 32}'")
    assert prefix == redact(prefix)
