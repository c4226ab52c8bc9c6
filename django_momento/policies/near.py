"""The near cache: reads from the memory of this process, for NEAR_SECONDS or for the length of a memo.

One ``Near`` belongs to one client, and so to all aliases that share it. It looks at each call of an operation
before the call is sent. So each verb is served alike, in both faces.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .. import forking
from ..client.calls import Call, Get, Operation, Wait
from ..client.futures import Landing, wait_for, wait_on_this_thread
from ..client.interrupts import is_inside_grpc
from ..clock import monotonic
from ..codec.attributes import is_stale
from ..events import events, observers
from ..exceptions import MomentoCacheError, UnreadableValue
from .near_store import Data, Marker, Name, NearStore
from .observing import Observed
from .passage import UNKNOWN, Passage
from .steps import make_step

if TYPE_CHECKING:
    from ..client.client import Client
    from ..client.metering import Tally
    from ..codec.codec import ValueCodec
    from ..conf.options import CacheOptions, ConnectionOptions
    from .prefixes import Generation
    from .shield import Repairs

T = TypeVar("T")

# Seconds that a caller waits for another caller's read of the same key, before it reads for itself.
MAX_WAIT = 5.0

# The memos of the current thread or task, by the memory of the client and the name of the cache.
memos: ContextVar[Mapping[tuple[Near, str], NearStore]] = ContextVar("django_momento_memos", default={})  # noqa: B039 - it is never changed


class Near:
    """The memory beside one client. ``repairs`` is None until a write of a shielded alias fails."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.store = NearStore(0)
        self.repairs: Repairs | None = None
        # Reentrant: the handler of a signal may use a cache.
        self._lock = threading.RLock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._flights: dict[Name, Flight] = {}

    def adopt(self, options: CacheOptions) -> None:
        """Make room for an alias. The largest NEAR_BYTES of the aliases of a client bounds the memory."""
        if options.near_seconds or options.stale_if_error:
            self.store.max_bytes = max(self.store.max_bytes, options.near_bytes)

    def forget(self) -> None:
        """Start empty, as in a forked child."""
        if self.repairs is not None:
            self.repairs.forget()
        max_bytes = self.store.max_bytes
        self.__init__(self.client)  # type: ignore[misc]  # this very class: nothing subclasses it
        self.store.max_bytes = max_bytes

    def find_memo(self, cache: str) -> NearStore | None:
        """Return the memo of the current thread or task for a cache, if there is one."""
        active = memos.get()
        return active.get((self, cache)) if active else None

    def ask_again(self, name: Name) -> None:
        """Let the next read of a key ask Momento, unless this process has a newer value to repair."""
        if self.repairs and self.repairs.covers(name):
            return
        memo = self.find_memo(name[0])
        for store in (self.store,) if memo is None else (memo, self.store):
            store.ask_again(name)

    def reader(self, options: CacheOptions, codec: ValueCodec, generation: Generation | None) -> Reader:
        """Return the reader of one cache."""
        return Reader(self, options, codec, generation)

    def begin_flight(self, name: Name, mine: Flight | None = None) -> Flight:
        """Return the read of a key that is in flight, which is ``mine`` if there was none."""
        return self._flights.setdefault(name, mine or Flight())

    def end_flight(self, name: Name, flight: Flight) -> None:
        """End a read of a key, if it has begun: the caller's own, or one that is overdue."""
        if self._flights.get(name) is flight:
            self._flights.pop(name, None)
        flight.landed.end()

    def intercept(
        self, options: CacheOptions, verb: str, operation: Operation[T], tally: Tally | None = None
    ) -> Operation[T]:
        """Run an operation, and serve its calls from memory where that is possible."""
        if self.repairs:
            yield from self.repairs.repair_some(options.cache_name)
        passage = Passage(self, options, verb, tally)
        try:
            request = next(operation)
            while True:
                try:
                    response = yield from _pass(passage, request)
                except MomentoCacheError as error:
                    request = operation.throw(error)
                else:
                    request = operation.send(response)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        finally:
            # Not with the last reference: whoever keeps a traceback has one, and others wait for its flights.
            operation.close()

    def keep(self, passage: Passage, stored: Mapping[Name, tuple[Data, float | None]]) -> None:
        """Keep values that Momento could not store."""
        now = monotonic()
        for store in passage.written:
            for name, (data, until) in stored.items():
                store.put(name, data, now, until)

    def discard(self, cache: str, keys: Iterable[bytes]) -> None:
        """Forget values whose tags were invalidated, so that the next read asks Momento."""
        names = [(cache, key) for key in keys]
        self.store.discard(names)
        memo = self.find_memo(cache)
        if memo is not None:
            memo.discard(names)

    def remember(self, options: CacheOptions, names: Sequence[Name], kind: str) -> None:
        """Remember keys whose write failed in an outage, to repair them when Momento is back."""
        from .shield import Repairs

        with self._lock:
            if self.repairs is None:
                self.repairs = Repairs(self)
        self.repairs.remember(options.alias, names, kind)

    def count(self, alias: str, kind: str, number: int = 1) -> None:
        """Count an event of the memory."""
        with self._lock:
            self._counts[alias, kind] += number

    def counts(self, alias: str) -> dict[str, int]:
        """Return the number of events of each kind on an alias."""
        return {kind: count for (name, kind), count in self._counts.copy().items() if name == alias}


