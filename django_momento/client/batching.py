"""Gets that tasks of one event loop ask for at the same moment, sent as one call.

A busy loop runs many tasks before it looks at its sockets again. The keys that these tasks read can travel
together: a batch costs a third of the CPU of its gets one by one, and a key that several tasks want is sent
once. No task waits for more keys to come: a batch is sent when the loop has gone round once.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any

from ..clock import monotonic
from ..exceptions import MomentoCacheError
from .calls import Call, Get, GetBatch

if TYPE_CHECKING:
    from .channel import PendingCall
    from .transport import Transport

# Keys in one call. It fails as a whole, and one task's large value holds up the others behind it.
MAX_BATCHED_KEYS = 64

Waiters = dict[bytes, list["asyncio.Future[bytes | None]"]]


class GetBatcher:
    """The gets that the tasks of one event loop are about to send to one cache over one transport."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Transport, cache: str) -> None:
        self.loop = loop
        self._transport = transport
        self._cache = cache
        self._wanted: Waiters = {}
        self._last: Get

    def get(self, call: Get) -> asyncio.Future[bytes | None]:
        """Return the future of a value, which fails with MomentoCacheError.

        Cancelling it concerns its own waiter alone.
        """
        if not self._wanted:
            self.loop.call_soon(self._send)
        waiter: asyncio.Future[bytes | None] = self.loop.create_future()
        self._wanted.setdefault(call.key, []).append(waiter)
        self._last = call
        return waiter

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if len(wanted) == 1:
            _Batch(self.loop, self._transport, self._cache, wanted, self._last).send()
            return
        keys = [key for key, waiters in wanted.items() if not all(waiter.done() for waiter in waiters)]
        for start in range(0, len(keys), MAX_BATCHED_KEYS):
            some = {key: wanted[key] for key in keys[start : start + MAX_BATCHED_KEYS]}
            call = Get(next(iter(some))) if len(some) == 1 else GetBatch(tuple(some))
            _Batch(self.loop, self._transport, self._cache, some, call).send()


class _Batch:
    """One call that was sent for several tasks; it is cancelled when none of them waits any more."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Transport,
        cache: str,
        wanted: Waiters,
        call: Call[Any],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._cache = cache
        self._wanted = wanted
        self._call = call
        self._started = monotonic()
        self._sent: PendingCall
        self._waiting = 0

    def send(self) -> None:
        try:
            self._sent = self._transport.start(self._cache, self._call)
        except MomentoCacheError as error:
            self._fail(error)
            return
        for waiters in self._wanted.values():
            for waiter in waiters:
                self._waiting += 1
                waiter.add_done_callback(self._forget_waiter)
        self._sent.add_done_callback(self._schedule_delivery)

    def _forget_waiter(self, waiter: asyncio.Future[bytes | None]) -> None:
        self._waiting -= 1
        if not self._waiting and waiter.cancelled():
            self._sent.cancel()

    def _schedule_delivery(self, _: Any) -> None:
        # Called on a thread of gRPC's. On a loop that was closed meanwhile, no task waits any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        try:
            result = self._transport.finish(self._cache, self._call, self._sent, self._started)
        except MomentoCacheError as error:
            self._fail(error)
            return
        values = result if self._call.streamed else [result]
        for waiters, value in zip(self._wanted.values(), values, strict=True):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(value)

    def _fail(self, error: MomentoCacheError) -> None:
        for waiters in self._wanted.values():
            for waiter in waiters:
                if not waiter.done():
                    # A copy for each: each is raised on its own and gathers its own traceback.
                    failure = copy(error)
                    failure.__cause__ = error.__cause__
                    waiter.set_exception(failure)


class GetBatchers(threading.local):
    """The batchers of one transport, for the event loop that runs on this thread."""

    def get(self, transport: Transport, cache: str) -> GetBatcher:
        """Return the batcher of the running loop for a cache."""
        loop = asyncio.get_running_loop()
        batcher: GetBatcher | None = self.__dict__.get(cache)
        if batcher is None or batcher.loop is not loop:
            batcher = self.__dict__[cache] = GetBatcher(loop, transport, cache)
        return batcher
