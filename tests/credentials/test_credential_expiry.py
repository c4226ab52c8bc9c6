"""A credential says until when it is good, what else the secret holds, and whether another is the same."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest

from django_momento.clock import wall
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential, fetch, log_warnings
from django_momento.redaction import SecretStr
from tests.kit.aws import CELL, LEGACY_KEY, V2_KEY, jwt
from tests.kit.tables import table

HOSTS = {"c": f"cache.{CELL}", "cp": f"control.{CELL}"}
MOMENT = 1_800_000_000.0
V1_UNTIL = jwt(**HOSTS, exp=MOMENT)
INNER_UNTIL = jwt(sub="a@b.example", exp=MOMENT)
LEGACY_UNTIL = base64.b64encode(json.dumps({"endpoint": CELL, "api_key": INNER_UNTIL}).encode()).decode()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fetch_text(text: str) -> Credential:
        monkeypatch.setenv("MOMENTO_API_KEY", text)
        monkeypatch.setenv("MOMENTO_ENDPOINT", CELL)
        return fetch(ConnectionOptions("env"))

    return fetch_text


def as_json(**document: Any) -> str:
    return json.dumps({"api_key": V2_KEY, **document})


@table(
    ("text", "expires_at"),
    [
        (V2_KEY, None),
        (LEGACY_KEY, None),
        (V1_UNTIL, MOMENT),
        (LEGACY_UNTIL, MOMENT),
        (jwt(t="g", exp=MOMENT), MOMENT),
        (as_json(), None),
        (as_json(validUntil=None), None),
        (as_json(validUntil=MOMENT), MOMENT),
        (as_json(validUntil=int(MOMENT) * 1000), MOMENT),
        (as_json(validUntil="1800000000"), MOMENT),
        (as_json(validUntil="2027-01-15T08:00:00Z"), MOMENT),
        (as_json(validUntil=2**64 - 1), None),
        # Whichever comes first ends it.
        (as_json(api_key=V1_UNTIL, validUntil=MOMENT + 60), MOMENT),
        (as_json(api_key=V1_UNTIL, validUntil=MOMENT - 60), MOMENT - 60),
    ],
)
def test_a_credential_says_when_it_expires(fetched: Any, text: str, expires_at: float | None) -> None:
    """The key itself says it as ``exp``, Momento's rotation as ``validUntil`` beside it."""
    assert expires_at == fetched(text).expires_at


@pytest.mark.parametrize(
    ("text", "where", "expires_at"),
    [
        (as_json(validUntil="soon"), "its validUntil", None),
        (as_json(validUntil=[MOMENT]), "its validUntil", None),
        (as_json(validUntil=True), "its validUntil", None),
        (as_json(validUntil=V2_KEY), "its validUntil", None),
        (as_json(api_key=V1_UNTIL, validUntil=-1), "its validUntil", MOMENT),
        (jwt(**HOSTS, exp="never"), "its key's exp", None),
    ],
)
def test_an_expiry_that_is_none_costs_a_warning_and_not_the_key(
    fetched: Any, caplog: pytest.LogCaptureFixture, text: str, where: str, expires_at: float | None
) -> None:
    """The key is good all the same; what stands in the wrong place is not shown."""
    with caplog.at_level(logging.DEBUG):
        credential = fetched(text)
        log_warnings(credential)

    assert expires_at == credential.expires_at
    assert [
        f"Environment variable MOMENTO_API_KEY: {where} is not a time, so it is ignored."
    ] == caplog.messages


@table("source", ["local", "embedded"])
def test_a_local_server_s_key_never_expires(source: str) -> None:
    """It lives as long as the server."""
    assert fetch(ConnectionOptions(source)).expires_at is None


def test_a_credential_says_when_it_was_fetched(fetched: Any) -> None:
    """In seconds of the wall clock, for people; two fetches of the same are equal."""
    before = wall()
    first, second = fetched(V2_KEY), fetched(V2_KEY)

    assert before <= first.fetched_at <= second.fetched_at <= wall()
    assert (first, hash(first)) == (second, hash(second))


@table(
    ("text", "keys"),
    [
        (V2_KEY, None),
        (as_json(), None),
        (as_json(encryption_key=""), None),
        (as_json(encryption_key="first,second"), "first,second"),
        (as_json(encryption_key=" first "), "first"),
    ],
)
def test_a_secret_may_hold_the_encryption_key_too(fetched: Any, text: str, keys: str | None) -> None:
    """As text: what it means is the codec's to say; and as hidden as the API key."""
    credential = fetched(text)

    assert keys == credential.encryption_keys
    assert keys is None or keys not in repr(credential)


def test_the_same_key_may_be_for_another_place() -> None:
    """A changed key needs no new connection, a changed place does."""
    one = Credential(SecretStr("key"), "v2", "a test", "cache.a", "control.a")
    elsewhere = Credential(SecretStr("key"), "v2", "a test", "cache.b", "control.b")
    renewed = Credential(SecretStr("another"), "v2", "another test", "cache.a", "control.a", expires_at=1.0)
    other_port = Credential(SecretStr("key"), "v2", "a test", "cache.a", "control.a", 8080)

    assert (True, False) == (one.same_key(elsewhere), one.same_place(elsewhere))
    assert (False, True) == (one.same_key(renewed), one.same_place(renewed))
    assert not one.same_place(other_port)
