"""Ports for servers that cannot choose one themselves, and ports at which nobody listens."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"

# The system gives ports from 32,768 on to sockets that name none: a server on one of those, before it starts
# and while it is stopped, may lose it to any other process.
RANGE = range(20_000, 32_000)

# Of the system, because pytest-randomly seeds the others alike in each process.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port of the loopback address that is free, and stays so unless a process asks for it."""
    return next(free_ports())


def free_ports() -> Iterator[int]:
    """Yield ports as ``free_port`` returns them, each of them once."""
    for port in _random.sample(RANGE, len(RANGE)):
        with socket.socket() as server:
            try:
                server.bind((HOST, port))
            except OSError:
                continue
        yield port
    raise AssertionError(f"There is no free port from {RANGE.start} to {RANGE.stop - 1}.")


@contextmanager
def unserved(port: int = 0) -> Iterator[int]:
    """Keep a port for as long as a block takes, and yield it. Connections to it are refused.

    The port of a server that was stopped could be given to a server of another test at once.
    """
    with socket.socket() as kept:
        # Connections of the server that has stopped may linger.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind((HOST, port))
        yield kept.getsockname()[1]
