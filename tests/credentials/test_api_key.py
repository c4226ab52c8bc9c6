"""An API key is recognized by its form, in whatever a secret wraps it, and never shown."""

from __future__ import annotations

import base64
import json
import pprint
import re

import pytest
from django.utils.html import escape
from django.views.debug import ExceptionReporter

from django_momento.credentials.api_key import ApiKey, SecretDocument, parse_endpoint
from django_momento.credentials.credential import Credential
from django_momento.endpoint import Endpoint
from django_momento.redaction import SecretStr
from tests.kit.aws import (
    CELL,
    INNER_KEY,
    KEYS,
    LEGACY_KEY,
    V1_KEY,
    V2_KEY,
    jwt,
    report,
    shown_of,
)
from tests.kit.tables import table

HOSTS = (f"cache.{CELL}", f"control.{CELL}")


def envelope(**document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


@table(
    ("text", "key"),
    [
        (V2_KEY, ApiKey(SecretStr(V2_KEY), "v2")),
        (V1_KEY, ApiKey(SecretStr(V1_KEY), "v1", hosts=HOSTS)),
        (LEGACY_KEY, ApiKey(SecretStr(INNER_KEY), "legacy", endpoint=CELL)),
        (INNER_KEY, ApiKey(SecretStr(INNER_KEY), "opaque")),
    ],
)
def test_a_key_is_recognized_by_its_form(text: str, key: ApiKey) -> None:
    """Each of Momento's forms says what it is, and where to connect if it knows."""
    assert key == ApiKey.read(SecretStr(text))


@table(
    "text",
    [
        "local-key",
        "two.parts",
        "a.b.c",
        "a.????.c",
        "ä.ö.ü".encode("punycode").decode(),
        f"a.{base64.urlsafe_b64encode(b'[1]').decode()}.c",
        f"a.{base64.urlsafe_b64encode(bytes((255, 254))).decode()}.c",
        jwt(),
        jwt(t="x"),
        jwt(t=["g"]),
        jwt(c=CELL),
        jwt(c="", cp=""),
        jwt(c=1, cp=2),
        envelope(api_key=INNER_KEY),
        envelope(api_key="", endpoint=CELL),
        envelope(api_key=INNER_KEY, endpoint=""),
        envelope(api_key=1, endpoint=CELL),
        base64.b64encode(b"not JSON").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(bytes(range(128, 160))).decode(),
    ],
)
def test_what_momento_does_not_issue_is_opaque(text: str) -> None:
    """A local server may be told to accept anything; nothing in it is taken for an endpoint."""
    assert ApiKey(SecretStr(text), "opaque") == ApiKey.read(SecretStr(text))


@table(
    "text",
    [
        "put the key here",
        f"{V2_KEY} ",
        f"{V2_KEY[:40]}\n{V2_KEY[40:]}",
        f"{LEGACY_KEY[:40]}\n{LEGACY_KEY[40:]}",
        f"{V2_KEY[:-1]}ä",
        f"{V2_KEY}\0",
        envelope(api_key="put the key here", endpoint=CELL),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused(text: str) -> None:
    """A key pasted with a line break would fail at every call, with a text that does not say why."""
    reason = "one API key on one line" if "\n" in text else "spaces or line breaks"
    with pytest.raises(ValueError, match=reason) as refused:
        ApiKey.read(SecretStr(text))

    assert [] == shown_of(text, report(refused.value))


def test_an_empty_key_is_refused() -> None:
    """Nothing at all is said to be nothing, not to be a key of unknown form."""
    with pytest.raises(ValueError, match=r"^is empty$"):
        ApiKey.read("")


@table("key", KEYS)
@table(
    "text",
    [
        "{key}",
        "  {key}\n",
        '"{key}"',
        ' "{key}"\n',
        '{{"apiKey": "{key}"}}',
        '{{"api_key": "{key}"}}',
        '\n {{"api_key" : " {key}\\n", "endpoint": null}} ',
        '{{"apiKey": "{key}", "refreshToken": "{key}", "validUntil": 1800000000}}',
        '{{"apiKey": "", "api_key": "{key}"}}',
        '{{"apiKey": null, "api_key": "{key}", "endpoint": ""}}',
    ],
)
def test_a_secret_holds_a_key_in_many_ways(text: str, key: str) -> None:
    """Plain, quoted by a shell, or in JSON as Momento's rotation writes it: the key comes out bare."""
    document = SecretDocument.read(SecretStr(text.format(key=key)))

    assert (key, SecretStr, None) == (document.key, type(document.key), document.endpoint)


@table("name", ["apiKey", "api_key"])
@table("endpoint", [CELL, f" {CELL}\n", "127.0.0.1:8080"])
def test_a_json_secret_may_name_the_endpoint(name: str, endpoint: str) -> None:
    """A v2 key names none itself, so that the secret may say it beside the key."""
    document = SecretDocument.read(SecretStr(json.dumps({name: V2_KEY, "endpoint": endpoint})))

    assert SecretDocument(SecretStr(V2_KEY), SecretStr(endpoint.strip())) == document


@table("text", ["", " ", '""', '" "', '{"api_key": " "}'])
def test_a_secret_without_a_key_in_it_is_an_empty_key(text: str) -> None:
    """However nothing is written, the answer is that it is empty."""
    with pytest.raises(ValueError, match=r"^is empty$"):
        ApiKey.read(SecretDocument.read(SecretStr(text)).key)


@table(
    ("text", "reason"),
    [
        ("{", "looks like JSON, but is not valid (Expecting property name"),
        ("{}", "is a JSON object with nothing in it"),
        (
            f"{{'api_key': '{V2_KEY}'}}",
            (
                "looks like JSON, but is not valid (Expecting property name enclosed in double quotes, "
                "line 1, column 2); its texts are in single quotes"
            ),
        ),
        ('{"a":' * 100_000, "looks like JSON, but is nested too deeply"),
        (f'["{V2_KEY}"]', "is a JSON array"),
        (f'"{{\\"api_key\\": \\"{V2_KEY}\\"}}"', 'is a JSON object in double quotes (")'),
        (
            f'{{"api_key": "{V2_KEY}"}}\n{{"api_key": "{V2_KEY}"}}',
            "is not valid (Extra data, line 2, column 1)",
        ),
        (
            f'{{"key": "{V2_KEY}", "b": 1}}',
            "without an 'apiKey' or 'api_key' that is not empty; it has 'b', 'key'",
        ),
        (f'{{"MOMENTO_API_KEY": "{V2_KEY}"}}', "it has 'MOMENTO_API_KEY'"),
        ('{"apiKey": "", "endpoint": "x"}', "it has 'apiKey', 'endpoint'"),
        ('{"apiKey": null}', "it has 'apiKey'"),
        ('{"apiKey": 5}', "has an 'apiKey' that is not a string"),
        (f'{{"api_key": ["{V2_KEY}"]}}', "has an 'api_key' that is not a string"),
        (f'{{"api_key": "{V2_KEY}", "endpoint": ["x"]}}', "has an 'endpoint' that is not a string"),
        (f'{{"{V2_KEY}": ""}}', f"it has a name of {len(V2_KEY)} characters"),
        (f'{{"{LEGACY_KEY}": "api_key"}}', f"it has a name of {len(LEGACY_KEY)} characters"),
    ],
)
def test_a_secret_that_holds_no_key_says_what_it_holds(text: str, reason: str) -> None:
    """The names in a JSON secret tell what to change; a key stays hidden, even in a name's place."""
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        SecretDocument.read(SecretStr(text))

    assert [] == shown_of(V2_KEY, report(refused.value)) + shown_of(LEGACY_KEY, str(refused.value))


@table("text", [CELL, f" {CELL}\n", SecretStr(CELL)])
def test_an_endpoint_may_have_blanks_around_it(text: str) -> None:
    """Files and consoles add line breaks."""
    assert Endpoint(CELL) == parse_endpoint(text)


@table("text", [f"ftp://{CELL}", SecretStr(f"ftp://{CELL}")])
def test_a_wrong_endpoint_is_named_with_what_is_wrong(text: str) -> None:
    """An endpoint is no secret, even where it was kept with one."""
    expected = (
        f"names the endpoint 'ftp://{CELL}', which must be a bare host name, without a scheme or a path: "
        f"'{CELL}'"
    )

    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        parse_endpoint(text)


@table("key", [V2_KEY, V1_KEY, LEGACY_KEY])
def test_a_key_in_the_endpoint_s_place_is_not_shown(key: str) -> None:
    """Whoever swaps the two learns it without the key ending in a log."""
    with pytest.raises(ValueError, match=f"names the endpoint of {len(key)} characters, which") as refused:
        parse_endpoint(key)

    assert [] == shown_of(key, str(refused.value))


@table("key", KEYS)
def test_a_key_shows_itself_to_no_one(key: str) -> None:
    """Logs, debug pages and error trackers print ``repr``, of the key or of what holds it."""
    secret = SecretStr(key)
    holders = [
        secret,
        ApiKey.read(secret),
        SecretDocument.read(SecretStr(json.dumps({"api_key": key, "endpoint": CELL}))),
        Credential(secret, "v2", "a test", *HOSTS),
    ]
    shown = "".join(f"{it!r}{it!a}{pprint.pformat(it)}{[it]}{ ({'x': it}) }" for it in holders)

    assert [] == shown_of(key, shown)
    assert "*****" in shown


@table("text", ["{{'api_key': '{key}'}}", '{{"key": "{key}"}}', '{{"api_key": ["{key}"]}}'])
def test_django_s_debug_page_shows_no_key(text: str) -> None:
    """The page lists the local variables of every frame, and DEBUG is on where keys are first tried."""
    with pytest.raises(ValueError, match=r"JSON|string") as refused:
        SecretDocument.read(SecretStr(text.format(key=V2_KEY)))

    error = refused.value
    assert error.__traceback__ is not None
    page = ExceptionReporter(None, type(error), error, error.__traceback__.tb_next).get_traceback_html()
    assert [] == shown_of(V2_KEY, page)
    assert escape("'**********'") in page


def test_a_secret_is_still_the_string_it_holds() -> None:
    """gRPC needs the key itself: only its ``repr`` is another."""
    assert V2_KEY == str(SecretStr(V2_KEY)) == f"{SecretStr(V2_KEY)}"
    assert {V2_KEY} == {SecretStr(V2_KEY)}
