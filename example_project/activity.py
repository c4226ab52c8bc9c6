"""The calls of the site's cache, for the status page and for the list of calls on each page.

``observe`` is an observer of the cache, and the settings name it in OBSERVERS. It keeps verb, duration,
result and error of each call. It does not keep keys, because the key of a session is a secret. The figures
belong to one process, and a forked child starts with none.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from time import time
from typing import NamedTuple

from django_momento.cache import MomentoCache
from django_momento.exceptions import MomentoCacheError
from django_momento.monitoring import CallEvent

LATEST = 500


class CacheCall(NamedTuple):
    """One call of a cache. ``at`` is its end in Unix seconds, and ``error`` the name of the exception.

    ``hits`` and ``misses`` count keys. ``result`` describes the end of a call that looks nothing up.
    """

    at: float
    verb: str
    milliseconds: float
    hits: int = 0
    misses: int = 0
    error: str = ""
    result: str = ""

    @property
    def outcome(self) -> str:
        if self.error:
            return "error"
        return "miss" if self.misses else "hit" if self.hits else "done"


class Totals(NamedTuple):
    """Sums over calls. Hits and misses are keys; one call may look up many."""

    calls: int = 0
    hits: int = 0
    misses: int = 0
    others: int = 0
    errors: int = 0

    def plus(self, call: CacheCall) -> Totals:
        return Totals(
            self.calls + 1,
            self.hits + call.hits,
            self.misses + call.misses,
            self.others + (call.outcome == "done"),
            self.errors + bool(call.error),
        )


class Failure(NamedTuple):
    """The texts of a failed call. ``at`` is in Unix seconds."""

    at: float
    name: str
    cause: str
    fix: str


class Snapshot(NamedTuple):
    """The activity at one moment. ``since`` is in Unix seconds, and ``latest`` is in order of time."""

    since: float
    totals: dict[str, Totals]
    latest: list[CacheCall]
    last_failure: Failure | None


class Activity:
    """The calls of this process's caches: totals of each verb, and the latest calls.

    Any number of threads and event loops may use it. Recording costs a few microseconds.
    """

    def __init__(self, latest: int = LATEST) -> None:
        self._capacity = latest
        self.forget()

    def forget(self) -> None:
        """Start again with a new lock, because a forked child may inherit a lock that is held."""
        self._lock = Lock()
        self._since = time()
        self._totals: dict[str, Totals] = {}
        self._latest: deque[CacheCall] = deque(maxlen=self._capacity)
        self._last_failure: Failure | None = None

    def record(self, call: CacheCall, failure: Failure | None = None) -> None:
        """Add a call to the totals, to the latest calls, and to the list of the current request."""
        with self._lock:
            self._latest.append(call)
            self._totals[call.verb] = self._totals.get(call.verb, Totals()).plus(call)
            self._last_failure = failure or self._last_failure
        if (calls := _calls_of_request.get()) is not None:
            calls.append(call)

    def snapshot(self) -> Snapshot:
        """Return a copy of the figures."""
        with self._lock:
            return Snapshot(self._since, dict(self._totals), list(self._latest), self._last_failure)


activity = Activity()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=activity.forget)

_calls_of_request: ContextVar[list[CacheCall] | None] = ContextVar("calls_of_request", default=None)


@contextmanager
def calls_of_request() -> Iterator[list[CacheCall]]:
    """Collect the calls of the block, and of the threads and tasks that it starts."""
    calls: list[CacheCall] = []
    token = _calls_of_request.set(calls)
    try:
        yield calls
    finally:
        _calls_of_request.reset(token)


# The words for the result of each verb that looks nothing up: if its key existed, and if not.
_RESULTS = {
    "set": ("stored", "stored"),
    "add": ("already there", "stored"),
    "touch": ("timeout set", "key missing"),
    "delete": ("deleted", "key missing"),
    "has_key": ("key exists", "key missing"),
    "incr": ("incremented", "key missing"),
    "delete_many": ("deleted", "deleted"),
    "incr_version": ("moved", "key missing"),
    "clear": ("emptied", "emptied"),
}


def observe(event: CallEvent) -> None:
    """Record a call of the cache. An observer."""
    call = CacheCall(time(), event.verb, event.seconds * 1000, error=event.error or "")
    if event.verb in ("get", "get_many"):
        call = call._replace(hits=event.hits, misses=event.misses)
    elif event.error is None:
        call = call._replace(result=_describe(event))
    activity.record(call, _failure_of(event, call.at))


def _describe(event: CallEvent) -> str:
    if event.verb == "set_many":
        return f"{event.keys} sent"  # the event does not say how many are stored
    if_found, if_missing = _RESULTS.get(event.verb, ("", ""))
    return if_missing if event.found is False else if_found


def _failure_of(event: CallEvent, at: float) -> Failure | None:
    """Return the texts of the error of a failed call, or None."""
    error = sys.exc_info()[1]  # the cache calls its observers while it handles the error
    if isinstance(error, MomentoCacheError) and type(error).__name__ == event.error:
        return Failure(at, event.error, error.cause, error.fix)
    return None


def warm_up(cache: MomentoCache) -> None:
    """Fetch the API key and open both connections of the process. The calls are not among its figures.

    The first visitor then waits for neither. After a failure the first call tries again, and shows the error.
    """
    try:
        cache.get("warm-up")
        cache.has_key("warm-up")
    except MomentoCacheError:
        return
    finally:
        activity.forget()
