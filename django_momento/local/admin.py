"""The admin port: what a test does to a running server from outside, by plain HTTP on this machine.

One path an action, named below; a path alone decides, so that a browser or curl will do. Answers are
JSON. It listens on loopback only, because whoever reaches it needs no key.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

from django_momento.local.dispatch import Dispatcher
from django_momento.local.gate import Gate

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
        return response("200 OK", action(body) or {})


def response(status: str, answer: object) -> bytes:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