class Reader:
    """The short way for one cache from a key to its value in memory."""

    # The result of recall() if the operation of the verb has to be run.
    UNKNOWN = UNKNOWN

    def __init__(
        self, near: Near, options: CacheOptions, codec: ValueCodec, generation: Generation | None
    ) -> None:
        self._near = near
        self._options = options
        self._seconds = options.near_seconds
        self._cache = options.cache_name
        self._codec = codec
        self._generation = generation

    def recall(self, key: bytes, name: object, default: Any) -> Any:
        """Return the value of a key from memory, ``default`` if it is known to be missing, or UNKNOWN.

        ``name`` is the key as the caller gave it. Values with tags, and all values while keys are to be
        repaired, are left to ``intercept``.
        """
        near, seconds, store = self._near, self._seconds, self._near.store
        if (active := memos.get()) and (memo := active.get((near, self._cache))) is not None:
            store, seconds = memo, inf
        if not seconds or near.repairs:
            return UNKNOWN
        place = (self._cache, key)
        if self._generation is not None:
            prefix = self._generation.recall()
            if prefix is None:
                return UNKNOWN
            place = (self._cache, prefix + key)
        entry = store.find(place)
        if entry is None or not entry.is_fresh(monotonic(), seconds) or type(entry.data) is Marker:
            return UNKNOWN
        value = default
        if entry.data is not None:
            opened = entry.opened
            try:
                if opened is None or entry.codec is not self._codec:
                    opened = self._codec.open(key, cast(bytes, entry.data))
                    store.open(place, entry, opened, self._codec)
                attributes = opened.attributes
                value = opened.load()
                if attributes is not None:
                    if attributes.tags or is_stale(cast(bytes, entry.data), value):
                        return UNKNOWN
                    value = value.value
            except UnreadableValue:
                return UNKNOWN
        options = self._options
        near.count(options.alias, "near_hits")
        if observers or options.observers:
            with Observed(options, "get", (name,)) as tally:
                tally.served_from = "near"
                tally.record_lookup(Get(key), entry.data)
        return value


