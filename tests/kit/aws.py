"""Secrets Manager over real HTTP: moto's, one that answers as a test wants, an agent; and keys to keep."""

from __future__ import annotations

import base64
import json
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from django_momento.credentials import agent as agent_source
from django_momento.credentials import boundary, secrets_manager
from django_momento.credentials.agent import PORT_VARIABLE
from django_momento.credentials.secrets_manager import get_secret_value
from django_momento.exceptions import CredentialError
from tests.kit.agent import SecretsManagerAgent
from tests.kit.waiting import HANG_GUARD

HERE = str(Path(__file__).parents[1])
REGION = "us-west-2"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/momento-AbCdEf"
CELL = "cell-us-west-2-1.prod.a.momentohq.com"


def jwt(**claims: Any) -> str:
    """A token as Momento makes them; its signature is not one, but of the right length."""
    signature = base64.urlsafe_b64encode(bytes(range(100, 132))).decode()
    return f"{_encoded({'alg': 'HS256'})}.{_encoded(claims)}.{signature.rstrip('=')}"


def _encoded(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


V2_KEY = jwt(t="g", jti="6f2b1a5e-57d9-4f4c-8d1e-000000000000")
V1_KEY = jwt(sub="a@b.example", c=f"cache.{CELL}", cp=f"control.{CELL}", ver=1)
INNER_KEY = jwt(sub="a@b.example", ver=1)
LEGACY_KEY = base64.b64encode(json.dumps({"endpoint": CELL, "api_key": INNER_KEY}).encode()).decode()
KEYS = (V2_KEY, V1_KEY, LEGACY_KEY, INNER_KEY)

# Of the form of AWS's session tokens, which is what the agent's token is in Lambda.
AGENT_TOKEN = base64.b64encode(bytes(range(120))).decode()


def shown_of(key: str, text: str) -> list[str]:
    """Return every run of eight characters of a key that a text shows; there must be none."""
    return [key[start : start + 8] for start in range(len(key) - 7) if key[start : start + 8] in text]


def report(error: BaseException) -> str:
    """What an error tracker makes of an error: the chain, and each frame with its local variables."""
    lines: list[str] = []
    link: BaseException | None = error
    while link is not None:
        lines += [str(link), repr(link)]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            # A test's own frames know the key.
            if not frame.f_code.co_filename.startswith(HERE):
                lines += map(_repr, frame.f_locals.values())
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(lines)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - half-made objects of other packages may fail in any way
        return repr(error)


class SecretsManager:
    """moto's Secrets Manager, with what a test wants to keep in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: dict[str, Any] = {}

    def client(self, region: str = REGION) -> Any:
        """A boto3 client, of which one is kept for each region: they cost a tenth of a second."""
        if region not in self._clients:
            session = boto3.session.Session("made-up", "made-up", region_name=region)
            self._clients[region] = session.client("secretsmanager", endpoint_url=self.url)
        return self._clients[region]

    def create(self, name: str, value: str | bytes, region: str = REGION) -> str:
        """Create a secret and return its ARN."""
        kind = "SecretString" if isinstance(value, str) else "SecretBinary"
        return str(self.client(region).create_secret(Name=name, **{kind: value})["ARN"])

    def reset(self) -> None:
        """Forget all secrets."""
        requests.post(f"{self.url}/moto-api/reset", timeout=10).raise_for_status()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[SecretsManager]:
    """moto's server, of which one serves the session."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with closing(SecretsManager("http://{}:{}".format(*server.get_host_and_port()))) as secrets_manager:
        yield secrets_manager
    server.stop()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made-up AWS credentials, and nothing of this machine's own AWS configuration."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", PORT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name in (*agent_source.TOKEN_VARIABLES, "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(agent_source, "TOKEN_FILE", tmp_path / "awssmatoken")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")


@pytest.fixture
def aws(
    moto_server: SecretsManager, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> SecretsManager:
    """An empty Secrets Manager that boto3 finds through its environment."""
    moto_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_server.url)
    wait_for_responses(monkeypatch)
    return moto_server


def wait_for_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sources wait for their servers, which respond in the end, however busy the machine is."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", HANG_GUARD)
    for source in (secrets_manager, agent_source):
        monkeypatch.setattr(source, "CONNECT_TIMEOUT", HANG_GUARD)
        monkeypatch.setattr(source, "READ_TIMEOUT", HANG_GUARD)


@pytest.fixture
def agent(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManagerAgent]:
    """An agent in front of moto's Secrets Manager, where it is looked for, with the token in AWS_TOKEN."""
    running = SecretsManagerAgent(aws.client(), AGENT_TOKEN).start()
    monkeypatch.setenv(PORT_VARIABLE, str(running.port))
    monkeypatch.setenv("AWS_TOKEN", AGENT_TOKEN)
    yield running
    running.stop()


class FakeAws:
    """Answers every request alike; ``requests`` counts them."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"{}"
        self.requests = 0
        self.port = 0

    def refuse(self, code: str, message: str = "No.", status: int = 400) -> None:
        """Respond with an error as services of the JSON 1.1 protocol do."""
        self.status = status
        self.body = json.dumps(
            {"__type": f"com.amazonaws.secretsmanager#{code}", "message": message}
        ).encode()


@pytest.fixture
def fake_aws(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """An HTTP server in Secrets Manager's place, for the answers that moto never gives."""
    fake = FakeAws()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fake.requests += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(fake.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(fake.body)))
            self.end_headers()
            self.wfile.write(fake.body)

        def log_message(self, *args: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.port = server.server_port
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{fake.port}")
        wait_for_responses(monkeypatch)
        yield fake
        server.shutdown()
        thread.join()


@contextmanager
def answering(*pieces: bytes) -> Iterator[int]:
    """A server that reads a request, sends some bytes, and hangs up; answers its port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            for piece in pieces:
                connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def failure(secret_id: str = "momento", stage: str = "AWSCURRENT", region: str | None = REGION) -> str:
    """Fetch a secret that cannot be had; return the message, after making sure that it shows no key."""
    with pytest.raises(CredentialError) as failed:
        get_secret_value(secret_id, stage, region)
    assert failed.value.fix
    whole = report(failed.value)
    assert not [run for key in KEYS for run in shown_of(key, whole)]
    return str(failed.value)
