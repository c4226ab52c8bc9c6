"""People's mistakes with a secret are named exactly, whatever the source is, and no message shows a key."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import fetch
from django_momento.exceptions import CredentialError
from tests.kit import aws as fixtures
from tests.kit.aws import (
    AGENT_TOKEN,
    CELL,
    KEYS,
    LEGACY_KEY,
    REGION,
    V1_KEY,
    V2_KEY,
    SecretsManager,
    report,
    shown_of,
)
from tests.kit.ports import unserved
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws

DOCUMENT = json.dumps({"api_key": V2_KEY, "endpoint": CELL})
ENV = ConnectionOptions("env")
SECRET = ConnectionOptions("secretsmanager", secret_id="momento", region=REGION)


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOMENTO_API_KEY", "MOMENTO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def failure(options: ConnectionOptions) -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        fetch(options)
    whole = report(failed.value)
    assert failed.value.fix
    assert [] == [run for key in (*KEYS, AGENT_TOKEN) for run in shown_of(key, whole)]
    return failed.value


MISTAKES = [
    (f"'{V2_KEY}'", "has single quotes (') around the API key"),
    (f"'{V2_KEY}", "has single quotes (') around the API key"),
    (f"'{DOCUMENT}'", "has single quotes (') around a JSON object"),
    (f"`{V2_KEY}`", "has backquotes (`) around the API key"),
    (f"\u201c{V2_KEY}\u201d", "has typographic quotes (\u201c \u201d) around the API key"),
    (f"\u2018{V2_KEY}\u2019", "has typographic quotes (\u2018 \u2019) around the API key"),
    (f'"{V2_KEY}', 'has a double quote (") on one side of the API key'),
    (json.dumps(DOCUMENT), 'is a JSON object in double quotes (")'),
    (f"{V2_KEY}\n{V1_KEY}", "holds 2 API keys on 2 lines"),
    (f"{V2_KEY}\r\n{V1_KEY}\r\n", "holds 2 API keys on 2 lines"),
    (f"{V2_KEY}\n\n{V1_KEY}\n{LEGACY_KEY}", "holds 3 API keys on 4 lines"),
    (f"{V2_KEY}\n{CELL}", "holds 2 lines of text, and must hold one API key on one line"),
    (f"MOMENTO_API_KEY={V2_KEY}", "begins with 'MOMENTO_API_KEY=', and"),
    (f"export MOMENTO_API_KEY='{V2_KEY}'", "has single quotes (') around the API key"),
    (f"api_key: {V2_KEY}", "begins with 'api_key:', and"),
    (f"Bearer {V2_KEY}", "begins with 'Bearer'"),
    (f"{V2_KEY} {V1_KEY}", "holds characters that no API key has, such as spaces"),
    (json.dumps({"api_key": f"'{V2_KEY}'", "endpoint": CELL}), "has single quotes (') around the API key"),
    (json.dumps({"api_key": f"{V2_KEY}\n{V1_KEY}", "endpoint": CELL}), "holds 2 API keys on 2 lines"),
    (str({"api_key": V2_KEY}), "its texts are in single quotes, where JSON has double quotes"),
    (f"{DOCUMENT}\n{DOCUMENT}", "is not valid (Extra data, line 2, column 1)"),
    (f"[{DOCUMENT}]", "is a JSON array"),
    (DOCUMENT[:-1], "looks like JSON, but is not valid"),
    ("{}", "is a JSON object with nothing in it"),
]


@table(("text", "reason"), MISTAKES)
def test_a_mistake_in_the_environment_is_named(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENTO_API_KEY", text)

    cause = failure(ENV).cause

    assert cause.startswith("Environment variable MOMENTO_API_KEY ")
    assert reason in cause


@table(("text", "reason"), MISTAKES)
def test_a_mistake_in_a_file_is_named(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(text.encode())

    assert reason in failure(ConnectionOptions("file", api_key_file=path)).cause


@table(("text", "reason"), MISTAKES)
def test_a_mistake_in_secrets_manager_is_named(text: str, reason: str, aws: SecretsManager) -> None:
    for kind in ({"SecretString": text}, {"SecretBinary": text.encode()}):
        aws.client().create_secret(Name="momento", **kind)
        error = failure(SECRET)
        aws.client().delete_secret(SecretId="momento", ForceDeleteWithoutRecovery=True)

        assert "Secret 'momento' in us-west-2 (AWSCURRENT) " in error.cause
        assert reason in error.cause


@table(
    "text",
    [
        f"\ufeff{DOCUMENT}",
        f" \ufeff {DOCUMENT}\r\n",
        f'\ufeff"{V1_KEY}"\n',
        f"\ufeff{V1_KEY}",
        f'"{V1_KEY}"',
        f'" {V1_KEY} "',
        LEGACY_KEY,
    ],
)
def test_a_byte_order_mark_and_double_quotes_do_no_harm(
    text: str, aws: SecretsManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors on Windows write the one, and a JSON text has the others."""
    monkeypatch.setenv("MOMENTO_API_KEY", text)
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    aws.client().create_secret(Name="momento", SecretBinary=text.encode())
    hosts = {fetch(it).cache_host for it in (ENV, SECRET, ConnectionOptions("file", api_key_file=path))}
    aws.client().delete_secret(SecretId="momento", ForceDeleteWithoutRecovery=True)

    assert {f"cache.{CELL}"} == hosts


