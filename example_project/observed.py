"""A cache that records its calls, as an example of instrumentation. The status page shows its figures.

``ObservedCache`` is a MomentoCache that records each call in ``activity``: verb, duration, result and error.
It keeps neither keys nor values, because the key of a session is a secret. The figures belong to one process,
and a forked child starts with none.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
    """The calls of this process's observed caches: totals of each verb, and the latest calls.

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

    def watch(self, verb: str) -> Watch:
        """Time a ``with`` block and record it as one call."""
        return Watch(self, verb)

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


class Watch:
    """One call while it runs. Leaving the block records it, also after an exception."""

    __slots__ = ("_activity", "_hits", "_keys", "_result", "_started", "_verb")

    def __init__(self, activity: Activity, verb: str) -> None:
        self._activity = activity
        self._verb = verb
        self._hits = self._keys = 0
        self._result = ""

    def set_hits(self, hits: int, *, of: int) -> None:
        """Set how many of the keys are hits."""
        self._hits, self._keys = hits, of

    def set_result(self, result: str) -> None:
        """Set the words for a result that is neither hit nor miss."""
        self._result = result

    def __enter__(self) -> Watch:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        milliseconds = (perf_counter() - self._started) * 1000
        now, name, failure = time(), "", None
        # Other exceptions are results, such as incr's ValueError for a missing key.
        if isinstance(error, MomentoCacheError):
            name = type(error).__name__
            failure = Failure(now, name, error.cause, error.fix)
        elif isinstance(error, ValueError):
            self._result = "key missing"
        misses = self._keys - self._hits
        call = CacheCall(now, self._verb, milliseconds, self._hits, misses, name, self._result)
        self._activity.record(call, failure)


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


def _choose(if_true: str, if_false: str) -> Callable[[Any], str]:
    return lambda result: if_true if result else if_false


# The words for the return value of each verb that looks nothing up.
_RESULTS: dict[str, Callable[[Any], str]] = {
    "set": lambda result: "stored",
    "add": _choose("stored", "already there"),
    "touch": _choose("timeout set", "key missing"),
    "delete": _choose("deleted", "key missing"),
    "has_key": _choose("key exists", "key missing"),
    "incr": lambda result: "incremented",
    "set_many": lambda failed: f"{len(failed)} not stored" if failed else "all stored",
    "delete_many": lambda result: "deleted",
    "incr_version": lambda result: "moved",
    "clear": lambda result: "emptied",
}


def _observe(verb: str) -> tuple[Any, Any]:
    """Return the method and the async twin of a verb that looks nothing up, each recorded as one call."""
    method, twin = getattr(MomentoCache, verb), getattr(MomentoCache, f"a{verb}")
    describe = _RESULTS[verb]

    @wraps(method)
    def observe(self: MomentoCache, *args: Any, **kwargs: Any) -> Any:
        with activity.watch(verb) as watch:
            result = method(self, *args, **kwargs)
            watch.set_result(describe(result))
        return result

    @wraps(twin)
    async def aobserve(self: MomentoCache, *args: Any, **kwargs: Any) -> Any:
        with activity.watch(verb) as watch:
            result = await twin(self, *args, **kwargs)
            watch.set_result(describe(result))
        return result

    return observe, aobserve


class ObservedCache(MomentoCache):
    """A MomentoCache whose calls are recorded in ``activity``.

    Methods that call other methods need no code: ``get_or_set`` is recorded as a get and, on a miss, an add,
    and ``decr`` as an incr. With IGNORE_EXCEPTIONS a failed call is recorded as the miss that the site sees.
    """

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with activity.watch("get") as watch:
            value = super().get(key, _MISSING, version)
            watch.set_hits(int(value is not _MISSING), of=1)
        return default if value is _MISSING else value

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with activity.watch("get") as watch:
            value = await super().aget(key, _MISSING, version)
            watch.set_hits(int(value is not _MISSING), of=1)
        return default if value is _MISSING else value

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = dict.fromkeys(keys)
        with activity.watch("get_many") as watch:
            values = super().get_many(wanted, version)
            watch.set_hits(len(values), of=len(wanted))
        return values

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = dict.fromkeys(keys)
        with activity.watch("get_many") as watch:
            values = await super().aget_many(wanted, version)
            watch.set_hits(len(values), of=len(wanted))
        return values

    set, aset = _observe("set")
    add, aadd = _observe("add")
    touch, atouch = _observe("touch")
    delete, adelete = _observe("delete")
    has_key, ahas_key = _observe("has_key")
    incr, aincr = _observe("incr")
    set_many, aset_many = _observe("set_many")
    delete_many, adelete_many = _observe("delete_many")
    incr_version, aincr_version = _observe("incr_version")
    clear, aclear = _observe("clear")


def warm_up(cache: MomentoCache) -> None:
    """Fetch the API key and open both connections of the process, without recording a call.

    The first visitor then waits for neither. After a failure the first call tries again, and shows the error.
    """
    try:
        MomentoCache.get(cache, "warm-up")
        MomentoCache.has_key(cache, "warm-up")
    except MomentoCacheError:
        return
