"""A connection that is made when it is first used, and anew when it may have died of idleness.

A frozen Lambda container wakes to a connection that the load balancer has dropped, and a call over it would
only find out by its deadline. So a line that was idle for nearly as long as the load balancer allows is
replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from time import time
from typing import Generic, TypeVar

from ..exceptions import ServerError

T = TypeVar("T")

# Seconds. Momento's load balancer drops a connection after 300.
LONGEST_IDLE = 240.0

# gRPC lets channels share a connection, and its pauses between attempts to connect, if all their arguments
# are equal. A line that is to be new therefore has a generation of its own, which goes into the arguments.
_generations = count()


class Line(Generic[T]):
    """What ``connect`` answers for a generation, kept while it is used.

    ``connect`` comes with each use: a line that kept a method of its owner would keep the owner, and so its
    own connection, until the next garbage collection.

    What is replaced or given up is only let go of: it closes when the last call on it has ended, and never
    under a call, which grpc would not survive.
    """

    def __init__(self, generation: int | None = None) -> None:
        self._opened: T | None = None
        # Wall time: what a monotonic clock does while a container is frozen is not said anywhere.
        self._used = 0.0
        self._lock = threading.Lock()
        self._closed = False
        self.generation = next(_generations) if generation is None else generation

    def opened(self, connect: Callable[[int], T]) -> T:
        """Answer the connection. Raises ServerError after ``close``."""
        now = time()
        opened = self._opened
        if opened is None or abs(now - self._used) > LONGEST_IDLE:
            return self._reopened(now, connect)
        self._used = now
        return opened

    def close(self) -> None:
        """Let go of the connection, and refuse to make another."""
        with self._lock:
            self._closed = True
            self._opened = None

    def _reopened(self, now: float, connect: Callable[[int], T]) -> T:
        with self._lock:
            if self._closed:
                raise ServerError("This client of Momento is closed.")
            if self._opened is not None and abs(now - self._used) > LONGEST_IDLE:
                self._opened = None
                self.generation = next(_generations)
            if self._opened is None:
                self._opened = connect(self.generation)
            self._used = now
            return self._opened
