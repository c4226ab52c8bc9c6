"""One run of a function at a time: callers that come while it runs wait for that run and share its result.

The function may use the very thing that waits for it: a callable that fetches an API key may call the cache,
or a handler of its log lines may. Such a call would wait for itself, so it gets ``OwnFlight`` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, TypeVar

from ..clock import monotonic
from .deadlocks import is_waiting_for
from .futures import wait_for, wait_on_this_thread
from .interrupts import is_foreign

T = TypeVar("T")

# Seconds.
MAX_WAIT = 60.0

# Seconds before the first look whether the run waits for a thread that waits for it, and at most between two.
_FIRST_LOOK = 0.05
_MAX_LOOK = 1.0

_KEY = "flight"

# The flights that the current thread or task runs, however deeply nested. asyncio.run() and the tools of
# asgiref hand the context on, so that a callable's own event loop is recognized too.
_running: ContextVar[tuple[object, ...]] = ContextVar("django_momento_flights", default=())


class OwnFlight(Exception):
    """The caller is part of the run that it would wait for."""


class _Interrupted(Exception):
    """The thread that ran the function was interrupted. Whoever waited for it runs the function instead."""


class Overdue(Exception):
    """The run has not ended in time. It may wait for the very thread that waits for it."""


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.result: Future[T] = Future()
        # The thread that runs the function. A handler of signals may run on it in another context.
        self.thread: int | None = None

    def is_own(self) -> bool:
        return self.thread == threading.get_ident() or self in _running.get()


class SingleFlight(Generic[T]):
    """Runs ``function`` for any number of callers, threads and event loops, once at a time.

    ``max_wait`` returns the seconds after which a caller gives up a run that another has begun.

    There is no lock: a flight begins and ends by one operation on a dict, so that no signal can leave it half
    begun.
    """

    def __init__(
        self, function: Callable[..., T], thread_name: str, max_wait: Callable[[], float] = lambda: MAX_WAIT
    ) -> None:
        self._function = function
        self._thread_name = thread_name
        self._max_wait = max_wait
        self._flights: dict[str, _Flight[T]] = {}
        self._afterwards: list[Callable[[], object]] = []

    @property
    def is_running(self) -> bool:
        """Whether a run is going on."""
        return bool(self._flights)

    def after(self, act: Callable[[], object]) -> None:
        """Call ``act`` when the run that is going on has ended, such as to write log lines.

        Their handlers may be anybody's, and may use the very thing that waits for the run.
        """
        self._afterwards.append(act)

    def run(self, *args: Any) -> T:
        """Return the result of a run on this thread, or of one that is going on.

        Raises whatever the function raises, OwnFlight if the caller is part of that run, and Overdue.
        """
        while True:
            flight, is_new = self._join()
            if is_new:
                self._fly(flight, args)
            for seconds in self._waits(flight):
                wait_on_this_thread(flight.result, seconds)
            try:
                return flight.result.result()
            except _Interrupted:
                continue

    async def arun(self, *args: Any) -> T:
        """See run(). The function runs on a thread of its own, and the event loop goes on."""
        while True:
            flight, is_new = self._join()
            if is_new:
                self._fly_elsewhere(flight, args)
            for seconds in self._waits(flight):
                await wait_for((flight.result,), shared=True, timeout=seconds)
            try:
                return flight.result.result()
            except _Interrupted:
                continue

    def run_in_background(self, *args: Any) -> None:
        """Begin a run on a thread of its own, unless one is going on."""
        flight, is_new = self._join(is_waiting=False)
        if is_new:
            self._fly_elsewhere(flight, args)

    def _waits(self, flight: _Flight[T]) -> Iterator[float]:
        """Yield the seconds of the next wait until the flight has ended.

        Raises OwnFlight if it waits for this thread, and Overdue.
        """
        until, look = monotonic() + self._max_wait(), _FIRST_LOOK
        while not flight.result.done():
            yield min(look, max(0.0, until - monotonic()))
            look = min(2 * look, _MAX_LOOK)
            thread = flight.thread
            if thread is not None and is_waiting_for(thread, threading.get_ident()):
                raise OwnFlight
            if monotonic() >= until and not flight.result.done():
                raise Overdue

    def _join(self, *, is_waiting: bool = True) -> tuple[_Flight[T], bool]:
        """Return the flight that all callers share, and whether this caller began it."""
        mine: _Flight[T] = _Flight()
        flight = self._flights.setdefault(_KEY, mine)
        if is_waiting and flight is not mine and flight.is_own() and not flight.result.done():
            raise OwnFlight
        return flight, flight is mine

    def _fly_elsewhere(self, flight: _Flight[T], args: tuple[Any, ...]) -> None:
        # Not a thread of an executor: one of the loop's would end with the loop, and others may wait.
        thread = threading.Thread(
            target=partial(self._fly, is_callers=False),
            args=(flight, args),
            name=self._thread_name,
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError as error:  # the process may have no more threads, or be about to end
            self._land(flight)
            flight.result.set_exception(error)

    def _fly(self, flight: _Flight[T], args: tuple[Any, ...], *, is_callers: bool = True) -> None:
        """Run the function. A signal's handler may interrupt the run only if the thread is a caller's."""
        flight.thread = threading.get_ident()
        token = _running.set((*_running.get(), flight))
        try:
            result = self._function(*args)
        except BaseException as error:
            self._land(flight)
            if is_callers and is_foreign(error):
                # From the handler of a signal, which concerns this thread alone.
                flight.result.set_exception(_Interrupted())
                raise
            flight.result.set_exception(error)
        else:
            self._land(flight)
            flight.result.set_result(result)
        finally:
            _running.reset(token)
            while self._afterwards:
                self._afterwards.pop(0)()

    def _land(self, flight: _Flight[T]) -> None:
        """End the flight before its result is told: a caller that hears of a failure may try again."""
        flight.thread = None
        if self._flights.get(_KEY) is flight:
            del self._flights[_KEY]
