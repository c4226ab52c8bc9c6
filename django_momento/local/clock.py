"""The clocks of the server, which go on while a test has frozen the time of the process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], int]


def _real_clock() -> Callable[[], int]:
    # Partial objects, which freezegun does not replace.
    if hasattr(time, "clock_gettime_ns"):
        return partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
    return partial(time.monotonic_ns)  # Windows


# freezegun looks for modules that it leaves alone in so many frames of the callers of a clock.
_FRAMES = 5


def _shown_clock(depth: int = _FRAMES) -> int:
    """Return the time of the process in nanoseconds, frozen or not.

    All the frames that freezegun looks at are this function's. Else some readings would be frozen and others
    real, because asyncio and threading are among the modules that are left alone.
    """
    return _shown_clock(depth - 1) if depth else time.monotonic_ns()


class MonotonicClock:
    """Return milliseconds that pass with the real time, and with a time that a test has frozen and moves on.

    Without the real time a lock that was released under a frozen time would stay taken, because a release is
    a TTL of a millisecond. When the freeze ends the frozen time goes back, and this clock does not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_real = _real_clock()
        self._real = self._read_real()
        self._shown = self._now = _shown_clock()

    def __call__(self) -> int:
        with self._lock:
            real, shown = self._read_real(), _shown_clock()
            self._now += max(real - self._real, shown - self._shown)
            self._real, self._shown = real, shown
            return self._now // 1_000_000


monotonic_ms = MonotonicClock()


def keep_real_time(loop: asyncio.AbstractEventLoop) -> None:
    """Let the timers of a loop go by the real time, so that delays and heartbeats end under a frozen one."""
    read_real = _real_clock()
    loop.time = lambda: read_real() / 1e9  # type: ignore[method-assign]  # its documented clock
