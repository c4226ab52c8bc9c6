"""The circuit breaker: a dead cache costs one timeout, and not one for each call.

It opens when a call times out while no other succeeds, or after a row of calls that could not be sent. While
it is open, calls are refused at once. After a pause it is half-open: one probe finds out whether Momento is
back. The senders record the outcome of each call, and when the call started. An error that Momento returned,
such as a limit, never opens it.

There is no lock: the handler of a signal may use the cache while its thread is in here. Each step is one that
Python does at once, and an exception between two of them leaves a state that the next call or probe mends.
"""

from __future__ import annotations

import logging
from typing import NamedTuple
from weakref import ref

from ..clock import monotonic
from ..exceptions import CallTimedOut, CircuitOpen, MomentoCacheError, TransportError
from .retry import Backoff

logger = logging.getLogger("django_momento")

# Calls that failed one after another, with no success between them. Such calls fail in milliseconds, so some
# may pass: a server that refuses one call in two must not be given up. It fails ten in a row once in about a
# thousand calls, which a busy process makes in a second, and twenty once in a million. Calls in flight at the
# same moment count as one, because one reset connection fails all of them.
FAILURE_THRESHOLD = 20

# Seconds from the first of them to the last. A process that calls seldom would take long over a whole row,
# and the SDK's connections wait up to two minutes before they try again, whether or not Momento is back.
FAILURE_WINDOW = 1.0

# Seconds between one probe and the next. Recovery takes one of the longest pauses and one probe.
INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 0.5

# Seconds after which a probe that has not ended is given up. It has about one second, but the process may
# have been frozen meanwhile, or its thread may never have run.
PROBE_LEASE = 1.5


class _Row(NamedTuple):
    """Failures one after another, with no success between them."""

    length: int
    began: float
    ended: float


class Probe:
    """The right to find out whether Momento is back. It ends with ``end``, or with its last reference."""

    __slots__ = ("__weakref__", "_breaker", "_number", "began", "is_overdue")

    def __init__(self, breaker: CircuitBreaker, number: int, began: float, *, is_overdue: bool) -> None:
        self._breaker = breaker
        self._number = number
        self.began = began
        # No thread in the background can be relied on: the caller should send the probe on its own thread.
        self.is_overdue = is_overdue

    def end(self, *, has_succeeded: bool, was_late: bool = False) -> None:
        """Record the outcome. Any response, an error of Momento's too, closes the breaker."""
        self._breaker._end_probe(self._number, self.began, has_succeeded, was_late)  # noqa: SLF001 - its own breaker


