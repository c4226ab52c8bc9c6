"""Flights: one computation of a key at a time in this process, which callers of both faces wait for.

The first caller that misses a key leads its flight, and the others wait. When the leader has the value, it
lands the flight and tells the waiters. If the leader fails or is interrupted, it hands the flight over to the
next waiter, who leads then.

There is no lock, because the handler of a signal may raise between any two lines: a flight begins, ends and
changes hands by single operations on dicts, deques and futures. A flight whose leader is gone without a
landing is replaced.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from typing import Any, TypeVar
from weakref import ref

from .. import forking
from ..client.futures import Landing
from ..client.interrupts import is_inside_grpc
from ..client.registry import clients
from .actions import Actions

T = TypeVar("T")

# The landings that are remembered, up to twice as many.
MAX_LANDINGS = 1000

LEAD = object()
"""Tells a waiter that it leads the flight now."""

RETRY = object()
"""Tells a waiter that the flight has ended without a value for it."""

_GIVEN_UP = object()

# The flights that the current thread or task leads, however deeply nested. Tasks, asyncio.run() and the tools
# of asgiref hand the context on, so that calls inside a computation are recognized.
_leading: ContextVar[tuple[Flight, ...]] = ContextVar("django_momento_leading", default=())


class Waiter(Landing):
    """The place of a caller in a flight. Its result is ``LEAD``, ``RETRY`` or the outcome of the flight."""

    def __init__(self, owner: object) -> None:
        super().__init__()
        self.owner = ref(owner)
        # The first one stands.
        self._results: dict[None, object] = {}

    def set_result(self, result: object) -> bool:
        """Tell the caller, and return whether it has not given up."""
        if self._results.setdefault(None, result) is _GIVEN_UP:
            return False
        self.end()
        return True

    def cancel(self) -> bool:
        """Give up, and return whether there was no result."""
        return self._results.setdefault(None, _GIVEN_UP) is _GIVEN_UP

    def result(self) -> Any:
        """Return the result, which is there."""
        return self._results[None]


class Flight:
    """One computation of one key. ``leader`` refers weakly to the call that computes.

    ``is_detached`` tells that the key was deleted since the computation began: its result must not be stored.
    """

    __slots__ = ("has_landed", "is_async", "is_detached", "key", "leader", "thread", "waiters")

    def __init__(self, key: Hashable, leader: object, is_async: bool) -> None:
        self.key = key
        self.leader = ref(leader)
        self.is_async = is_async
        self.thread = threading.get_ident()
        self.has_landed = False
        self.is_detached = False
        self.waiters: deque[Waiter] = deque()

    def is_of_caller(self, is_async: bool) -> bool:
        """Return whether the caller is part of the computation, which would wait for itself.

        A caller that blocks the leader's thread is, too. So is the handler of a signal on that thread, or
        inside gRPC, because the leader may wait for a lock that the interrupted call holds.
        """
        is_on_its_thread = self.thread == threading.get_ident() and not (is_async and self.is_async)
        return is_on_its_thread or self in _leading.get() or is_inside_grpc()


class Flights:
    """The flights of this process by their keys, which name the client, the cache and the full key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        self._ticks = count(1)
        # The number of the newest landing. A caller notes it before it reads.
        self.tick = 0
        # The last landings of two generations, by key, and the numbers at which each generation ended.
        self._landings: dict[Hashable, int] = {}
        self._older_landings: dict[Hashable, int] = {}
        self._older_end = 0
        self._forgotten_end = 0

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: Hashable, caller: object, is_async: bool) -> tuple[Flight | None, Waiter | None]:
        """Return the flight of a key and the caller's place in it, or no place if the caller leads.

        Return no flight if the caller is part of the flight's own computation.
        """
        while True:
            flight = self._begin(key, caller, is_async)
            if flight.leader() is caller:
                return flight, None
            if flight.is_of_caller(is_async):
                return None, None
            waiter = Waiter(caller)
            flight.waiters.append(waiter)
            # If it landed meanwhile, nobody may have seen the waiter.
            if not flight.has_landed or not waiter.cancel():
                return flight, waiter

    def lead(self, key: Hashable, caller: object, is_async: bool) -> Flight | None:
        """Return a new flight that the caller leads, or None if the key has a flight."""
        flight = self._begin(key, caller, is_async)
        return flight if flight.leader() is caller else None

    def _begin(self, key: Hashable, caller: object, is_async: bool) -> Flight:
        mine = Flight(key, caller, is_async)
        while True:
            flight = self._flights.setdefault(key, mine)
            if flight is mine or flight.leader() is not None:
                return flight
            self._end(flight)  # its leader was interrupted between two lines

    def has_landed_since(self, tick: int, key: Hashable) -> bool:
        """Return whether a flight of a key has landed after a tick. It may also be one that is forgotten."""
        landed = self._landings.get(key) or self._older_landings.get(key) or self._forgotten_end
        return landed > tick

    def land(self, flight: Flight) -> bool:
        """End a flight whose value is stored. Return whether there are waiters to tell."""
        tick = next(self._ticks)
        if len(self._landings) >= MAX_LANDINGS:
            self._forgotten_end, self._older_end = self._older_end, tick
            self._older_landings, self._landings = self._landings, {}
        self._landings[flight.key] = tick
        self.tick = tick
        self._end(flight)
        return bool(flight.waiters)

    def tell(self, flight: Flight, outcome: object) -> None:
        """Give an outcome to all waiters of a flight that has landed."""
        flight.has_landed = True
        with suppress(IndexError):
            while True:
                flight.waiters.popleft().set_result(outcome)

    def hand_over(self, flight: Flight) -> None:
        """Let the next waiter lead the flight, or end the flight if there is no waiter."""
        with suppress(IndexError):
            while True:
                waiter = flight.waiters.popleft()
                flight.leader = waiter.owner
                if waiter.set_result(LEAD):
                    return
        self._end(flight)
        self.tell(flight, RETRY)

    def abandon(self, caller: object, led: Flight | None) -> None:
        """Give up the places of a caller that ends without a result, perhaps interrupted between two lines.

        ``led`` is the flight that it has led, which may have ended without a word to those that wait.
        """
        for flight in [*self._flights.values(), *([] if led is None else [led])]:
            for waiter in flight.waiters.copy():
                if waiter.owner() is caller:
                    waiter.cancel()
            if flight.leader() is caller:
                self.hand_over(flight)

    def detach(self, is_concerned: Callable[[Any], bool]) -> None:
        """Let later callers of some keys compute anew, because the keys are deleted now.

        A computation that deletes its own key goes on.
        """
        for flight in list(self._flights.values()):
            if is_concerned(flight.key) and flight not in _leading.get():
                flight.is_detached = True
                self._end(flight)

    def _end(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            self._flights.pop(flight.key, None)

    def forget(self) -> None:
        """Forget all flights, as in a forked child, where neither leaders nor waiters exist."""
        for flight in list(self._flights.values()):
            flight.waiters.clear()
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


def name_flight(cache: Any, key: bytes) -> tuple[object, ...]:
    """Return a name that all callers of a full key share, until a clear() of its prefix."""
    options, generation = cache.options, cache._generation
    place = id(clients.get(options.connection)), options.cache_name, key
    return place if generation is None else (*place, generation.peek())


def detach_flights(cache: Any, keys: Collection[bytes] | None) -> None:
    """Let later callers compute the values of full keys anew, or of all keys. Call it before deleting them.

    A value that was computed from data of before is neither given to them nor stored.
    """
    if not len(flights):
        return
    options = cache.options
    place = id(clients.get(options.connection)), options.cache_name
    if keys is None:
        flights.detach(lambda name: name[:2] == place)
    else:
        names = {name_flight(cache, key) for key in keys}
        flights.detach(names.__contains__)


def leading(flight: Flight, is_async: bool, actions: Actions[T]) -> Actions[T]:
    """Perform actions whose calls are to be recognized as part of the flight."""
    flight.thread, flight.is_async = threading.get_ident(), is_async
    outer, token = _leading.get(), None
    try:
        token = _leading.set((*outer, flight))
        return (yield from actions)
    finally:
        try:  # noqa: SIM105 - suppress() could be interrupted
            # Without a token, an interruption came when it was set.
            _leading.reset(token) if token is not None else _leading.set(outer)
        except ValueError:  # a coroutine may be closed in another context
            pass


flights = Flights()
forking.register(after_in_child=flights.forget)
