"""The circuit breaker: a dead cache costs one timeout, and not one for each call.

It opens when a call times out while no other succeeds, or after a run of calls that could not be sent. While
it is open, calls are refused at once, and every now and then one probe finds out whether Momento is back. It
knows neither calls nor clocks: those who send tell it what became of what they sent, and when that started.
A limit that was hit is an answer: it never opens the breaker.
"""

from __future__ import annotations

import threading

from ..clock import monotonic
from ..exceptions import CallTimedOut, CircuitOpen, MomentoCacheError, TransportError
from .retry import Backoff

# Calls that failed one after the other, none between them succeeding. Such calls fail in milliseconds, so
# some may pass: a server that refuses one call in three must not be given up, and where many calls are in
# flight, five of them in a row are nothing rare.
LONGEST_RUN = 10

# Seconds from the first of them to the last. A process that calls seldom would take long over a run, and the
# SDK's connections wait up to two minutes before they try again, whether or not Momento is back.
LONGEST_SPELL = 1.0

# Seconds between one probe and the next. Recovery takes one of the longest pauses and one probe.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 0.5


class CircuitBreaker:
    """``is_open`` is read before each call, and ``last_success`` is set after each that was answered.

    Both are plain attributes because the way of a call that succeeds must cost next to nothing.
    """

    def __init__(self) -> None:
        self.is_open = False
        # When the last call that was answered had started, by monotonic().
        self.last_success = 0.0
        self.openings = 0
        self._lock = threading.Lock()
        self._pauses = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._run = 0
        self._run_began = 0.0
        self._probe_at = 0.0
        self._probing = False
        self._probe_began = 0.0
        # The words of the error that opened it. The error itself would keep the frames it was raised in, and
        # with them the connections that are given up.
        self._cause = self._fix = ""

    def record_failure(self, error: MomentoCacheError, started: float) -> bool:
        """Take note of a call that failed; return whether that opened the breaker."""
        if not isinstance(error, TransportError):
            self.last_success = started
            return False
        with self._lock:
            # Another call that started with it or later was answered: Momento is alive.
            if self.is_open or self.last_success >= started:
                return False
            if self._run == 0 or self.last_success > self._run_began:
                self._run, self._run_began = 0, started
            self._run += 1
            is_enough = self._run >= LONGEST_RUN or started - self._run_began > LONGEST_SPELL
            if not is_enough and not isinstance(error, CallTimedOut):
                return False
            self._cause, self._fix = error.cause, error.fix
            self._pauses.reset()
            self._probe_at = monotonic() + self._pauses.next()
            self.is_open = True
            self.openings += 1
            return True

    def refusal(self) -> CircuitOpen:
        """Answer the error for a call that is not sent because the breaker is open."""
        return CircuitOpen(
            f"Momento is not asked until it answers again, because of: {self._cause}", self._fix
        )

    def may_probe(self) -> bool:
        """Answer whether it is time for a probe, which the caller then owes: ``probed`` ends it."""
        with self._lock:
            if not self.is_open or self._probing or monotonic() < self._probe_at:
                return False
            self._probing = True
            self._probe_began = monotonic()
            return True

    def probed(self, answered: bool) -> None:
        """Take note of a probe's end: an answer, of whatever kind, closes the breaker."""
        with self._lock:
            self._probing = False
            if answered:
                # Calls that are in flight since before it say nothing any more, however they end.
                self.last_success = max(self.last_success, self._probe_began)
                self.is_open = False
                self._run = 0
            else:
                self._probe_at = monotonic() + self._pauses.next()
