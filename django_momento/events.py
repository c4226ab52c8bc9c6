"""What a site wants to know of a cache that fails quietly: counted, and logged at most every few seconds.

A cache that is away is asked thousands of times a minute. One warning every few seconds for each kind of
event says as much as all of them, and says how many there were.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter

from . import forking
from .clock import monotonic

logger = logging.getLogger("django_momento")

# Seconds between two warnings about one kind of event on one cache.
PAUSE = 10.0


class Events:
    """Events by cache alias and kind, since the process started."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may use a cache while its thread records an event.
        self._lock = threading.RLock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._logged: dict[tuple[str, str], tuple[float, int]] = {}

    def record(self, alias: str, kind: str, message: str = "", *args: object) -> None:
        """Count an event; log the message, unless there was one like it just now or it is empty."""
        event = (alias, kind)
        with self._lock:
            self._counts[event] += 1
            logged_at, counted = self._logged.get(event, (-PAUSE, 0))
            now = monotonic()
            if not message or now - logged_at < PAUSE:
                return
            held_back = self._counts[event] - counted - 1
            self._logged[event] = (now, self._counts[event])
        if held_back:
            message, args = message + " (%d more since the last such warning)", (*args, held_back)
        logger.warning("Cache %r: " + message, alias, *args)  # noqa: G003 - the message is a format of ours

    def counts(self, alias: str) -> dict[str, int]:
        """Answer how often each kind of event happened on a cache."""
        with self._lock:
            return {kind: count for (name, kind), count in self._counts.items() if name == alias}

    def forget(self) -> None:
        """Start anew, as in a forked child."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


events = Events()
# Not only for the counts: a thread that does not exist in the child may hold the lock.
forking.register(after_in_child=events.forget)
