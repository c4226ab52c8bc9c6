"""Clients for a web server: each asks, waits for the answer, and asks again, over one connection.

Much lighter than an HTTP library, so that the machine is left to the measured code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

HOST = "127.0.0.1"


@dataclass
class Load:
    """What came of it: the latencies, in seconds, of the requests answered between warm-up and end."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def requests_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


class Refused(Exception):
    """The server answered something other than 200."""


async def load(port: int, clients: int, warm_up: float, seconds: float) -> Load:
    """Let that many clients ask for pages; the last requests are waited for but not counted."""
    result, visitors, begin = Load(seconds), count(), time.perf_counter() + warm_up
    await asyncio.gather(*(_client(port, visitors, begin, result) for _ in range(clients)))
    return result


async def _client(port: int, visitors: Iterator[int], begin: float, result: Load) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        end = begin + result.seconds
        while (asked := time.perf_counter()) < end:
            await _get(reader, writer, f"/page/{next(visitors)}")
            if begin <= (answered := time.perf_counter()) < end:
                result.latencies.append(answered - asked)
    finally:
        writer.close()


async def get(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        await _get(reader, writer, path)
    finally:
        writer.close()


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    status, _, rest = head.partition(b"\r\n")
    if b" 200 " not in status:
        raise Refused(status.decode())
    for line in rest.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
