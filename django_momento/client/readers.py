"""Threads that read responses which are streams, shared by all channels of the process.

A thread that has nothing to read is used again by any channel, and ends after ``IDLE`` seconds. All threads
are daemons, so that a stream in flight does not hold up the end of the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from .. import forking
from ..interruption import raise_foreign

T = TypeVar("T")
Work = Callable[[], object]

# Seconds.
IDLE = 5.0


class Threads:
    """Runs each function on a thread of its own, an idle one if there is one.

    There are no locks, so that a handler of a signal may interrupt any method and call it.
    """

    def __init__(self, idle: float = IDLE) -> None:
        self._idle_seconds = idle
        self.forget()

    def forget(self) -> None:
        """Forget the threads, which do not exist in a forked child."""
        self._work: SimpleQueue[tuple[Work, Work]] = SimpleQueue()
        # An entry for each idle thread. Whoever removes one may put a pair of functions into the queue.
        self._idle: deque[None] = deque()

    @property
    def idle(self) -> int:
        """The number of threads that have nothing to run."""
        return len(self._idle)

    def run(self, function: Work, tell: Work = int) -> None:
        """Run a function, which must not raise. Raises RuntimeError if no thread can be started.

        Its thread calls ``tell`` when it is idle again: whoever is told of the end can use the same thread.
        """
        try:
            self._idle.pop()
        except IndexError:
            arguments = (function, tell)
            threading.Thread(target=self._loop, args=arguments, name="momento-reader", daemon=True).start()
        else:
            self._work.put((function, tell))

    def try_to_run(self, function: Work) -> bool:
        """Run a function, and return whether a thread could be started for it."""
        try:
            self.run(function)
        except Exception as error:  # noqa: BLE001 - threads fail to start in several ways
            raise_foreign(error)
            return False
        return True

    def _loop(self, function: Work, tell: Work) -> None:
        while True:
            function()
            self._idle.append(None)
            tell()
            # The last response must not stay in memory while the thread is idle.
            del function, tell
            try:
                function, tell = self._work.get(timeout=self._idle_seconds)
            except Empty:
                try:
                    self._idle.pop()
                except IndexError:
                    # The entry was removed just now, so that a function is on its way.
                    try:
                        function, tell = self._work.get(timeout=self._idle_seconds)
                    except Empty:
                        return
                else:
                    return


threads = Threads()


def _forget() -> None:
    threads.forget()


forking.register(after_in_child=_forget)


class Readers:
    """The reading threads of one channel: at most ``limit`` at a time. Further functions wait for them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: deque[None] = deque()
        self._waiting: deque[Work] = deque()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Return the future of a function's result. Raises RuntimeError if no thread can be started."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - the future raises it
                future.set_exception(error)
            else:
                future.set_result(result)

        self._waiting.append(work)
        if len(self._running) < self._limit:
            self._running.append(None)
            try:
                threads.run(self._run)
            except BaseException:
                self._running.pop()
                if not self._running:
                    # There is no other thread that will run it.
                    self._waiting.clear()
                    raise
        return future

    def _run(self) -> None:
        while True:
            try:
                work = self._waiting.popleft()
            except IndexError:
                self._running.pop()
                # A function that was added just before has seen this thread as running.
                if not self._waiting:
                    return
                self._running.append(None)
            else:
                work()
