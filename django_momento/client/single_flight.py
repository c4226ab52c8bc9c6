"""One run of a function at a time: callers that come while it runs wait for that run and share its result.

The function may use the very thing that waits for it: a callable that fetches an API key may call the cache,
or a handler of its log lines may. Such a call would wait for itself, so it gets ``OwnFlight`` instead.

The handler of a signal may raise an exception between any two lines. It concerns the interrupted caller
alone: if that caller runs the function, one of those that wait runs it anew.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from ..clock import monotonic
from ..interruption import raise_foreign
from .deadlocks import is_waiting_for
from .futures import Landing, wait_for, wait_on_this_thread
from .interrupts import release_interrupted_locks

T = TypeVar("T")
Outcome = tuple[T | None, BaseException | None]
"""The result or the error of a run."""

# Seconds.
MAX_WAIT = 60.0

# Runs of one async caller that are interrupted, as when another thread raises exceptions in theirs.
_MAX_INTERRUPTED = 3

# Seconds before the first look whether the run waits for a thread that waits for it, and at most between two.
_FIRST_LOOK = 0.05
_MAX_LOOK = 1.0

_KEY = "flight"

# The flights that the current thread or task runs, however deeply nested. asyncio.run() and the tools of
# asgiref hand the context on, so that a callable's own event loop is recognized too.
_running: ContextVar[tuple[object, ...]] = ContextVar("django_momento_flights", default=())


class OwnFlight(Exception):
    """The caller is part of the run that it would wait for."""


class Overdue(Exception):
    """The run has not ended in time. It may wait for the very thread that waits for it."""


class _Flight(Landing, Generic[T]):
    """One run of the function."""

    def __init__(self) -> None:
        super().__init__()
        # The thread that begins the flight, and the one that runs the function. A handler of signals may run
        # on either in another context.
        self.beginner: int | None = threading.get_ident()
        self.thread: int | None = None
        # The first outcome stands. It is None if the run was interrupted.
        self._outcomes: deque[Outcome[T] | None] = deque()
        self._runners: dict[None, int] = {}

    def is_own(self) -> bool:
        return threading.get_ident() in (self.thread, self.beginner) or self in _running.get()

    def claim(self) -> bool:
        """Return whether this thread decides on the run, because it is the first that claims the flight."""
        us = threading.get_ident()
        return self._runners.setdefault(None, us) == us

    def outcome(self) -> Outcome[T] | None:
        """Return the outcome of a run that has ended, or None if it was interrupted."""
        return self._outcomes[0]

    def land(self, outcome: Outcome[T] | None) -> None:
        self.thread = self.beginner = None
        self._outcomes.append(outcome)
        self.end()


class SingleFlight(Generic[T]):
    """Runs ``function`` for any number of callers, threads and event loops, once at a time.

    ``max_wait`` returns the seconds after which a caller gives up a run that another has begun.

    There is no lock: a flight begins, gets its runner and ends by single operations on dicts and deques.
    """

    def __init__(
        self, function: Callable[..., T], thread_name: str, max_wait: Callable[[], float] = lambda: MAX_WAIT
    ) -> None:
        self._function = function
        self._thread_name = thread_name
        self._max_wait = max_wait
        self._flights: dict[str, _Flight[T]] = {}
        self._afterwards: deque[Callable[[], object]] = deque()

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
            mine: _Flight[T] = _Flight()
            try:
                flight = self._join(mine)
                if flight is mine:
                    self._fly(mine, args)
                for seconds in self._waits(flight):
                    wait_on_this_thread(flight, seconds)
            except BaseException:
                self._abandon(mine)
                raise
            if (outcome := flight.outcome()) is not None:
                return _result_of(outcome)

    async def arun(self, *args: Any) -> T:
        """See run(). The function runs on a thread of its own, and the event loop goes on."""
        interrupted = 0
        while interrupted < _MAX_INTERRUPTED:
            mine: _Flight[T] = _Flight()
            try:
                flight = self._join(mine)
                if flight is mine:
                    self._fly_elsewhere(mine, args)
                for seconds in self._waits(flight):
                    await wait_for((flight,), shared=True, timeout=seconds)
            except BaseException:
                self._abandon(mine)
                raise
            if (outcome := flight.outcome()) is not None:
                return _result_of(outcome)
            interrupted += flight is mine
        raise Overdue

    def run_in_background(self, *args: Any) -> bool:
        """Begin a run on a thread of its own, unless one is going on.

        Return False if no thread can start.
        """
        mine: _Flight[T] = _Flight()
        try:
            return self._flights.setdefault(_KEY, mine) is not mine or self._fly_elsewhere(mine, args)
        except BaseException:
            self._abandon(mine)
            raise

    def _waits(self, flight: _Flight[T]) -> Iterator[float]:
        """Yield the seconds of the next wait until the flight has ended.

        Raises OwnFlight if it waits for this thread, and Overdue. A flight that is overdue is replaced.
        """
        until, look = monotonic() + self._max_wait(), _FIRST_LOOK
        while not flight.done():
            yield min(look, max(0.0, until - monotonic()))
            look = min(2 * look, _MAX_LOOK)
            thread = flight.thread
            if thread is not None and is_waiting_for(thread, threading.get_ident()):
                raise OwnFlight
            if monotonic() >= until and not flight.done():
                self._remove(flight)
                raise Overdue

    def _join(self, mine: _Flight[T]) -> _Flight[T]:
        """Return the flight that all callers share, which is this caller's own if there was none."""
        flight = self._flights.setdefault(_KEY, mine)
        if flight is not mine and flight.is_own() and not flight.done():
            raise OwnFlight
        return flight

    def _fly_elsewhere(self, flight: _Flight[T], args: tuple[Any, ...]) -> bool:
        """Run the function on a thread of its own. If none can start, end the flight and return False."""

        # Not a thread of an executor: one of the loop's would end with the loop, and others may wait.
        def run() -> None:
            if flight.claim():
                try:
                    self._fly(flight, args)
                finally:
                    # An exception that another thread raised in this one concerns no caller.
                    self._land(flight, None)

        try:
            threading.Thread(target=run, name=self._thread_name, daemon=True).start()
        except Exception as error:  # noqa: BLE001 - threads fail to start in several ways
            raise_foreign(error)
            self._land(flight, (None, error))
            return False
        finally:
            flight.beginner = None
        return True

    def _fly(self, flight: _Flight[T], args: tuple[Any, ...]) -> None:
        """Run the function to its end. Raises exceptions from outside, which concern this thread alone."""
        flight.thread = threading.get_ident()
        token = _running.set((*_running.get(), flight))
        try:
            outcome: Outcome[T] = self._function(*args), None
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            release_interrupted_locks(error)
            raise_foreign(error)
            outcome = None, error
        finally:
            _running.reset(token)
        self._land(flight, outcome)

    def _abandon(self, flight: _Flight[T]) -> None:
        """End a flight whose caller was interrupted, unless a thread of its own runs it."""
        if flight.claim():
            self._land(flight, None)

    def _land(self, flight: _Flight[T], outcome: Outcome[T] | None) -> None:
        """End the flight before its result is told: a caller that hears of a failure may try again."""
        try:
            self._remove(flight)
            flight.land(outcome)
        finally:
            # The handlers of log lines may wait for a flight, which would wait for them in turn.
            while self._afterwards and not self._flights:
                with suppress(IndexError):
                    self._afterwards.popleft()()

    def _remove(self, flight: _Flight[T]) -> None:
        if self._flights.get(_KEY) is flight:
            self._flights.pop(_KEY, None)


def _result_of(outcome: Outcome[T]) -> T:
    result, error = outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # the function's own, because there is no error
