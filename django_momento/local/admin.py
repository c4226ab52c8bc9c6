"""The admin port: what a test does to a running server from outside, by plain HTTP on this machine.

One path an action, named below; a path alone decides, so that a browser or curl will do, and what an
action needs to know is the body. Answers are JSON. It listens on loopback only, because whoever reaches it
needs no key.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

from django_momento.local.dispatch import Dispatcher
from django_momento.local.gate import Gate
from django_momento.local.weather import seconds

HOST = "127.0.0.1"
MAX_BODY = 64 * 1024

Action = Callable[[str], object]


class Admin:
    """Acts on the calls through the dispatcher, and on the connections through the gate."""

    def __init__(self, dispatcher: Dispatcher, gate: Gate) -> None:
        self._server: asyncio.Server | None = None
        self._actions: dict[str, Action] = {
            "/block": lambda body: gate.block(),
            "/unblock": lambda body: gate.unblock(),
            "/drop": lambda body: {"dropped": gate.drop()},
            "/connections": lambda body: {"open": gate.connections, "accepted": gate.accepted},
            "/delay-connections": lambda body: gate.delay(seconds(milliseconds(body))),
            "/delay": lambda body: dispatcher.weather.delay(milliseconds(body)),
            "/fail": lambda body: dispatcher.weather.fail(*failure(body)),
            "/counts": lambda body: dict(dispatcher.calls),
            "/reset-counts": lambda body: dispatcher.calls.clear(),
            "/accept-only": lambda body: dispatcher.accept_only(body.split()),
        }

    async def start(self, port: int) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._connected, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?mi)^content-length: *([0-9]{1,9})\r$", head)
            body = await reader.readexactly(min(int(length[1]), MAX_BODY) if length else 0)
            writer.write(self._answer(head.split(" ", 2)[1], body.decode()))
            await writer.drain()
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            pass  # Not HTTP, or gone: there is nobody to answer.
        finally:
            writer.close()

    def _answer(self, path: str, body: str) -> bytes:
        action = self._actions.get(path)
        if action is None:
            return response("404 Not Found", {"paths": sorted(self._actions)})
        try:
            return response("200 OK", action(body) or {})
        except ValueError as error:
            return response("400 Bad Request", {"error": str(error)})


def milliseconds(body: str) -> int:
    text = body.strip() or "0"
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"A delay is a whole number of milliseconds, such as `5000`, not {text!r}")
    return int(text)


def failure(body: str) -> tuple[str, float]:
    """Read the name of a status, and the share of calls that it is for: all of them, unless one is given."""
    match = re.fullmatch(r"\s*(\S*)(?:\s+(\d{0,9}\.?\d{1,9}))?\s*", body, re.ASCII)
    if match is None:
        text = body.strip()
        raise ValueError(f"A failure is a status and a share, such as `unavailable 0.3`, not {text!r}")
    return match[1], float(match[2] or 1)


def response(status: str, answer: object) -> bytes:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
