"""A cache that counts what it does: how to instrument a backend, and where the status page has its figures.

``ObservedCache`` is a MomentoCache that tells ``activity`` of each operation: its verb, how long it took,
what was found and what failed. Neither keys nor values are kept, because the key of a session is a secret.
The figures are those of one process; a forked child starts without any.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from threading import Lock
from time import perf_counter, time
from types import TracebackType
from typing import Any, NamedTuple

from django_momento.cache import MomentoCache
from django_momento.exceptions import MomentoCacheError

LATEST = 500

_MISSING = object()


class Operation(NamedTuple):
    """One operation of a cache. ``at`` is its end in Unix seconds, ``error`` the name of what it raised."""

    at: float
    verb: str
    milliseconds: float
    hits: int = 0
    misses: int = 0
    error: str = ""

    @property
    def outcome(self) -> str:
        if self.error:
            return "error"
        return "miss" if self.misses else "hit" if self.hits else "done"


class Totals(NamedTuple):
    """What operations came to. Hits and misses are keys, of which one operation may look up many."""

    operations: int = 0
    hits: int = 0
    misses: int = 0
    others: int = 0
    errors: int = 0

    def plus(self, operation: Operation) -> Totals:
        return Totals(
            self.operations + 1,
            self.hits + operation.hits,
            self.misses + operation.misses,
            self.others + (operation.outcome == "done"),
            self.errors + bool(operation.error),
        )


class Failure(NamedTuple):
    """An operation that Momento could not answer, in words. ``at`` is in Unix seconds."""

    at: float
    name: str
    cause: str
    fix: str


class Snapshot(NamedTuple):
    """The activity at one moment. ``since`` is in Unix seconds; ``latest`` is in order of time."""

    since: float
    totals: dict[str, Totals]
    latest: list[Operation]
    last_failure: Failure | None


class Activity:
    """What the observed caches of this process did: totals of each verb, and the latest operations.

    Safe to use from any number of threads and event loops; recording costs a few microseconds.
    """

    def __init__(self, latest: int = LATEST) -> None:
        self._capacity = latest
        self.forget()

    def forget(self) -> None:
        """Start anew. Makes its lock too: a forked child may have inherited one that nobody will release."""
        self._lock = Lock()
        self._since = time()
        self._totals: dict[str, Totals] = {}
        self._latest: deque[Operation] = deque(maxlen=self._capacity)
        self._last_failure: Failure | None = None

    def watch(self, verb: str) -> Watch:
        """Time a ``with`` block and record it as one operation."""
        return Watch(self, verb)

    def record(self, operation: Operation, failure: Failure | None = None) -> None:
        with self._lock:
            self._latest.append(operation)
            self._totals[operation.verb] = self._totals.get(operation.verb, Totals()).plus(operation)
            self._last_failure = failure or self._last_failure
        if (calls := _calls_of_request.get()) is not None:
            calls.append(operation)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(self._since, dict(self._totals), list(self._latest), self._last_failure)


class Watch:
    """One operation while it runs; leaving the block records it, whichever way it ended."""

    __slots__ = ("_activity", "_found", "_started", "_verb", "_wanted")

    def __init__(self, activity: Activity, verb: str) -> None:
        self._activity = activity
        self._verb = verb
        self._found = self._wanted = 0

    def found(self, found: int, *, of: int) -> None:
        """Say how many of the keys that were looked up are hits."""
        self._found, self._wanted = found, of

    def __enter__(self) -> Watch:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        milliseconds = (perf_counter() - self._started) * 1000
        now, name, failure = time(), "", None
        # Other errors, such as incr's ValueError for a key that is missing, are answers.
        if isinstance(error, MomentoCacheError):
            name = type(error).__name__
            failure = Failure(now, name, error.cause, error.fix)
        misses = self._wanted - self._found
        self._activity.record(Operation(now, self._verb, milliseconds, self._found, misses, name), failure)


activity = Activity()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=activity.forget)

_calls_of_request: ContextVar[list[Operation] | None] = ContextVar("calls_of_request", default=None)


@contextmanager
def calls_of_request() -> Iterator[list[Operation]]:
    """Collect what is recorded inside the block, in the threads and tasks that it leads to too."""
    calls: list[Operation] = []
    token = _calls_of_request.set(calls)
    try:
        yield calls
    finally:
        _calls_of_request.reset(token)


def _timed(verb: str) -> tuple[Any, Any]:
    """Both faces of a verb that looks nothing up: it takes its time, and it may fail."""
    method, twin = getattr(MomentoCache, verb), getattr(MomentoCache, f"a{verb}")

    @wraps(method)
    def timed(self: MomentoCache, *args: Any, **kwargs: Any) -> Any:
        with activity.watch(verb):
            return method(self, *args, **kwargs)

    @wraps(twin)
    async def atimed(self: MomentoCache, *args: Any, **kwargs: Any) -> Any:
        with activity.watch(verb):
            return await twin(self, *args, **kwargs)

    return timed, atimed


class ObservedCache(MomentoCache):
    """A MomentoCache whose every operation is recorded in ``activity``.

    Methods that are composed of others need nothing of their own: ``get_or_set`` is seen as a get and, on a
    miss, an add; ``decr`` as an incr. What IGNORE_EXCEPTIONS hides is hidden here too, and reads as a miss.
    """

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with activity.watch("get") as lookup:
            value = super().get(key, _MISSING, version)
            lookup.found(int(value is not _MISSING), of=1)
        return default if value is _MISSING else value

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with activity.watch("get") as lookup:
            value = await super().aget(key, _MISSING, version)
            lookup.found(int(value is not _MISSING), of=1)
        return default if value is _MISSING else value

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = dict.fromkeys(keys)
        with activity.watch("get_many") as lookup:
            values = super().get_many(wanted, version)
            lookup.found(len(values), of=len(wanted))
        return values

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = dict.fromkeys(keys)
        with activity.watch("get_many") as lookup:
            values = await super().aget_many(wanted, version)
            lookup.found(len(values), of=len(wanted))
        return values

    set, aset = _timed("set")
    add, aadd = _timed("add")
    touch, atouch = _timed("touch")
    delete, adelete = _timed("delete")
    has_key, ahas_key = _timed("has_key")
    incr, aincr = _timed("incr")
    set_many, aset_many = _timed("set_many")
    delete_many, adelete_many = _timed("delete_many")
    incr_version, aincr_version = _timed("incr_version")
    clear, aclear = _timed("clear")
