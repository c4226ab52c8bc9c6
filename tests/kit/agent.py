"""An AWS Secrets Manager Agent: the documented requests and answers over HTTP, in front of a boto3 client.

``python -m tests.kit.agent`` serves until it is terminated, on a free port, with the token in ``AWS_TOKEN``
and the Secrets Manager that boto3 finds; it prints ``Agent listening on HOST:PORT``.

Source: the agent's public documentation and the behaviour of its public source.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from botocore.exceptions import ClientError, EndpointConnectionError

HOST = "127.0.0.1"
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"
PARAMETERS = {"secretId", "versionId", "versionStage", "refreshNow", "roleArn"}
TTL = 300.0

NOT_READY = (400, "not ready to serve traffic, please wait")


class Request(NamedTuple):
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class SecretsManagerAgent:
    """``requests`` are what it was asked, ``fetches`` how often it asked AWS. ``client`` is boto3's.

    ``assume`` returns boto3's client with the credentials of a role.
    """

    def __init__(self, client: Any, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = client
        self.assume: Callable[[str], Any] = lambda role: client
        self.token = token
        self.requests: list[Request] = []
        self.fetches = 0
        self._clock = clock
        self._cache: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._to_say: list[tuple[int, str]] = []
        self._server = _Server((HOST, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return self._server.server_port

    def say(self, status: int, text: str, times: int = 1) -> None:
        """Respond to the next requests so, whatever they ask for."""
        self._to_say += [(status, text)] * times

    def start(self) -> SecretsManagerAgent:
        self._thread.start()
        return self

    def forget(self) -> None:
        """Forget all secrets and requests, as an agent that was started again."""
        self._cache.clear()
        self._to_say.clear()
        self.requests.clear()
        self.fetches = 0

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Give up the port of an agent that was not started."""
        self._server.server_close()

    def answer(self, request: Request) -> str:
        """Return the response to a request, as the agent does; raises Refused."""
        self.requests.append(request)
        if self._to_say:
            status, text = self._to_say.pop(0)
            if status != 200:
                raise Refused(status, text)
            return text
        if request.path == "/ping":
            return "healthy"
        if "X-Forwarded-For" in request.headers:
            raise Refused(400, "Forwarded")
        if request.headers.get(TOKEN_HEADER) != self.token:
            raise Refused(403, "Bad Token")
        if request.path != "/secretsmanager/get":
            raise Refused(404, "Not found")
        return self._secret(request.query)

    def _secret(self, query: dict[str, str]) -> str:
        unknown = query.keys() - PARAMETERS
        if unknown:
            raise Refused(400, f"unknown parameter: {unknown.pop()}")
        if not query.get("secretId"):
            raise Refused(400, "missing parameter secretId")
        secret = query["secretId"], query.get("versionStage", "AWSCURRENT"), query.get("roleArn", "")
        with self._lock:
            expires, text = self._cache.get(secret, (0.0, ""))
            if not text or self._clock() >= expires or query.get("refreshNow") in ("true", "1"):
                text = self._fetched(*secret)
                self._cache[secret] = self._clock() + TTL, text
            return text

    def _fetched(self, secret_id: str, stage: str, role: str) -> str:
        self.fetches += 1
        client = self.assume(role) if role else self.client
        try:
            answer = client.get_secret_value(SecretId=secret_id, VersionStage=stage)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise Refused(status, f'{{"__type":"{code}", "message":"{message}"}}') from None
        except EndpointConnectionError:
            raise Refused(502, '{"__type":"ConnectionError", "message":"Read Error"}') from None
        document = {name: answer[name] for name in ("ARN", "Name", "VersionId", "VersionStages")}
        document["CreatedDate"] = str(answer["CreatedDate"].timestamp())
        if "SecretString" in answer:
            document["SecretString"] = answer["SecretString"]
        else:
            document["SecretBinary"] = base64.b64encode(answer["SecretBinary"]).decode()
        return json.dumps(document)


class _Server(ThreadingHTTPServer):
    # Of more connections at once, the system would let some wait for a second.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback if a client has hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(agent: SecretsManagerAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            request = Request(url.path, dict(parse_qsl(url.query)), dict(self.headers.items()))
            try:
                status, text = 200, agent.answer(request)
            except Refused as refused:
                status, text = refused.status, refused.text
            body = text.encode()
            with suppress(ConnectionError):  # A client may have heard enough before the end.
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Keep the tests' output to the tests."""

    return Handler


def main() -> None:
    import boto3

    agent = SecretsManagerAgent(boto3.session.Session().client("secretsmanager"), os.environ["AWS_TOKEN"])
    agent.start()
    sys.stdout.write(f"Agent listening on {HOST}:{agent.port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
