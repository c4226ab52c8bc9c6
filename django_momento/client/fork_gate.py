"""The gate that keeps ``fork`` and gRPC calls apart.

A child that is forked while another thread of its parent is inside gRPC may crash or hang. So before a fork
no call may start, and those in flight are given a moment to end. After it the parent goes on, and the child
starts with an open gate of its own.

The handler of a signal may raise an exception, call the cache or fork at any moment. So the gate has no lock
and no counter: a call in flight is an object that its caller holds, and it is gone with its last reference.
"""

from __future__ import annotations

import logging
from threading import get_ident
from time import sleep
from types import TracebackType
from typing import Any
from weakref import ref

from .. import forking
from ..clock import monotonic, polls

logger = logging.getLogger("django_momento")

# Seconds. A call that takes longer is left in flight: a fork must not hang because a server does. The time
# for which the process is stopped counts little.
MAX_WAIT = 2.0

# Seconds that a new call waits for a fork. It is in flight then, and the fork waits for it.
MAX_HOLD = 1.0

# Seconds between two looks at calls in flight, or at forks.
_POLL = 0.0005


class Passage:
    """One call in flight, until ``leave``, the end of its ``with``, or the end of its last reference."""

    __slots__ = ("__weakref__", "in_flight_calls", "owner", "pending")

    in_flight_calls: set[ref[Passage]]
    owner: object
    pending: Any  # The future of the call, if it has one.

    def leave(self, _: object = None) -> None:
        """End the call. It may be called twice, on any thread, and as the callback of a future."""
        self.in_flight_calls.discard(ref(self))

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()


class ForkGate:
    """Knows the calls in flight, and holds new ones back while a fork is going on."""

    def __init__(self, forking_threads: list[int]) -> None:
        self._forking_threads = forking_threads
        self._in_flight: set[ref[Passage]] = set()
        self._left_in_flight = 0

    @property
    def in_flight(self) -> int:
        """The number of calls in flight."""
        return len(self._in_flight)

    def has_calls_of(self, owner: object) -> bool:
        """Return whether a call that ``owner`` sends is in flight."""
        passages = (reference() for reference in self._in_flight.copy())
        return any(passage is not None and passage.owner is owner for passage in passages)

    def pending_calls(self) -> list[Any]:
        """Return the futures of the calls in flight that have one."""
        passages = [reference() for reference in self._in_flight.copy()]
        return [each.pending for each in passages if each is not None and hasattr(each, "pending")]

    def enter(self, owner: object = None) -> Passage:
        """Return the passage of a call that ``owner`` is about to send.

        Blocks while another thread forks, for at most ``MAX_HOLD`` seconds.
        """
        passage = Passage()
        in_flight = passage.in_flight_calls = self._in_flight
        passage.owner = owner
        # The callback is written in C, like the set: nothing can interrupt it.
        in_flight.add(ref(passage, in_flight.discard))
        return self._wait_for_fork(passage) if self._forking_threads else passage

    def _wait_for_fork(self, passage: Passage) -> Passage:
        until = monotonic() + MAX_HOLD
        # A thread that is forking calls from the handler of a signal or of fork: it would wait for itself.
        while self._forking_threads and get_ident() not in self._forking_threads and monotonic() < until:
            passage.leave()
            while self._forking_threads and monotonic() < until:
                sleep(_POLL)
            self._in_flight.add(ref(passage, self._in_flight.discard))
        return passage

    def before_fork(self) -> None:
        for _ in polls(MAX_WAIT, _POLL):
            if not self._in_flight:
                break
        self._left_in_flight = len(self._in_flight)

    def after_fork_in_parent(self) -> None:
        left, self._left_in_flight = self._left_in_flight, 0
        if left:
            logger.warning(
                "This process forked with calls to Momento in flight (%d), which had not ended after %g s: "
                "the child may crash when it uses the cache.",
                left,
                MAX_WAIT,
            )

    def after_fork_in_child(self) -> None:
        """Forget the calls of the parent's threads, which do not exist here."""
        self._left_in_flight = 0
        self._in_flight.clear()


# For threads that deliver the ends of calls: each wait of theirs in gRPC is short, and not a call in flight.
# Before a fork this handler runs after the gate's, because their waits go on while it waits for calls.
deliveries = ForkGate(forking.forking_threads)
forking.register(before=deliveries.before_fork, after_in_child=deliveries.after_fork_in_child)

gate = ForkGate(forking.forking_threads)
forking.register(
    before=gate.before_fork,
    after_in_parent=gate.after_fork_in_parent,
    after_in_child=gate.after_fork_in_child,
)
