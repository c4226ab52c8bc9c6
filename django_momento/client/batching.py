"""Gets that tasks of one event loop ask for at the same moment, sent as one call.

A busy loop runs many tasks before it looks at its sockets again, and what these want to read can travel
together: a batch costs a third of what its gets cost one by one, and a key that several want is asked for
once. Nothing waits for more to come: what is there when the loop has gone round once is sent.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

from .calls import Call, Get, GetBatch
from .fork_gate import gate
from .transport import FAILURES, Link

# Keys in one call. It fails as a whole, and one task's large value holds up the others behind it.
MOST_TOGETHER = 64

Waiters = dict[bytes, list["asyncio.Future[bytes | None]"]]


class Gathering:
    """What the tasks of one event loop are about to ask of one cache over one link."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, cache: str) -> None:
        self.loop = loop
        self.link = link
        self._cache = cache
        self._wanted: Waiters = {}

    def get(self, key: bytes) -> asyncio.Future[bytes | None]:
        """Answer the future of a value, which fails with our own exceptions; whoever cancels it is alone."""
        if not self._wanted:
            self.loop.call_soon(self._send)
        waiter: asyncio.Future[bytes | None] = self.loop.create_future()
        self._wanted.setdefault(key, []).append(waiter)
        return waiter

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, {}
        keys = [key for key, waiters in wanted.items() if not all(waiter.done() for waiter in waiters)]
        for start in range(0, len(keys), MOST_TOGETHER):
            some = tuple(keys[start : start + MOST_TOGETHER])
            _Sent(self, self._cache, {key: wanted[key] for key in some}).go()


class _Sent:
    """One call that was sent for several tasks; it is cancelled when none of them waits any more."""

    def __init__(self, gathering: Gathering, cache: str, wanted: Waiters) -> None:
        self._loop = gathering.loop
        self._link = gathering.link
        self._cache = cache
        self._wanted = wanted
        keys = tuple(wanted)
        self._call: Call[Any] = Get(keys[0]) if len(keys) == 1 else GetBatch(keys)
        self._future: Any = None
        self._waiting = 0

    def go(self) -> None:
        self._passage = gate.enter()
        try:
            self._future = self._link.send(self._cache, self._call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
            self._passage.leave()
            self._fail(error)
            return
        for waiters in self._wanted.values():
            for waiter in waiters:
                self._waiting += 1
                waiter.add_done_callback(self._settled)
        self._future.add_done_callback(self._arrived)

    def _settled(self, waiter: asyncio.Future[bytes | None]) -> None:
        self._waiting -= 1
        if not self._waiting and waiter.cancelled():
            self._future.cancel()

    def _arrived(self, _: Any) -> None:
        # Called on a thread of gRPC's. A loop that was closed meanwhile has nobody who waits any more.
        self._passage.leave()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        try:
            answer = self._link.read(self._call, self._future)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
            self._fail(error)
            return
        values = answer if self._call.streamed else [answer]
        for waiters, value in zip(self._wanted.values(), values, strict=True):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(value)

    def _fail(self, error: Exception) -> None:
        for waiters in self._wanted.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(self._explained(error))

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, FAILURES):
            return error
        # Another for each, because each is raised on its own and gathers its own traceback.
        failure = self._link.explained(self._cache, self._call, error)
        failure.__cause__ = error
        return failure


class Gatherings(threading.local):
    """The gathering of the event loop that runs on this thread."""

    def __init__(self) -> None:
        self._gatherings: dict[str, Gathering] = {}

    def get(self, link: Link, cache: str, key: bytes) -> asyncio.Future[bytes | None]:
        """See Gathering.get()."""
        loop = asyncio.get_running_loop()
        gathering = self._gatherings.get(cache)
        if gathering is None or gathering.loop is not loop or gathering.link is not link:
            gathering = self._gatherings[cache] = Gathering(loop, link, cache)
        return gathering.get(key)
