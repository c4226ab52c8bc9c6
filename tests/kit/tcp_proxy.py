"""A TCP proxy in front of a server: slow to connect, silent, trickling, or cutting its connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from concurrent.futures import Future
from types import TracebackType

from django_momento.local.proxy import Connections, close

# Closing a socket with this option resets the connection.
_LINGER_NOT = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards connections to an address. Its attributes may be changed at any time.

    ``connect_seconds`` pass before the first byte of a new connection is forwarded. ``is_silent`` holds all
    bytes back. ``bytes_per_second`` bounds what each connection returns.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = host, int(port)
        self.connect_seconds = 0.0
        self.is_silent = False
        self.bytes_per_second = float("inf")
        self.connections = 0
        self._ends = Connections()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        self._loop, self._ended, self.port = self._begun.result(60)
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.reset()
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def reset(self) -> None:
        """Reset all connections, as a load balancer does that has forgotten them."""

        async def reset() -> None:
            for writer in self._ends:
                raw: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(reset(), self._loop).result(60)

    async def _run(self) -> None:
        ended = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._begun.set_result((asyncio.get_running_loop(), ended, server.sockets[0].getsockname()[1]))
        await ended.wait()
        await close(server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ends.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # No coroutine: one that is cancelled before it starts closes nothing.
        self.connections += 1
        self._ends.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(self.connect_seconds)
            there, back = await asyncio.open_connection(*self._target)
            self._ends.add(back)
            try:
                await asyncio.gather(self._forward(reader, back), self._return(there, writer))
            finally:
                back.close()
        except OSError:
            pass
        finally:
            writer.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            await self._hold_back()
            sink.write(chunk)
            await sink.drain()
        raise ConnectionResetError

    async def _return(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            await self._hold_back()
            while chunk:
                size = len(chunk)
                if self.bytes_per_second < float("inf"):
                    size = min(size, max(1, int(self.bytes_per_second / 10)))
                    await asyncio.sleep(size / self.bytes_per_second)
                sink.write(chunk[:size])
                await sink.drain()
                chunk = chunk[size:]
        raise ConnectionResetError

    async def _hold_back(self) -> None:
        while self.is_silent:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.02)
