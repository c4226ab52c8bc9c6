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
from .futures import LAST_MOMENT
from .operations import chunks_of, may_be_of_one_key
from .retry import share_pause
from .timers import Timer, call_later

if TYPE_CHECKING:
    from .metering import Tally
    from .transport import Started, Transport

# Keys in one call. One task's large value holds up the others behind it.
MAX_BATCHED_KEYS = 64

Waiters = dict[bytes, list["asyncio.Future[bytes | None]"]]
Tallies = dict["asyncio.Future[bytes | None]", "Tally"]


class GetBatcher:
    """The gets that the tasks of one event loop are about to send to one cache over one transport."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Transport, cache: str) -> None:
        self.loop = loop
        self._transport = transport
        self._cache = cache
        self._wanted: Waiters = {}
        # Of the waiters whose calls are observed.
        self._tallies: Tallies = {}
        self._last: Get
        # Batches in flight, each with the time at which it is given up. One timer looks at all of them.
        self.in_flight: dict[_Batch, float] = {}
        self._timer: Timer | None = None

    def get(self, call: Get, tally: Tally | None = None) -> asyncio.Future[bytes | None]:
        """Return the future of a value, which fails with MomentoCacheError.

        Cancelling it concerns its own waiter alone.
        """
        if not self._wanted:
            self.loop.call_soon(self._send)
        waiter: asyncio.Future[bytes | None] = self.loop.create_future()
        self._wanted.setdefault(call.key, []).append(waiter)
        if tally is not None:
            self._tallies[waiter] = tally
        self._last = call
        return waiter

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, {}
        tallies = self._tallies
        if tallies:
            self._tallies = {}
        if len(wanted) == 1:
            for waiters in wanted.values():
                if waiters[0].done() and _are_done(waiters):
                    return
            self._start(wanted, self._last, tallies)
            return
        keys = [key for key, waiters in wanted.items() if not _are_done(waiters)]
        for chunk in chunks_of(keys, len, MAX_BATCHED_KEYS):
            self._start({key: wanted[key] for key in chunk}, _call_for(chunk), tallies)

    def send_alone(self, wanted: Waiters, tallies: Tallies) -> None:
        """Send one call for each key, because a batch of them failed for a reason that may be one key's."""
        for key, waiters in wanted.items():
            if not _are_done(waiters):
                self._start({key: waiters}, Get(key), tallies)

    def _start(self, wanted: Waiters, call: Call[Any], tallies: Tallies) -> None:
        transport = self._transport
        batch = _Batch(self, transport, self._cache, wanted, call, tallies)
        try:
            batch.sent = transport.start(self._cache, call, None, (batch.schedule_delivery,))
        except BaseException as error:
            batch.fail(error)
            if not isinstance(error, Exception):
                raise
            return
        if tallies and (tally := batch.find_payer()) is not None:
            tally.record_sent(call)
        for waiters in wanted.values():
            for waiter in waiters:
                batch.waiting += 1
                waiter.add_done_callback(batch.forget_waiter)
        self.in_flight[batch] = batch.started + transport.timeout + transport.grace - LAST_MOMENT
        if self._timer is None:
            self._timer = call_later(self.loop, self.in_flight[batch] - batch.started, self._give_up)

    def _give_up(self) -> None:
        """Give up the batches whose end is overdue, and look again when the next one may be.

        Each gets a last moment: this process may have been stopped meanwhile.
        """
        self._timer, now = None, monotonic()
        for batch, until in list(self.in_flight.items()):
            if now < until:
                continue
            if batch.is_overdue:
                batch.give_up()
            else:
                batch.is_overdue = True
                self.in_flight[batch] = now + LAST_MOMENT
        if self.in_flight:
            self._timer = call_later(self.loop, min(self.in_flight.values()) - now, self._give_up)


