"""A TCP proxy in front of the server, to drop, block and delay connections as a network does.

The proxy passes bytes on. While it is blocked, it still accepts connections and reads from them, like a
network that loses packets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

CHUNK = 64 * 1024

# Seconds. A connection that was aborted ends in the next turns of the loop.
ABORT_TIMEOUT = 5.0


class Connections:
    """The ends of connections that are not closed yet, also those with bytes left to send."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def add(self, writer: asyncio.StreamWriter) -> None:
        end = asyncio.get_running_loop().create_task(self._wait_closed(writer))
        self._ends[end] = writer
        end.add_done_callback(self._ends.pop)

    def __iter__(self) -> Iterator[asyncio.StreamWriter]:
        return iter(list(self._ends.values()))

    async def abort(self) -> None:
        """Close them all at once, also with bytes left to send, and wait until their sockets are closed."""
        for writer in self:
            writer.transport.abort()
        if self._ends:
            await asyncio.wait(self._ends, timeout=ABORT_TIMEOUT)

    @staticmethod
    async def _wait_closed(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def close(server: asyncio.Server) -> None:
    """Close a server after the connections that it has accepted are made.

    If it were closed before, Python would leave their sockets open (seen with 3.11).
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # the loop of Windows has no readers
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()


class Proxy:
    """``accepted`` counts the connections since the proxy was created."""

    def __init__(self) -> None:
        self.accepted = 0
        self._delay = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._ends = Connections()
        self._server: asyncio.Server | None = None
        self._is_stopped = False
        self._backend_port = 0

    @property
    def connections(self) -> int:
        """Return the number of connections that are open now."""
        return len(self._connections)

    async def start(self, host: str, port: int, backend_port: int) -> int:
        """Listen for a server on this machine. Return the port."""
        self._backend_port = backend_port
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._is_stopped = True
        if self._server is not None:
            await close(self._server)
            self.drop()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._ends.abort()

    def block(self) -> None:
        self._open.clear()

    def unblock(self) -> None:
        """Pass on the bytes that were held back, and all that follow."""
        self._open.set()

    def delay(self, seconds: float) -> None:
        """Delay new connections by so many seconds, as if they came from far away."""
        self._delay = seconds

    def drop(self) -> int:
        """Close all connections. Return their number."""
        for connection in self._connections:
            connection.cancel()
        return len(self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # No coroutine, because asyncio reports an error if its own task is cancelled.
        self._ends.add(writer)
        if self._is_stopped:
            writer.transport.abort()
            return
        connection = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self.accepted += 1
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # A task that is cancelled before it starts closes nothing itself.
        connection.add_done_callback(lambda _: writer.close())

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await asyncio.sleep(self._delay)
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._backend_port)
            self._ends.add(back_writer)
            with contextlib.closing(back_writer):
                directions = [
                    asyncio.create_task(self._pass(reader, back_writer)),
                    asyncio.create_task(self._pass(back_reader, writer)),
                ]
                try:
                    await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for direction in directions:
                        direction.cancel()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
