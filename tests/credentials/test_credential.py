"""Each source of an API key answers the key and where it is for, or says what to change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from momento import CredentialProvider

from django_momento.conf.loading import parse
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential, fetch
from django_momento.exceptions import CredentialError
from tests.kit import aws as fixtures
from tests.kit.aws import (
    CELL,
    INNER_KEY,
    KEYS,
    LEGACY_KEY,
    V1_KEY,
    V2_KEY,
    SecretsManager,
    report,
    shown_of,
)
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws

SECRET = "Secret 'momento' in us-west-2 (AWSCURRENT)"
OTHER_CELL = "cell-eu-west-1-1.prod.a.momentohq.com"


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOMENTO_API_KEY", "MOMENTO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def options(**given: Any) -> ConnectionOptions:
    return parse("default", "my-cache", {"OPTIONS": given}).connection


def from_secret(aws: SecretsManager, text: str | bytes, **given: Any) -> Credential:
    aws.create("momento", text)
    return fetch(options(SECRET_ID="momento", REGION="us-west-2", **given))


def failure(connection: ConnectionOptions) -> str:
    with pytest.raises(CredentialError) as failed:
        fetch(connection)
    assert failed.value.fix
    whole = report(failed.value)
    assert [] == [run for key in KEYS for run in shown_of(key, whole)]
    return str(failed.value)


def as_json(**document: Any) -> str:
    return json.dumps(document)


@table(
    ("text", "given", "key", "kind", "cell"),
    [
        (V1_KEY, {}, V1_KEY, "v1", CELL),
        (f'"{V1_KEY}"\n', {}, V1_KEY, "v1", CELL),
        (V1_KEY.encode(), {}, V1_KEY, "v1", CELL),
        (LEGACY_KEY, {}, INNER_KEY, "legacy", CELL),
        (as_json(apiKey=LEGACY_KEY, refreshToken="x", validUntil=2**64 - 1), {}, INNER_KEY, "legacy", CELL),
        (as_json(api_key=V1_KEY), {}, V1_KEY, "v1", CELL),
        (V2_KEY, {"ENDPOINT": CELL}, V2_KEY, "v2", CELL),
        (as_json(api_key=V2_KEY, endpoint=CELL), {}, V2_KEY, "v2", CELL),
        (as_json(api_key=V2_KEY, endpoint=f"{CELL}:443"), {}, V2_KEY, "v2", CELL),
        # What is configured wins over what the secret says, and that over what the key says.
        (as_json(api_key=V2_KEY, endpoint=CELL), {"ENDPOINT": OTHER_CELL}, V2_KEY, "v2", OTHER_CELL),
        (as_json(api_key=V2_KEY, endpoint="http://"), {"ENDPOINT": OTHER_CELL}, V2_KEY, "v2", OTHER_CELL),
        (as_json(api_key=V1_KEY, endpoint=OTHER_CELL), {}, V1_KEY, "v1", OTHER_CELL),
        (as_json(api_key=LEGACY_KEY, endpoint=OTHER_CELL), {}, INNER_KEY, "legacy", OTHER_CELL),
    ],
    afresh=True,
)
def test_a_key_of_each_kind_comes_out_of_secrets_manager(
    aws: SecretsManager, text: str | bytes, given: dict[str, Any], key: str, kind: str, cell: str
) -> None:
    """Plain or in JSON, the key arrives whole, with its cell's hosts on the TLS port."""
    credential = from_secret(aws, text, **given)

    assert Credential(credential.api_key, kind, SECRET, f"cache.{cell}", f"control.{cell}", 443) == credential
    assert key == credential.api_key
    assert f"cache.{cell}" == credential.endpoint


@table("key", [V2_KEY, V1_KEY, LEGACY_KEY, "a-key-made-up-for-tests"], afresh=True)
@table(
    ("endpoint", "host", "port"),
    [("127.0.0.1:9", "127.0.0.1", 9), ("[::1]:9", "::1", 9), ("localhost:9", "localhost", 9)],
    afresh=True,
)
def test_a_key_from_secrets_manager_can_be_for_a_local_server(
    aws: SecretsManager, key: str, endpoint: str, host: str, port: int
) -> None:
    """With an endpoint on loopback any key goes there, over one port for all calls."""
    credential = from_secret(aws, as_json(api_key=key, endpoint=endpoint))

    assert (host, host, port) == (credential.cache_host, credential.control_host, credential.port)
    assert endpoint == credential.endpoint
    assert credential.api_key == (INNER_KEY if key == LEGACY_KEY else key)


