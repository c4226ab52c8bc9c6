"""A TCP proxy that delivers everything late: ``python -m benchmarks.delay PORT SECONDS``.

Half of the round trip is added each way. It listens on a free port, which it prints.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress

HOST = "127.0.0.1"


class Late(asyncio.Protocol):
    """One end of a connection: the bytes it receives are written to ``other`` after the delay, in order."""

    def __init__(self, delay: float) -> None:
        self.other: Late
        self.transport: asyncio.Transport | None = None
        self._delay = delay
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        self._waiting.append((self._loop.time() + self._delay, data))
        if len(self._waiting) == 1:
            self._loop.call_later(self._delay, self._deliver)

    def _deliver(self) -> None:
        target = self.other.transport
        if target is None:
            # Not connected yet.
            self._loop.call_later(self._delay, self._deliver)
            return
        while self._waiting and self._waiting[0][0] <= self._loop.time():
            _, data = self._waiting.popleft()
            if target.is_closing():
                continue
            if data is None:
                target.close()
            else:
                target.write(data)
        if self._waiting:
            self._loop.call_at(self._waiting[0][0], self._deliver)


class Entrance(Late):
    """The end at the client, which makes the other."""

    def __init__(self, delay: float, port: int) -> None:
        super().__init__(delay)
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other = Late(self._delay)
        self.other.other = self
        self._connecting = asyncio.ensure_future(
            self._loop.create_connection(lambda: self.other, HOST, self._port)
        )


async def serve(port: int, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Entrance(round_trip / 2, port), HOST, 0, backlog=1000)
    sys.stdout.write(f"Delaying {HOST}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
