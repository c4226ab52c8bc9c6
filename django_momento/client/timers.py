"""Timers of an event loop that also end while a test has frozen the time.

An event loop keeps its timers by ``time.monotonic``. If freezegun or ``mock.patch`` has replaced that
function, no timer of the loop ends before the frozen time does. A thread waits instead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from ..clock import monotonic
from .readers import threads

# Seconds. An event loop may read its clock only once a turn, so a busy one is late by as much as it is busy.
MAX_DIFFERENCE = 1.0


class Timer(Protocol):
    def cancel(self) -> object: ...


def call_later(loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]) -> Timer:
    """Call a function in the loop after so many real seconds, unless the timer is cancelled before."""
    return call_at(loop, loop.time() + seconds, callback)


def call_at(loop: asyncio.AbstractEventLoop, when: float, callback: Callable[[], object]) -> Timer:
    """Call a function at a time of ``loop.time()``. See call_later()."""
    if _is_frozen(loop):
        with suppress(RuntimeError):  # without a thread, the timer of the loop is the only one
            return _ThreadTimer(loop, when - loop.time(), callback)
    return loop.call_at(when, callback)


async def sleep(seconds: float) -> None:
    """Sleep for so many real seconds."""
    loop = asyncio.get_running_loop()
    if _is_frozen(loop):
        await sleep_until(loop.time() + seconds)
    else:
        await asyncio.sleep(seconds)


async def sleep_until(when: float) -> None:
    """Sleep until a time of the running loop's ``time()``. Sleepers of one time wake in one turn of it."""
    loop = asyncio.get_running_loop()
    awake: asyncio.Future[None] = loop.create_future()
    timer = call_at(loop, when, partial(_wake, awake))
    try:
        await awake
    finally:
        timer.cancel()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _is_frozen(loop: asyncio.AbstractEventLoop) -> bool:
    return not -MAX_DIFFERENCE < loop.time() - monotonic() < MAX_DIFFERENCE


class _ThreadTimer:
    """Waits on a thread. Raises RuntimeError if no thread can be started."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._is_cancelled = False
        self._lock = threading.Lock()
        self._lock.acquire()
        threads.run(lambda: self._wait(max(0.0, seconds)))

    def cancel(self) -> None:
        if not self._is_cancelled:
            self._is_cancelled = True
            self._lock.release()

    def _wait(self, seconds: float) -> None:
        if not self._lock.acquire(timeout=seconds):
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._call)

    def _call(self) -> None:
        if not self._is_cancelled:
            self._callback()