class Flight:
    """One caller's read of a key that is not in memory, which other callers wait for."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.landed = Landing()


class _Join(Wait):
    """Waits until the read of another caller has ended. The result is False if it has not in MAX_WAIT."""

    __slots__ = ("_flight",)

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def run(self) -> bool:
        # The handler of a signal would wait for the thread that it has interrupted, or for one that waits for
        # a lock of gRPC's which the interrupted call holds.
        if self._flight.thread == threading.get_ident() or is_inside_grpc():
            return True
        return wait_on_this_thread(self._flight.landed, MAX_WAIT)

    async def arun(self) -> bool:
        return await wait_for((self._flight.landed,), shared=True, timeout=MAX_WAIT)


def _pass(passage: Passage, request: Any) -> Operation[Any]:
    """Send the part of a request that is not in memory, and return the whole response."""
    if isinstance(request, list):
        return (yield from _pass_all(passage, request))
    if not isinstance(request, Call):
        return (yield request)
    mine: Flight | None = None
    try:
        if isinstance(request, Get) and _may_join(passage, request.key):
            mine = Flight()
            yield from _take_turn(passage, request.key, mine)
        (outcome,) = yield from _pass_all(passage, [request], is_alone=True)
        if mine is not None:
            passage.near.end_flight((passage.cache, request.key), mine)
    except BaseException:
        if mine is not None:
            passage.near.end_flight((passage.cache, request.key), mine)
        raise
    if isinstance(outcome, MomentoCacheError):
        raise outcome
    return outcome


def _may_join(passage: Passage, key: bytes) -> bool:
    """Return whether one read of a key is to serve all callers that come meanwhile."""
    return passage.is_reading and bool(passage.options.near_seconds) and not passage.knows(key)


def _take_turn(passage: Passage, key: bytes, mine: Flight) -> Operation[None]:
    """Begin a read of a key that is not fresh in memory, or wait for that of another caller."""
    name = (passage.cache, key)
    flight = passage.near.begin_flight(name, mine)
    if flight is not mine:
        has_landed = yield _Join(flight)
        if not has_landed:
            passage.near.end_flight(name, flight)  # Nobody may be left to end it.
        passage.near.count(passage.options.alias, "joined_reads")


def _pass_all(passage: Passage, calls: list[Call[Any]], *, is_alone: bool = False) -> Operation[list[Any]]:
    repairs = passage.near.repairs
    if repairs and not passage.is_overwriting:
        error = yield from repairs.repair_first(passage, calls)
        if error is not None:
            steps = [make_step(passage, call) for call in calls]
            for step in steps:
                step.begin()
            return [step.end(error) for step in steps]
    steps = [make_step(passage, call) for call in calls]
    try:
        for step in steps:
            step.begin()
        outcomes = yield from _send([step.call for step in steps if step.call is not None], is_alone)
        return [step.end(outcomes.pop(0) if step.call is not None else None) for step in steps]
    except BaseException:  # the task was cancelled, or the thread interrupted
        for step in steps:
            step.abandon()
        raise


def _send(calls: list[Call[Any]], is_alone: bool) -> Operation[list[Any]]:
    """Send calls and return the outcome of each, its response or its error."""
    if not calls:
        return []
    try:
        if is_alone:
            return [(yield calls[0])]
        return list((yield calls))
    except MomentoCacheError as error:
        return [error for _ in calls]


class Nears:
    """The memory of each client."""

    def __init__(self) -> None:
        self._nears: dict[ConnectionOptions, Near] = {}

    def attach(self, client: Client, options: CacheOptions) -> Near:
        """Return the memory of a client, put beside it if there is none."""
        near = self._nears.get(options.connection)
        if near is None:
            near = self._nears.setdefault(options.connection, Near(client))
        near.adopt(options)
        client.memory = near
        return near

    def forget(self) -> None:
        """Empty every memory, as in a forked child."""
        for near in self._nears.values():
            near.forget()

    def close(self) -> None:
        """Take every memory from its client. A cache that is made later begins a new one."""
        self.forget()
        for near in self._nears.values():
            near.client.memory = None
        self._nears.clear()

    def counts(self, alias: str) -> dict[str, int]:
        """Return the number of events of each kind on an alias in all memories."""
        total: Counter[str] = Counter()
        for near in list(self._nears.values()):
            total.update(near.counts(alias))
        return dict(total)


nears = Nears()
events.sources.append(nears.counts)
forking.register(after_in_child=nears.forget)
