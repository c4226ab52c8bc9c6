"""Futures of other threads awaited on the event loop that is running, whichever that is.

gRPC's synchronous channel serves any number of threads and event loops over one connection; its asyncio twin
belongs to the loop it was made in. So async calls are sent over the former and awaited here.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..interruption import raise_foreign
from .readers import threads
from .timers import Timer, call_later

# Seconds to wait until calls are cancelled, which takes microseconds.
_MAX_CANCELLING = 0.05

# Seconds, at the end of each wait, in which this process must have run. If it was stopped for longer than the
# wait, the threads of gRPC need a moment of their own to deliver the calls that have ended meanwhile.
LAST_MOMENT = 0.2


class Landing:
    """The end of something that others wait for, as a future without a lock.

    The exception of a signal's handler would leave a lock locked for all of them. If it keeps ``end`` from
    calling one of them back, that one waits until its timeout.
    """

    _is_over = False

    def __init__(self) -> None:
        self._callbacks: deque[Callable[[Any], object]] = deque()

    def done(self) -> bool:
        return self._is_over

    def end(self) -> None:
        """Tell all that wait, and those that come later. It may be called twice, on any thread."""
        self._is_over = True
        with suppress(IndexError):
            while True:
                self._callbacks.popleft()(self)

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks.append(callback)
        if self._is_over:
            self.end()


async def wait_for(futures: Sequence[Any], *, shared: bool = False, timeout: float | None = None) -> bool:
    """Wait until every future is done, and return whether they are all done.

    A future may be a ``grpc.Future`` or a ``concurrent.futures.Future``. Cancelling the wait cancels the
    futures, unless they are ``shared`` with other callers. After ``timeout`` seconds the wait ends.
    """
    if not futures:
        return True
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    under_way = list(futures)

    def arrived(_: Any) -> None:
        # Called on threads of gRPC's. The pop is atomic. If two threads find the list empty, both say so.
        under_way.pop()
        if not under_way:
            # On a loop that was closed meanwhile, no task waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, waiter)

    for future in futures:
        future.add_done_callback(arrived)
    # A bound of our own: gRPC's deadline is delivered by a thread of gRPC's, which may be missing.
    timer: Timer | None = None

    def wait_a_last_moment() -> None:
        nonlocal timer
        timer = call_later(loop, last, lambda: _settle(waiter))

    if timeout is not None:
        first, last = split_wait(timeout)
        timer = call_later(loop, first, wait_a_last_moment)
    try:
        await waiter
    except asyncio.CancelledError:
        if not shared:
            cancel_elsewhere(futures)
        raise
    finally:
        if timer is not None:
            timer.cancel()
    return not under_way


def cancel_elsewhere(futures: Sequence[Any]) -> None:
    """Cancel calls on another thread; without one, leave them to their deadlines.

    A thread of gRPC's may hold the lock of a call, and wait for a lock that this thread holds because a
    signal's handler has interrupted it.
    """

    def cancel() -> None:
        for future in futures:
            with suppress(Exception):
                future.cancel()
        is_done.release()

    is_done = threading.Lock()
    is_done.acquire()
    if threads.try_to_run(cancel):
        is_done.acquire(timeout=_MAX_CANCELLING)


def split_wait(seconds: float) -> tuple[float, float]:
    """Return the seconds of a wait up to its last moment, and those of the last moment."""
    last = min(LAST_MOMENT, max(0.0, seconds) / 2)
    return seconds - last, last


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def wait_on_this_thread(pending: Any, seconds: float) -> bool:
    """Wait on this thread until a call is done; return False if it is not done in time."""
    add_done_callback = getattr(pending, "add_done_callback", None)
    if add_done_callback is None:
        return True  # A stream, which the reader's own thread ends.
    # A future of Python's that is done would swallow the exception of a signal's handler in the callback.
    if isinstance(pending, Future) and pending.done():
        return True
    # A queue that is written in C: nothing can interrupt its put().
    done: SimpleQueue[Any] = SimpleQueue()
    add_done_callback(done.put)
    for part in split_wait(seconds):
        try:
            done.get(timeout=max(0.0, part))
        except Empty as error:
            raise_foreign(error)
        else:
            return True
    return False
