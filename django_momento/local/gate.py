"""A gate in front of the server, for what no gRPC server can do to itself: drop connections, fall silent.

Hands bytes on between clients and the server behind it, and knows nothing of what they mean. Shut, it
still accepts connections and reads, as a network does that loses packets, and hands nothing on.
"""

from __future__ import annotations

import asyncio
import contextlib

CHUNK = 64 * 1024


class Gate:
    """``accepted`` is how many connections there have been since it was made."""

    def __init__(self) -> None:
        self.accepted = 0
        self._delay = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._backend_port = 0

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    async def start(self, host: str, port: int, backend_port: int) -> int:
        """Listen on behalf of a server on this machine; return the port."""
        self._backend_port = backend_port
        self._server = await asyncio.start_server(self._connected, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def block(self) -> None:
        self._open.clear()

    def unblock(self) -> None:
        """Hand on what was held back, and all that follows."""
        self._open.set()

    def delay(self, seconds: float) -> None:
        """Let new connections wait so long before they get through, as those do that come from far away."""
        self._delay = seconds

    def drop(self) -> int:
        """Close all connections; return how many there were."""
        for connection in self._connections:
            connection.cancel()
        return len(self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of its own, because cancelling the one that asyncio made would be reported as an error.
        connection = asyncio.create_task(self._relay(reader, writer))
        self.accepted += 1
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await asyncio.sleep(self._delay)
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._backend_port)
            with contextlib.closing(back_writer):
                ways = [
                    asyncio.create_task(self._pass(reader, back_writer)),
                    asyncio.create_task(self._pass(back_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
