"""Events of a cache that raise no error: all are counted, and few are logged.

While Momento cannot be reached, a site makes thousands of calls a minute. The log has one warning every few
seconds for each kind of event, with the number of events since the warning before.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from math import inf

from . import forking
from .clock import monotonic

logger = logging.getLogger("django_momento")

# Seconds between two warnings about one kind of event on one cache.
PAUSE = 10.0


class Events:
    """The number of events by cache alias and kind, since the process started."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may use a cache while its thread records an event.
        self._lock = threading.RLock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._logged: dict[tuple[str, str], tuple[float, int]] = {}

    def record(self, alias: str, kind: str, message: str = "", *args: object, once: bool = False) -> None:
        """Count an event, and log the message unless it is empty or one of this kind was logged just before.

        If ``once``, log only the first of this kind on this alias.
        """
        event = (alias, kind)
        with self._lock:
            self._counts[event] += 1
            logged_at, counted = self._logged.get(event, (-inf, 0))
            now = monotonic()
            if not message or now - logged_at < (inf if once else PAUSE):
                return
            held_back = self._counts[event] - counted - 1
            self._logged[event] = (now, self._counts[event])
        if held_back:
            message, args = message + " (%d more since the last such warning)", (*args, held_back)
        logger.warning("Cache %r: " + message, alias, *args)  # noqa: G003 - the message is a format of ours

    def counts(self, alias: str) -> dict[str, int]:
        """Return the number of events of each kind on a cache since the process started."""
        with self._lock:
            return {kind: count for (name, kind), count in self._counts.items() if name == alias}

    def forget(self) -> None:
        """Forget all events, as in a forked child."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


events = Events()
# A thread that does not exist in the child may hold the lock.
forking.register(after_in_child=events.forget)
