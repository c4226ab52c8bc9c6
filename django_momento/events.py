"""Events of a cache that raise no error, and the events of its calls.

Events that raise no error are all counted, and few are logged.
While Momento cannot be reached, a site makes thousands of calls a minute. The log has one warning every few
seconds for each kind of event, with the number of events since the warning before.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import ClassVar, TypeAlias

from . import forking
from .clock import monotonic
from .interruption import is_interruption

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

    # Functions that return further counts of an alias, for events that are too frequent for record().
    sources: ClassVar[list[Callable[[str], dict[str, int]]]] = []

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
            counts = {kind: count for (name, kind), count in self._counts.items() if name == alias}
        for source in self.sources:
            counts.update(source(alias))
        return counts

    def all_counts(self) -> dict[tuple[str, str], int]:
        """Return the number of events since the process started, by alias and kind."""
        with self._lock:
            return dict(self._counts)

    def forget(self) -> None:
        """Forget all events, as in a forked child."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


class CallEvent:
    """A call of a cache's verb that has finished, for observers.

    ``verb`` is the name of the sync method, for both faces. ``key_group`` is the group of its keys, ``""``
    for a call without keys, and ``mixed`` for keys of several groups. ``finished_at`` is in seconds of
    ``clock.monotonic``, and ``seconds`` is the duration. ``keys`` is the number of keys of the call.

    ``requests`` counts the requests that were sent to Momento, and ``operations`` what Momento counts for
    them. Both include retries. ``bytes_sent`` and ``bytes_received`` count keys and values as they are
    stored, and ``largest`` is the size of the largest value in bytes. ``hits`` and ``misses`` count keys that
    ``get``, ``get_many`` and ``has_key`` looked up.

    ``found`` tells whether the key of a call on one key existed. If ``add`` stored its value, it is False.
    It is None for ``set``, for calls on other numbers of keys, and for failed calls.

    ``error`` is the name of the exception that ended the call, or None. It is there also if IGNORE_EXCEPTIONS
    hid the exception. ``served_from`` is ``momento``, or ``near`` if a value came from the memory of this
    process, or ``stale`` if one came from there because Momento could not be reached.
    """

    __slots__ = (
        *("alias", "bytes_received", "bytes_sent", "error", "finished_at", "found", "hits", "key_group"),
        *("keys", "largest", "misses", "operations", "requests", "seconds", "served_from", "verb"),
    )

    def __init__(
        self,
        alias: str,
        verb: str,
        key_group: str = "",
        *,
        keys: int = 0,
        finished_at: float = 0.0,
        seconds: float = 0.0,
        requests: int = 0,
        operations: int = 0,
        bytes_sent: int = 0,
        bytes_received: int = 0,
        largest: int = 0,
        hits: int = 0,
        misses: int = 0,
        found: bool | None = None,
        error: str | None = None,
        served_from: str = "momento",
    ) -> None:
        self.alias = alias
        self.verb = verb
        self.key_group = key_group
        self.keys = keys
        self.finished_at = finished_at
        self.seconds = seconds
        self.requests = requests
        self.operations = operations
        self.bytes_sent = bytes_sent
        self.bytes_received = bytes_received
        self.largest = largest
        self.hits = hits
        self.misses = misses
        self.found = found
        self.error = error
        self.served_from = served_from

    def __repr__(self) -> str:
        fields = " ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"<CallEvent {fields}>"


Observer: TypeAlias = Callable[[CallEvent], object]

# The observers of all caches of this process. While it is empty, a call is not measured, unless its alias has
# observers of its own in OBSERVERS.
observers: list[Observer] = []


def notify(event: CallEvent, told: list[Observer]) -> None:
    """Call each observer with an event. Log one that raises once, and remove it from the list."""
    for observer in tuple(told):
        try:
            observer(event)
        except Exception as error:
            if is_interruption(error):
                raise
            if observer in told:
                told.remove(observer)
                logger.exception("The cache observer %r raised, and is not called any more.", observer)


events = Events()
# A thread that does not exist in the child may hold the lock.
forking.register(after_in_child=events.forget)
