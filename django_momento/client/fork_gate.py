"""The gate that keeps ``fork`` and gRPC calls apart.

A child that is forked while another thread of its parent is inside gRPC may crash or hang. So before a fork
no call may start, and those in flight are given a moment to end; after it the parent goes on, and the child
starts with an open gate of its own.
"""

from __future__ import annotations

# Imported for their own handlers. Those that run before a fork do so newest first: the locks that these take,
# which calls in flight need in order to end, must be taken after the gate was shut.
import concurrent.futures.thread  # noqa: F401
import logging
import os
import threading
from types import TracebackType

logger = logging.getLogger("django_momento")

# Seconds. A call that takes longer is left in flight: a fork must not hang because a server does.
LONGEST_WAIT = 2.0


class ForkGate:
    """Counts the sendings in flight, and holds new ones back while a fork is going on."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may call the cache, or fork, wherever its thread is just now.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._in_flight = 0
        self._forks = 0
        self._left_in_flight = 0

    def enter(self, calls: int = 1) -> None:
        """Announce calls that are about to be sent; waits while a fork is going on."""
        with self._lock:
            while self._forks:
                self._changed.wait()
            self._in_flight += calls

    def leave(self, _: object = None) -> None:
        """Take note that one of them has ended. May be called on any thread, as a future's callback too."""
        with self._lock:
            self._in_flight -= 1
            if self._forks:
                self._changed.notify_all()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def before_fork(self) -> None:
        with self._lock:
            self._forks += 1
            self._changed.wait_for(lambda: not self._in_flight, timeout=LONGEST_WAIT)
            self._left_in_flight = self._in_flight

    def after_fork_in_parent(self) -> None:
        with self._lock:
            self._forks -= 1
            self._changed.notify_all()
            left, self._left_in_flight = self._left_in_flight, 0
        if left:
            logger.warning(
                "This process forked with calls to Momento in flight (%d), which had not ended after %g s: "
                "the child may crash when it uses the cache.",
                left,
                LONGEST_WAIT,
            )

    def after_fork_in_child(self) -> None:
        # The lock may be held by a thread that does not exist here, and nothing is in flight.
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


gate = ForkGate()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=gate.before_fork,
        after_in_parent=gate.after_fork_in_parent,
        after_in_child=gate.after_fork_in_child,
    )
