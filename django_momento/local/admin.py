"""The admin port: tests change a running server through it, by plain HTTP on this machine.

Each action has a path. The method does not matter, and an argument is the body, so that curl or a browser's
address bar is enough. Responses are JSON.

The port needs no key. So it listens on loopback only, and it refuses requests of web pages: those with
another ``Host``, ``Origin`` or ``Referer`` than its own, and those that a browser marks as coming from
another site.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from .address import is_loopback
from .dispatch import Dispatcher
from .faults import delay_seconds
from .proxy import Proxy

HOST = "127.0.0.1"
MAX_BODY = 64 * 1024

# Seconds. Within them a request must have arrived in full.
REQUEST_TIMEOUT = 5.0

Action = Callable[[str], object]


class Request(NamedTuple):
    path: str
    headers: list[tuple[str, str]]
    body: str

    def values(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]


class Admin:
    """Changes the calls through the dispatcher, and the connections through the proxy."""

    def __init__(self, dispatcher: Dispatcher, proxy: Proxy) -> None:
        self._server: asyncio.Server | None = None
        self._requests: set[asyncio.Task[None]] = set()
        self._port = 0
        self.actions: dict[str, Action] = {
            "/block": lambda body: proxy.block(),
            "/unblock": lambda body: proxy.unblock(),
            "/drop": lambda body: {"dropped": proxy.drop()},
            "/connections": lambda body: {"open": proxy.connections, "accepted": proxy.accepted},
            "/delay-connections": lambda body: proxy.delay(delay_seconds(_parse_milliseconds(body))),
            "/delay": lambda body: dispatcher.faults.delay(_parse_milliseconds(body)),
            "/fail": lambda body: dispatcher.faults.fail(*_parse_failure(body)),
            "/counts": lambda body: {**dispatcher.calls, "operations": dict(dispatcher.operations)},
            "/reset-counts": lambda body: dispatcher.reset_counts(),
            "/accept-only": lambda body: dispatcher.accept_only(body.split()),
        }

    async def start(self, port: int) -> int:
        """Listen. Return the port."""
        self._server = await asyncio.start_server(self._accept, HOST, port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self._port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for request in self._requests:
                request.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A separate task, because asyncio reports an error if its own task is cancelled.
        request = asyncio.create_task(self._serve(reader, writer))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(_read_request(reader), REQUEST_TIMEOUT)
            writer.write(self._respond(request))
            await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # The bytes were not HTTP, or the client has gone or stopped sending.
        finally:
            writer.close()

    def _respond(self, request: Request) -> bytes:
        if reason := self._foreign_reason(request):
            return _response("403 Forbidden", {"error": reason})
        action = self.actions.get(request.path)
        if action is None:
            return _response("404 Not Found", {"paths": sorted(self.actions)})
        try:
            return _response("200 OK", action(request.body) or {})
        except ValueError as error:
            return _response("400 Bad Request", {"error": str(error)})

    def _foreign_reason(self, request: Request) -> str | None:
        """Return why a request is refused as that of a web page, or None if it is not."""
        for host in request.values("host"):
            # A name that DNS resolves to this machine makes a browser send the name of a foreign site here.
            if not _is_this_machine(host):
                return f"The Host {host!r} is not this machine. Use http://{HOST}:{self._port}."
        # Older browsers send an image's request without Origin and Sec-Fetch-Site, but with a Referer.
        referers = [re.split(r"(?<![:/])[/?#]", referer)[0] for referer in request.values("referer")]
        for origin in [*request.values("origin"), *referers]:
            host = origin.removeprefix("http://")
            if not (_is_this_machine(host) and host.endswith(f":{self._port}")):
                return f"Web pages must not send commands, and the Origin {origin!r} is one. Use curl."
        for site in request.values("sec-fetch-site"):
            if site not in ("none", "same-origin"):
                return f"Web pages must not send commands, and Sec-Fetch-Site is {site!r}. Use curl."
        return None


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    split = (line.partition(":") for line in lines)
    headers = [(name.strip().lower(), value.strip()) for name, _, value in split]
    length = re.search(r"(?mi)^content-length: *([0-9]{1,9})\r$", head)
    body = await reader.readexactly(min(int(length[1]), MAX_BODY) if length else 0)
    return Request(request_line.split(" ", 2)[1], headers, body.decode())


def _is_this_machine(host: str) -> bool:
    """Return whether a host, with or without a port, is a loopback address or ``localhost``."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(:[0-9]{1,5})?", host.lower())
    return match is not None and is_loopback(match[1].strip("[]"))


def _parse_milliseconds(body: str) -> int:
    text = body.strip() or "0"
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"A delay is a whole number of milliseconds, such as `5000`, not {text!r}")
    return int(text)


def _parse_failure(body: str) -> tuple[str, float]:
    """Return the name of a status and the share of calls to refuse, which is 1 if it is not given."""
    match = re.fullmatch(r"\s*(\S*)(?:\s+(\d{0,9}\.?\d{1,9}))?\s*", body, re.ASCII)
    if match is None:
        text = body.strip()
        raise ValueError(f"A failure is a status and a share, such as `unavailable 0.3`, not {text!r}")
    return match[1], float(match[2] or 1)


def _response(status: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
