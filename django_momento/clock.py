"""Clocks that a test's frozen time does not reach: for pauses, expiries and circuit breakers.

freezegun, time-machine and ``mock.patch`` replace ``time.time``, and some of them ``time.monotonic``. A
circuit breaker that opened under a frozen clock would then stay open: its next probe would never be due.

freezegun replaces every attribute of a module that is one of the functions it knows, so both clocks here are
partial objects. time-machine replaces the C function of ``time.time`` and the real-time clock of
``clock_gettime``. It leaves the other clocks alone, so ``wall`` reads the coarse one where the system has it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

# CLOCK_REALTIME_COARSE, for which Python's time module has no name. It is exact to a few milliseconds.
_REALTIME_COARSE = 5


def _monotonic_clock() -> Callable[[], float]:
    if hasattr(time, "clock_gettime"):
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return partial(time.monotonic)  # Windows


def _wall_clock() -> Callable[[], float]:
    clock: Callable[[], float] = partial(time.time)  # time-machine reaches this one
    if sys.platform == "linux":
        coarse = partial(time.clock_gettime, _REALTIME_COARSE)
        with suppress(OSError):  # a kernel without it
            coarse()
            clock = coarse
    return clock


monotonic = _monotonic_clock()
"""Return seconds that only ever grow, from an arbitrary start."""

wall = _wall_clock()
"""Return the seconds since the epoch."""


def polls(seconds: float, pause: float) -> Iterator[None]:
    """Go round a loop that waits, with a ``pause`` between two looks, for so many ``seconds``.

    A pause counts as ten at most. If the process was stopped meanwhile, or the machine was busy, its other
    threads did not run either.
    """
    left, before = seconds, monotonic()
    while left > 0:
        yield
        time.sleep(pause)
        now = monotonic()
        left -= min(now - before, 10 * pause)
        before = now