@table(
    ("key", "given", "provider"),
    [
        (V1_KEY, {}, CredentialProvider.from_disposable_token(V1_KEY)),
        (LEGACY_KEY, {}, CredentialProvider.from_disposable_token(LEGACY_KEY)),
        (V2_KEY, {"ENDPOINT": CELL}, CredentialProvider.from_api_key_v2(V2_KEY, CELL)),
    ],
    ids=["v1", "legacy", "v2"],
    afresh=True,
)
def test_a_key_means_the_same_as_to_the_sdk(
    aws: SecretsManager, key: str, given: dict[str, Any], provider: CredentialProvider
) -> None:
    """Momento's own SDK takes a key apart in the same way."""
    credential = from_secret(aws, key, **given)

    assert (provider.auth_token, provider.cache_endpoint, provider.control_endpoint, provider.port) == (
        credential.api_key,
        credential.cache_host,
        credential.control_host,
        credential.port,
    )


@table(
    ("text", "given", "hints"),
    [
        (" ", {}, ("is empty.", "It must hold a Momento API key")),
        ('""', {}, ("is empty.",)),
        (as_json(api_key=""), {}, ("without an 'apiKey' or 'api_key' that is not empty; it has 'api_key'.",)),
        (as_json(MOMENTO=V2_KEY), {}, ("it has 'MOMENTO'.", "as plain text or as JSON")),
        (f"{{{V2_KEY}}}", {}, ("looks like JSON",)),
        (f"{V2_KEY[:40]} {V2_KEY[40:]}", {"ENDPOINT": CELL}, ("spaces or line breaks",)),
        (V2_KEY, {}, ("holds a v2 key, which names no endpoint.", "set ENDPOINT", '"endpoint": "..."')),
        (as_json(api_key=V2_KEY), {}, ("holds a v2 key, which names no endpoint.",)),
        ("not-a-key", {}, ("holds something that is not a Momento API key.", "Store the key whole")),
        (V2_KEY[:60], {"ENDPOINT": CELL}, ("holds something that is not a Momento API key.",)),
        (V1_KEY[:60], {}, ("holds something that is not a Momento API key.",)),
        (LEGACY_KEY[:-5], {}, ("holds something that is not a Momento API key.",)),
        (as_json(api_key=CELL, endpoint=V2_KEY), {}, ("names the endpoint of", "which must be a host name")),
        (as_json(api_key=CELL, endpoint=LEGACY_KEY), {}, ("names the endpoint of", "which must be a host")),
        (
            as_json(api_key=V2_KEY, endpoint=f"{CELL}:80"),
            {},
            (f"'{CELL}:80', which names a port", "in the clear"),
        ),
        (as_json(api_key=V2_KEY, endpoint="10.0.0.1:8080"), {}, ("'10.0.0.1:8080'", "in the clear")),
        (as_json(api_key="opaque", endpoint="10.0.0.1:8080"), {}, ("'10.0.0.1:8080'", "in the clear")),
        (as_json(api_key=V2_KEY, endpoint=f"http://{CELL}"), {}, (f"'http://{CELL}'", "without a scheme")),
        (as_json(api_key=V2_KEY, endpoint=f"cache.{CELL}"), {}, (f"the cell's endpoint itself: '{CELL}'",)),
        (as_json(api_key=V2_KEY, endpoint=5), {}, ("has an 'endpoint' that is not a string.",)),
    ],
    afresh=True,
)
def test_a_secret_that_will_not_do_says_why(
    aws: SecretsManager, text: str, given: dict[str, Any], hints: tuple[str, ...]
) -> None:
    """The message names the secret and what is wrong with it, and shows no part of a key."""
    aws.create("momento", text)
    message = failure(options(SECRET_ID="momento", REGION="us-west-2", **given))

    assert message.startswith(f"{SECRET} ")
    assert [] == [hint for hint in hints if hint not in message]


def test_the_version_stage_and_the_arn_stand_in_the_source(aws: SecretsManager) -> None:
    """The source is what ``momento_check`` prints: it names the very secret that was read."""
    arn = aws.create("momento", V1_KEY, region="eu-west-1")
    credential = fetch(options(SECRET_ID=arn, REGION="us-west-2", SECRET_VERSION_STAGE="AWSCURRENT"))

    assert f"Secret '{arn}' in eu-west-1 (AWSCURRENT)" == credential.source


