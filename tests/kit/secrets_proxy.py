"""A proxy before Secrets Manager that counts what goes through it, and holds it up or refuses it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import requests

from tests.kit.waiting import HANG_GUARD


class SecretsProxy:
    """``asked`` is how often GetSecretValue was; while ``passing`` is not set, it waits for its answer."""

    def __init__(self, upstream: str) -> None:
        self.asked = 0
        self.arrived = threading.Event()
        self.passing = threading.Event()
        self.passing.set()
        self.refusal = ""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SecretsProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.passing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            with self._lock:
                self.asked += 1
            self.arrived.set()
            assert self.passing.wait(HANG_GUARD)
            if self.refusal:
                return 400, json.dumps({"__type": self.refusal, "message": "No."}).encode()
        answer = requests.post(self._upstream, data=body, headers=headers, timeout=HANG_GUARD)
        return answer.status_code, answer.content


class _Server(ThreadingHTTPServer):
    # Of more connections at once, the system would let some wait for a second.
    request_queue_size = 128


def _handler(proxy: SecretsProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = proxy.answer(dict(self.headers.items()), body)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Keep the tests' output to the tests."""

    return Handler