class CircuitBreaker:
    """Judges one connection: ``is_open`` is read before each call, ``last_success`` set after each response.

    Both are plain attributes because a call that succeeds must cost next to nothing. ``last_success`` is the
    time when the last call that succeeded had started, by ``clock.monotonic``.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.last_success = 0.0
        # The value of ``last_success`` that a probe has set, and no call.
        self.closed_with = -1.0
        self.openings = 0
        self._row: _Row | None = None
        # Empty while it is open. Of several threads that open it at once, the one that takes the fuse counts.
        self._fuse = [True]
        self._backoff = Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
        self._pause = INITIAL_BACKOFF
        self._probe_at = 0.0
        # Whether the last probe ended long after its time, as in a process that is frozen between calls.
        self._was_late = False
        # The current probe by its number. Whoever is first to set a number's probe has it.
        self._probes: dict[int, ref[Probe]] = {}
        self._number = 0
        # The text of the error that opened it. The error itself would keep the frames it was raised in, and
        # with them the connections that are given up.
        self._cause = self._fix = ""

    def record_failure(self, error: MomentoCacheError, started: float) -> bool:
        """Record a call that failed; return whether that opened the breaker."""
        if error.is_unsent:
            return False
        if not isinstance(error, TransportError):
            self.last_success = max(self.last_success, started)
            return False
        # Another call that started with it or later succeeded: Momento is alive.
        if self.is_open or self.last_success >= started:
            return False
        row = self._lengthen_row(started)
        is_enough = row.length >= FAILURE_THRESHOLD or started - row.began > FAILURE_WINDOW
        return (is_enough or isinstance(error, CallTimedOut)) and self._open(error)

    def open_with(self, other: CircuitBreaker, started: float) -> None:
        """Open as another connection to the same place did, because of a call that started then.

        Nothing is done if a call on this connection that started with it or later succeeded.
        """
        if not self.is_open and self.last_success < started:
            self._trip(other._cause, other._fix)

    def close(self, began: float) -> None:
        """Close after a probe that began then succeeded."""
        # Calls that are in flight since before it prove nothing any more, however they end.
        self.last_success = self.closed_with = max(self.last_success, began)
        self._row = None
        self._fuse = [True]
        self.is_open = False

    def refusal(self) -> CircuitOpen:
        """Return the error for a call that is not sent because the breaker is open."""
        return CircuitOpen(
            f"Momento is not asked until it answers again, because of: {self._cause}", self._fix
        )

    def half_open(self) -> Probe | None:
        """Return the probe that the caller is to send, or None if none is due or another caller has it."""
        number, now = self._number, monotonic()
        if not self.is_open or now < self._probe_at:
            return None
        current = self._probes.get(number)
        if current is not None:
            probe = current()
            if probe is not None and now - probe.began < PROBE_LEASE:
                return None
            # Given up. Every thread that sees it takes the same next number.
            self._number = number = number + 1
        is_overdue = self._was_late or current is not None or now - self._probe_at >= self._pause
        ours = Probe(self, number, now, is_overdue=is_overdue)
        if self._probes.setdefault(number, mine := ref(ours)) is not mine:
            return None
        self._probes.pop(number - 2, None)
        self._probe_at = now + self._draw_pause()
        return ours

    def _lengthen_row(self, started: float) -> _Row:
        row = self._row
        if row is None or self.last_success > row.began:
            row = _Row(0, started, started)
        if started >= row.ended:
            row = _Row(row.length + 1, row.began, monotonic())
        self._row = row
        return row

    def _open(self, error: MomentoCacheError) -> bool:
        self._trip(error.cause, error.fix)
        try:
            self._fuse.pop()
        except IndexError:
            return False
        self.openings += 1
        return True

    def _trip(self, cause: str, fix: str) -> None:
        self._cause, self._fix = cause, fix
        self._backoff.reset()
        self._probe_at = monotonic() + self._draw_pause()
        self.is_open = True

    def _end_probe(self, number: int, began: float, has_succeeded: bool, was_late: bool) -> None:
        self._was_late = was_late
        if has_succeeded:
            self.close(began)
        elif number == self._number:
            self._probe_at = monotonic() + self._pause
        self._number = max(self._number, number + 1)

    def _draw_pause(self) -> float:
        self._pause = self._backoff.next()
        return self._pause


class Unbroken(CircuitBreaker):
    """Never opens. For the control plane, whose failures prove nothing of the data plane."""

    def record_failure(self, error: MomentoCacheError, started: float) -> bool:
        return False


class Breakers:
    """The circuit breakers of one endpoint: one for each connection, because one may fail alone.

    ``sdk`` judges the connection of the SDK's client and ``own`` our own channel. ``control`` never opens.
    ``is_open`` says whether any of them is: a plain attribute, read before each call.
    """

    def __init__(self) -> None:
        self.sdk = CircuitBreaker()
        self.own = CircuitBreaker()
        self.control = Unbroken()
        self.is_open = False

    @property
    def openings(self) -> int:
        """How often a breaker opened. One that opened with another does not count."""
        return self.sdk.openings + self.own.openings

    def record_failure(self, breaker: CircuitBreaker, error: MomentoCacheError, started: float) -> None:
        """Record a call that failed on the connection of a breaker."""
        if not breaker.record_failure(error, started):
            return
        self.is_open = True
        for other in (self.sdk, self.own):
            other.open_with(breaker, started)
        logger.warning("Momento is not asked until it answers a probe: %s", error.cause)

    def close(self, began: float) -> None:
        """Close all of them after a probe that began then succeeded: it has led to new connections."""
        self.is_open = False
        for breaker in (self.sdk, self.own):
            breaker.close(began)