class _Batch:
    """One call that was sent for several tasks; it is cancelled when none of them waits any more."""

    def __init__(
        self,
        batcher: GetBatcher,
        transport: Transport,
        cache: str,
        wanted: Waiters,
        call: Call[Any],
        tallies: Tallies,
    ) -> None:
        self._batcher = batcher
        self._transport = transport
        self._cache = cache
        self._wanted = wanted
        self._call = call
        self._tallies = tallies
        self.started = monotonic()
        self.sent: Started
        self.waiting = 0
        self.is_overdue = False

    def give_up(self) -> None:
        del self._batcher.in_flight[self]
        self.fail(self._transport.abandon(self._cache, self._call, self.sent))

    def forget_waiter(self, waiter: asyncio.Future[bytes | None]) -> None:
        self.waiting -= 1
        if not self.waiting and waiter.cancelled():
            # Its end says nothing of Momento, so the breaker is not told.
            self._batcher.in_flight.pop(self, None)
            self.sent[0].cancel()

    def schedule_delivery(self, _: Any) -> None:
        # Called on another thread. On a loop that was closed meanwhile, no task waits any more.
        with suppress(RuntimeError):
            self._batcher.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        if self._batcher.in_flight.pop(self, None) is None:
            return  # It was given up.
        try:
            result = self._transport.finish(self._cache, self._call, self.sent[0], self.started)
        except BaseException as error:
            if self._tallies and (tally := self.find_payer()) is not None:
                tally.record_failure(self._call, error)
            if isinstance(error, MomentoCacheError) and may_be_of_one_key(error, self._wanted):
                self._batcher.send_alone(self._wanted, self._tallies)
            else:
                self.fail(error)
            if not isinstance(error, Exception):
                raise
            return
        values = result if self._call.streamed else [result]
        if self._tallies:
            self._record_values(values)
        for waiters, value in zip(self._wanted.values(), values, strict=True):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(value)

    def find_payer(self) -> Tally | None:
        """Return the tally for the cost of the batch, or None if no observed task waits any more."""
        for waiters in self._wanted.values():
            if (tally := self._find_tally(waiters)) is not None:
                return tally
        return None

    def _record_values(self, values: list[bytes | None]) -> None:
        """Add the cost of each key to the tally of the first task that waits for it, or of another one."""
        concern = self._transport.read_concern
        for (key, waiters), value in zip(self._wanted.items(), values, strict=True):
            tally = self._find_tally(waiters) or self.find_payer()
            if tally is not None:
                tally.record_response(Get(key), value, concern)

    def _find_tally(self, waiters: list[asyncio.Future[bytes | None]]) -> Tally | None:
        for waiter in waiters:
            # The event of a task that was cancelled has been made already.
            if not waiter.done() and (tally := self._tallies.get(waiter)) is not None:
                return tally
        return None

    def fail(self, error: BaseException) -> None:
        """Raise an error in every task that waits. The end of the process cancels them instead."""
        if isinstance(error, MomentoCacheError):
            share_pause(error)  # Or the tasks would send a call each when they retry.
        for waiters in self._wanted.values():
            for waiter in waiters:
                if waiter.done():
                    continue
                if isinstance(error, Exception):
                    waiter.set_exception(_copy_of(error))
                else:
                    waiter.cancel()


def _copy_of(error: Exception) -> Exception:
    """Return a copy of an error of ours: each is raised on its own and gathers its own traceback."""
    if not isinstance(error, MomentoCacheError):
        return error
    failure = copy(error)
    failure.__cause__ = error.__cause__
    return failure


def _are_done(waiters: list[asyncio.Future[bytes | None]]) -> bool:
    return all(waiter.done() for waiter in waiters)


def _call_for(keys: tuple[bytes, ...]) -> Call[Any]:
    return Get(keys[0]) if len(keys) == 1 else GetBatch(keys)


class GetBatchers(threading.local):
    """The batchers of one transport, for the event loop that runs on this thread."""

    def get(self, transport: Transport, cache: str) -> GetBatcher:
        """Return the batcher of the running loop for a cache."""
        loop = asyncio.get_running_loop()
        batcher: GetBatcher | None = self.__dict__.get(cache)
        if batcher is None or batcher.loop is not loop:
            batcher = self.__dict__[cache] = GetBatcher(loop, transport, cache)
        return batcher