@table(
    "content", [bytes(range(256)), V2_KEY.encode("utf-16"), base64.b64decode("/+/+"), b"\xff"], afresh=True
)
def test_a_binary_secret_is_named_as_that(content: bytes, aws: SecretsManager) -> None:
    aws.client().create_secret(Name="momento", SecretBinary=content)
    error = failure(SECRET)

    assert "is kept as SecretBinary and holds bytes that are not UTF-8 text." in error.cause
    assert "Store the API key as SecretString." == error.fix


@table("endpoint", [None, "", "  "], afresh=True)
def test_a_missing_endpoint_names_the_variable_to_set(
    endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENTO_API_KEY", V2_KEY)
    if endpoint is not None:
        monkeypatch.setenv("MOMENTO_ENDPOINT", endpoint)
    error = failure(ENV)

    assert "Environment variable MOMENTO_API_KEY holds a v2 key, which names no endpoint." == error.cause
    assert "set environment variable MOMENTO_ENDPOINT to it" in error.fix


def test_another_name_of_the_variable_is_the_one_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOMENTO_API_KEY", V2_KEY)

    assert (
        "set environment variable CELL to it"
        in failure(ConnectionOptions("env", endpoint_variable="CELL")).fix
    )


def test_a_secret_without_an_endpoint_says_where_to_put_it(aws: SecretsManager) -> None:
    aws.create("momento", V2_KEY)

    assert 'store the secret as JSON: {"api_key": "...", "endpoint": "..."}.' in failure(SECRET).fix


@contextmanager
def refusing_server() -> Iterator[int]:
    """A server that ends each connection after its first bytes; its port."""
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            with socket.create_connection(listener.getsockname()):
                pass
            thread.join()


@pytest.mark.usefixtures("aws_environment")
def test_plaintext_to_a_tls_port_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_server() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{port}")
        error = failure(SECRET)

    assert f"127.0.0.1:{port} may speak TLS" in error.fix
    assert "https://" in error.fix


def test_tls_to_a_plaintext_port_says_so(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url.replace("http:", "https:"))

    assert "does not speak TLS" in failure(SECRET).fix


@pytest.mark.usefixtures("aws_environment")
@table("name", ["HTTP_PROXY", "http_proxy"], afresh=True)
def test_a_proxy_that_is_not_there_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with unserved() as port:
        monkeypatch.setenv(name, f"http://user:{AGENT_TOKEN}@127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secretsmanager.example")
        error = failure(SECRET)

    assert "ProxyConnectionError" in error.cause
    assert "NO_PROXY" in error.fix
    assert "NAT gateway" not in error.fix


@pytest.mark.usefixtures("aws_environment")
def test_the_refusal_of_a_proxy_names_no_proxy(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the proxy is not an answer of Secrets Manager."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secretsmanager.example/no/such/page")
    error = failure(SECRET)

    assert "NO_PROXY" in error.fix


def test_a_proxy_that_is_passed_by_is_not_blamed(
    aws: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"{aws.url}/no/such/page")

    assert "A proxy is in the way" not in failure(SECRET).fix