@table(
    ("environment", "given", "kind", "endpoint"),
    [
        ({"MOMENTO_API_KEY": V1_KEY}, {}, "v1", f"cache.{CELL}"),
        ({"MOMENTO_API_KEY": V1_KEY, "MOMENTO_ENDPOINT": ""}, {}, "v1", f"cache.{CELL}"),
        ({"MOMENTO_API_KEY": V2_KEY, "MOMENTO_ENDPOINT": f" {CELL}\n"}, {}, "v2", f"cache.{CELL}"),
        ({"MOMENTO_API_KEY": f"{V2_KEY}\n"}, {"ENDPOINT": CELL}, "v2", f"cache.{CELL}"),
        ({"MOMENTO_API_KEY": as_json(api_key=V2_KEY, endpoint=CELL)}, {}, "v2", f"cache.{CELL}"),
        ({"MOMENTO_API_KEY": "opaque", "MOMENTO_ENDPOINT": "127.0.0.1:9"}, {}, "opaque", "127.0.0.1:9"),
        # The option wins, and then the variable is not even looked at.
        (
            {"MOMENTO_API_KEY": V2_KEY, "MOMENTO_ENDPOINT": "http://"},
            {"ENDPOINT": OTHER_CELL},
            "v2",
            f"cache.{OTHER_CELL}",
        ),
        (
            {"KEY": V2_KEY, "CELL": CELL, "MOMENTO_API_KEY": V1_KEY, "MOMENTO_ENDPOINT": OTHER_CELL},
            {"API_KEY_VARIABLE": "KEY", "ENDPOINT_VARIABLE": "CELL"},
            "v2",
            f"cache.{CELL}",
        ),
    ],
    afresh=True,
)
def test_a_key_comes_out_of_the_environment(
    environment: dict[str, str],
    given: dict[str, Any],
    kind: str,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Key and endpoint each come from their variable; the ENDPOINT option wins over the variable."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    credential = fetch(options(CREDENTIALS="env", **given))

    variable = given.get("API_KEY_VARIABLE", "MOMENTO_API_KEY")
    assert (kind, endpoint, f"Environment variable {variable}") == (
        credential.kind,
        credential.endpoint,
        credential.source,
    )


@table(
    ("environment", "hints"),
    [
        ({}, ("variable MOMENTO_API_KEY is not set, or empty.", "MOMENTO_ENDPOINT to your region's")),
        ({"MOMENTO_API_KEY": ""}, ("variable MOMENTO_API_KEY is not set, or empty.",)),
        ({"MOMENTO_API_KEY": " "}, ("variable MOMENTO_API_KEY is empty.",)),
        ({"MOMENTO_API_KEY": "x"}, ("MOMENTO_API_KEY holds something that is not a Momento API key.",)),
        ({"MOMENTO_API_KEY": V2_KEY}, ("MOMENTO_API_KEY holds a v2 key, which names no endpoint.",)),
        (
            {"MOMENTO_API_KEY": V2_KEY, "MOMENTO_ENDPOINT": f"{CELL}:80"},
            (f"variable MOMENTO_ENDPOINT names the endpoint '{CELL}:80', which names a port", "in the clear"),
        ),
        (
            {"MOMENTO_API_KEY": CELL, "MOMENTO_ENDPOINT": LEGACY_KEY},
            (f"MOMENTO_ENDPOINT names the endpoint of {len(LEGACY_KEY)} characters, which must be a host",),
        ),
    ],
    afresh=True,
)
def test_an_environment_that_will_not_do_says_why(
    environment: dict[str, str], hints: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable at fault, and shows no part of a key."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    message = failure(options(CREDENTIALS="env"))

    assert [] == [hint for hint in hints if hint not in message]


@table(
    ("given", "host", "port"),
    [
        ({}, "127.0.0.1", 8080),
        ({"ENDPOINT": "localhost:9"}, "localhost", 9),
        ({"ENDPOINT": "[::1]:9"}, "::1", 9),
    ],
)
def test_momento_local_needs_no_key(given: dict[str, str], host: str, port: int) -> None:
    """A local server is found at its default address, or at ENDPOINT."""
    credential = fetch(options(CREDENTIALS="local", **given))

    assert ("", "none", host, host, port) == (
        credential.api_key,
        credential.kind,
        credential.cache_host,
        credential.control_host,
        credential.port,
    )
