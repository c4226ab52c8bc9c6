"""Group 5: requests of 300 clients to an ASGI site under uvicorn, one process, six cache operations each.

Once at the bare loopback, once with 2 ms more for every round trip to the cache.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # it has no types

from .clients import DJANGO_REDIS, OURS, REDIS_CACHE
from .load import HOST, Load, get, load
from .measure import Sample, Table, shuffled
from .services import ROOT, delayed
from .settings import ALIAS

CLIENTS = 300
ROUND_TRIP = 0.002
WARM_UP = 1.0


class Site:
    """A site of one contender: a uvicorn process, and the port at which it finds its cache."""

    def __init__(self, process: psutil.Process, port: int, cache_port: int, server: psutil.Process) -> None:
        self.port = port
        self._process = process
        self._cache_port = cache_port
        self._server = server
        self._rss = self._connections = 0

    def measure(self, seconds: float) -> Sample:
        return asyncio.run(self._measure(seconds))

    async def _measure(self, seconds: float) -> Sample:
        loading = asyncio.create_task(load(self.port, CLIENTS, WARM_UP, seconds))
        await asyncio.sleep(WARM_UP)
        before = _cpu(self._process), _cpu(self._server)
        for _ in range(max(1, round(seconds))):
            await asyncio.sleep(seconds / max(1, round(seconds)))
            self._look()
        after = _cpu(self._process), _cpu(self._server)
        return self._sample(await loading, after[0] - before[0], after[1] - before[1])

    def _look(self) -> None:
        self._rss = max(self._rss, self._process.memory_info().rss)
        connections = self._process.net_connections("tcp")
        to_cache = [item for item in connections if item.raddr and item.raddr.port == self._cache_port]
        self._connections = max(self._connections, len(to_cache))

    def _sample(self, result: Load, cpu: float, server_cpu: float) -> Sample:
        requests = max(1, len(result.latencies))
        return {
            "requests/s": result.requests_per_second,
            "p50 ms": result.percentile(50) * 1000,
            "p99 ms": result.percentile(99) * 1000,
            "site CPU ms/request": cpu / requests * 1000,
            "cache server CPU ms/request": server_cpu / requests * 1000,
            "peak RSS MiB": self._rss / 2**20,
            "peak connections": self._connections,
        }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _listening_at(port: int) -> psutil.Process:
    pids = {item.pid for item in psutil.net_connections("tcp") if item.laddr.port == port and not item.raddr}
    return psutil.Process(pids.pop())


@contextmanager
def served(alias: str, momento_port: int, redis_port: int, server: psutil.Process) -> Iterator[Site]:
    """Serve the site with that cache; the socket is opened here, so that its port is known."""
    redis = re.sub(r":\d+/", f":{redis_port}/", os.environ.get("BENCHMARKS_REDIS", ""))
    environment = {
        **os.environ,
        ALIAS: alias,
        "BENCHMARKS_MOMENTO": f"{HOST}:{momento_port}",
        "BENCHMARKS_REDIS": redis,
    }
    with socket.create_server((HOST, 0), backlog=2048) as listening:
        command = [sys.executable, "-m", "uvicorn", "benchmarks.asgi:application"]
        options = ["--fd", str(listening.fileno()), "--log-level", "warning", "--no-access-log"]
        with subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [*command, *options], env=environment, cwd=ROOT, pass_fds=[listening.fileno()]
        ) as process:
            try:
                port = listening.getsockname()[1]
                asyncio.run(get(port, "/fill"))
                cache_port = momento_port if alias == OURS else redis_port
                yield Site(psutil.Process(process.pid), port, cache_port, server)
            finally:
                process.terminate()


def race(group: str, redis_port: int | None, rounds: int, seconds: float) -> list[Table]:
    momento_port = urlsplit(f"//{os.environ['BENCHMARKS_MOMENTO']}").port or 0
    return [
        _race(Table(group, title), (momento_port, redis_port or 0), round_trip, rounds, seconds)
        for title, round_trip in (
            ("six operations a request, on loopback", 0.0),
            ("six operations a request, 2 ms added to every round trip", ROUND_TRIP),
        )
    ]


def _race(table: Table, ports: tuple[int, int], round_trip: float, rounds: int, seconds: float) -> Table:
    sites = {}
    with ExitStack() as stack:
        seen = [
            stack.enter_context(delayed(port, round_trip)) if port and round_trip else port for port in ports
        ]
        for alias in (OURS, DJANGO_REDIS, REDIS_CACHE) if ports[1] else (OURS,):
            table.compare(alias, REDIS_CACHE if ports[1] and alias != REDIS_CACHE else None)
            server = _listening_at(ports[0] if alias == OURS else ports[1])
            sites[alias] = stack.enter_context(served(alias, seen[0], seen[1], server))
        for _ in range(rounds):
            for alias in shuffled(sites):
                table.samples[alias].append(sites[alias].measure(seconds))
                time.sleep(0.5)  # The servers may still have requests to end.
    return table
