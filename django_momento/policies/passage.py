"""The calls of one operation on their way through the memory of a process.

A step is one call. It is begun before the call is sent, and tells which part of it is still to be sent. It is
ended with the outcome and returns the response that the operation receives, or is abandoned without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..client.calls import (
    RESERVED,
    Call,
    Delete,
    FlushCache,
    Get,
    GetBatch,
    ItemGetTtl,
    KeysExist,
    Set,
    SetBatch,
    SetBatchOnce,
    SetIf,
    SetIfAbsent,
    UpdateTtl,
)
from ..clock import monotonic
from ..exceptions import (
    AuthenticationFailed,
    CredentialError,
    LimitExceeded,
    MomentoCacheError,
    ServerError,
    TransportError,
)
from .near_store import PRESENT, Data, Entry, Marker, Name, NearStore

if TYPE_CHECKING:
    from ..client.metering import Tally
    from ..conf.options import CacheOptions
    from .near import Near

# Stands for a response that the memory cannot give.
UNKNOWN = object()

# Verbs that read for their caller. Other verbs read in order to write, and must ask Momento.
READING = frozenset({"get", "get_many", "has_key", "ttl", "get_or_set", "snapshot"})
# Verbs of calls for a get_or_set(), which makes a value that is missing, with versions of tags and leases.
COMPUTING = frozenset({"get_or_set", "snapshot", "lease"})
# Verbs that replace or delete whatever Momento has.
OVERWRITING = frozenset({"set", "set_many", "delete", "delete_many", "invalidate_tags"})

# Whether the current thread or task reads and stores for a get_or_set(), which makes a value that is missing.
computing: ContextVar[bool] = ContextVar("django_momento_computing", default=False)

# Verbs that look for a key in order to delete it.
DELETING = frozenset({"delete", "touch"})

# Errors that say that Momento cannot answer at the moment, and nothing about the call.
_OUTAGES = (TransportError, LimitExceeded, CredentialError, AuthenticationFailed, ServerError)


class StaleBytes(bytes):
    """Stored bytes that are served because Momento cannot answer, even if they are no longer fresh."""


def is_outage(error: object) -> bool:
    """Return whether a call failed because Momento cannot answer at the moment."""
    return isinstance(error, _OUTAGES)


class Passage:
    """One operation of a cache: its verb, its options, and the memories that it may use."""

    def __init__(self, near: Near, options: CacheOptions, verb: str, tally: Tally | None) -> None:
        self.near = near
        self.options = options
        self.tally = tally
        self.cache = options.cache_name
        self.is_reading = verb in READING
        self.is_computing = verb in COMPUTING or computing.get()
        self.is_overwriting = verb in OVERWRITING
        self.is_deleting = verb in DELETING
        self.is_shielded = options.stale_if_error > 0
        # The memories that are read, each with the seconds for which its entries are fresh.
        self.memories: list[tuple[NearStore, float]] = []
        memo = near.find_memo(self.cache)
        if memo is not None:
            self.memories.append((memo, float("inf")))
        if options.near_seconds or self.is_shielded:
            self.memories.append((near.store, options.near_seconds))
        self.written = [near.store] if memo is None else [memo, near.store]

    def knows(self, key: bytes) -> bool:
        """Return whether a fresh value of a key, or the fact that it is missing, is in memory."""
        now = monotonic()
        entries = [(store.find((self.cache, key)), seconds) for store, seconds in self.memories]
        return any(
            entry is not None and type(entry.data) is not Marker and entry.is_fresh(now, seconds)
            for entry, seconds in entries
        )

    def look_up(self, key: bytes, view: View) -> Any:
        """Return what the memory knows of a key, or UNKNOWN if Momento is to be asked."""
        name, now = (self.cache, key), monotonic()
        repairs = self.near.repairs
        if repairs and self.is_reading and repairs.covers(name):
            entry = self.near.store.find(name)
            is_old = entry is not None and now - entry.seen >= self.options.stale_if_error
            if entry is None or is_old or type(entry.data) is Marker:
                entry = Entry(None, now, None, 0)
            response = view(entry, now)
            if response is UNKNOWN:
                return None
            self.count("stale_reads")
            return _mark_stale(response)
        # Versions of tags and prefixes have a memory of their own, and TAG_SECONDS.
        if not self.is_reading or key.startswith(RESERVED):
            return UNKNOWN
        for number, (store, seconds) in enumerate(self.memories):
            found = store.find(name) if seconds else None
            if found is not None and found.is_fresh(now, seconds):
                response = view(found, now)
                if response is not UNKNOWN:
                    for memo, _ in self.memories[:number]:
                        memo.put(name, found.data, now, found.until)
                    self.count("near_hits")
                    return response
        return UNKNOWN

    def look_up_stale(self, key: bytes, view: View) -> Any:
        """Return what this process saw of a key within STALE_IF_ERROR seconds, or UNKNOWN."""
        now = monotonic()
        entry = self.near.store.find((self.cache, key))
        if entry is None or now - entry.seen >= self.options.stale_if_error:
            return UNKNOWN
        response = view(entry, now)
        if response is UNKNOWN:
            return UNKNOWN
        self.count("stale_reads")
        return _mark_stale(response)

    def count(self, kind: str) -> None:
        """Count an event of this alias, and note in the event of the call where its values came from."""
        self.near.count(self.options.alias, kind)
        if self.tally is not None and self.tally.served_from != "stale":
            self.tally.served_from = "stale" if kind == "stale_reads" else "near"


View = Callable[[Entry, float], Any]


def view_value(entry: Entry, now: float) -> Any:
    """Return the stored bytes, or None for a key that is missing."""
    return UNKNOWN if type(entry.data) is Marker else entry.data


def view_presence(entry: Entry, now: float) -> Any:
    """Return whether the key exists."""
    return entry.data is not None


def view_remaining(entry: Entry, now: float) -> Any:
    """Return the milliseconds that a key has left, or None if it is missing."""
    if entry.data is None:
        return None
    if entry.until is None or entry.until <= now:
        return UNKNOWN
    return round((entry.until - now) * 1000)


class Step:
    """A call that the memory lets pass unseen. ``call`` is the part of it to send, or None."""

    def __init__(self, passage: Passage, call: Any) -> None:
        self.passage = passage
        self.call: Any = call

    def end(self, outcome: Any) -> Any:
        """Return the response of the call, or its error, from the outcome of the part that was sent."""
        return outcome

    def abandon(self) -> None:
        """End without an outcome, because the task was cancelled or the thread interrupted."""


class Read(Step):
    """A call that reads, of which only the keys are sent that the memory does not know."""

    def __init__(self, passage: Passage, call: Any) -> None:
        super().__init__(passage, call)
        self._request = call
        self._is_batch = hasattr(call, "keys")
        self._keys: Sequence[bytes] = call.keys if self._is_batch else (call.key,)
        self._view = _VIEWS[type(call)]
        self._known: dict[bytes, Any] = {}
        for key in self._keys:
            response = passage.look_up(key, self._view)
            # A remaining time changes elsewhere. It is asked for, unless a repair is due.
            if response is not UNKNOWN and (type(call) is not ItemGetTtl or response is None):
                self._known[key] = response
        self._asked = tuple(key for key in self._keys if key not in self._known)
        if not self._asked:
            self.call = None
        elif len(self._asked) < len(self._keys):
            self.call = type(call)(self._asked)
        self._record_served()
        names = [(passage.cache, key) for key in self._asked]
        self._readings = [(store, store.begin_reading(names)) for store, _ in passage.memories if names]

    def end(self, outcome: Any) -> Any:
        if self.call is None:
            return self._response({})
        if isinstance(outcome, MomentoCacheError):
            self.abandon()
            return self._serve_stale(outcome)
        responses = dict(zip(self._asked, outcome if self._is_batch else [outcome], strict=True))
        for store, reading in self._readings:
            found = {
                (self.passage.cache, key): data
                for key, response in responses.items()
                if (data := self._data_of(response, reading.started)) is not None
            }
            store.end_reading(reading, found)
        return self._response(responses)

    def abandon(self) -> None:
        for store, reading in self._readings:
            store.end_reading(reading, {})

    def _data_of(self, response: Any, started: float) -> tuple[Data, float | None] | None:
        """Return the value to keep for a response, and the end of its timeout."""
        if self._view is view_value:
            return response, None
        if self._view is view_presence:
            return PRESENT if response else None, None
        return (None, None) if response is None else (PRESENT, started + response / 1000)

    def _serve_stale(self, error: MomentoCacheError) -> Any:
        """Return the response of what this process saw, or the error if it saw none of the keys."""
        passage = self.passage
        if not passage.is_shielded or not is_outage(error):
            return error
        if self._view is view_presence and passage.is_deleting:
            # The delete must be tried all the same, and remembered if it fails.
            return [False for _ in self._keys]
        if not passage.is_reading:
            return error
        responses = {
            key: response
            for key in self._asked
            if (response := passage.look_up_stale(key, self._view)) is not UNKNOWN
        }
        if not responses and not self._known and not passage.is_computing:
            return error
        missing = False if self._view is view_presence else None
        for key in self._asked:
            responses.setdefault(key, missing)
        if passage.tally is not None:
            passage.tally.record_lookup(self.call, self._shape(self._asked, responses))
        return self._response(responses)

    def _record_served(self) -> None:
        """Count the keys that the memory knows as looked up. The client counts those that it asks for."""
        tally = self.passage.tally
        if tally is not None and self._known:
            request = type(self._request)(tuple(self._known)) if self._is_batch else self._request
            tally.record_lookup(request, self._shape(self._known, self._known))

    def _response(self, responses: dict[bytes, Any]) -> Any:
        return self._shape(self._keys, {**self._known, **responses})

    def _shape(self, keys: Any, responses: dict[bytes, Any]) -> Any:
        return [responses[key] for key in keys] if self._is_batch else responses[next(iter(keys))]


_VIEWS: dict[type[Call[Any]], View] = {
    Get: view_value,
    GetBatch: view_value,
    KeysExist: view_presence,
    ItemGetTtl: view_remaining,
}


class Write(Step):
    """A call that writes, whose outcome the memory follows."""

    # What is remembered of a call that failed in an outage, or None if nothing is.
    kind: str | None = None

    def __init__(self, passage: Passage, call: Any) -> None:
        super().__init__(passage, call)
        self.names: list[Name] = [(passage.cache, key) for key in keys_of(call)]
        self.writings = [(store, store.begin_writing(self.names)) for store in passage.written]

    def end(self, outcome: Any) -> Any:
        passage = self.passage
        if isinstance(outcome, MomentoCacheError):
            self.abandon()
            if passage.is_shielded and is_outage(outcome):
                return self.fail(outcome)
            return outcome
        for store, writing in self.writings:
            store.end_writing(writing, self.stored(outcome, writing.started))
        if self.kind is not None and passage.near.repairs is not None:
            passage.near.repairs.resolve(self.names)
        return outcome

    def abandon(self) -> None:
        for store, writing in self.writings:
            store.end_writing(writing, {})

    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        """Return the values that Momento has now, each with the end of its timeout."""
        return {}

    def fail(self, error: MomentoCacheError) -> Any:
        """Return the outcome of a call that failed in an outage."""
        kind, names = self.kind, self.names
        # A version that was not renewed must not be deleted for that.
        if kind is not None and not (kind == "touch" and names[0][1].startswith(RESERVED)):
            self.passage.near.remember(self.passage.options, names, kind)
        return error


class SetIfStep(Write):
    def fail(self, error: MomentoCacheError) -> Any:
        # A lease that cannot be had must not keep get_or_set() from computing the value.
        return True if self.passage.is_computing else error


class SetStep(Write):
    kind = "set"

    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (self.call.value, started + self.call.ttl / 1000)}

    def fail(self, error: MomentoCacheError) -> Any:
        super().fail(error)
        self.passage.near.keep(self.passage, self.stored(None, monotonic()))
        return None if self.passage.is_computing else error


class SetBatchStep(Write):
    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        until = started + self.call.ttl / 1000
        return {
            (self.passage.cache, key): (value, until)
            for (key, value), is_stored in zip(self.call.items, outcome, strict=True)
            if is_stored
        }

    def end(self, outcome: Any) -> Any:
        outcome = super().end(outcome)
        repairs = self.passage.near.repairs
        if repairs is not None and not isinstance(outcome, MomentoCacheError):
            repairs.resolve(self.stored(outcome, 0.0))
        return outcome

    def fail(self, error: MomentoCacheError) -> Any:
        self.passage.near.remember(self.passage.options, self.names, "set")
        self.passage.near.keep(self.passage, self.stored([True] * len(self.names), monotonic()))
        return error


class AddStep(Write):
    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (self.call.value, started + self.call.ttl / 1000)} if outcome else {}

    def fail(self, error: MomentoCacheError) -> Any:
        if not self.passage.is_computing:
            return error
        self.passage.near.keep(self.passage, self.stored(True, monotonic()))
        return True


class DeleteStep(Write):
    kind = "delete"

    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (None, None)}


class TouchStep(Write):
    kind = "touch"

    def end(self, outcome: Any) -> Any:
        if outcome is not True:
            return super().end(outcome)
        for store, writing in self.writings:
            store.end_touching(writing, writing.started + self.call.ttl / 1000)
        if self.passage.near.repairs is not None:
            self.passage.near.repairs.resolve(self.names)
        return outcome

    def abandon(self) -> None:
        # The value is the one from before, whatever became of its timeout.
        for store, writing in self.writings:
            store.end_touching(writing, None)

    def stored(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (None, None)}


class FlushStep(Step):
    """A call that removes every item of a cache."""

    def end(self, outcome: Any) -> Any:
        self.abandon()
        passage = self.passage
        if not isinstance(outcome, MomentoCacheError):
            if passage.near.repairs is not None:
                passage.near.repairs.resolve_cache(passage.cache)
        elif passage.is_shielded and is_outage(outcome):
            passage.near.remember(passage.options, [(passage.cache, b"")], "flush")
        return outcome

    def abandon(self) -> None:
        for store in self.passage.written:
            store.drop_cache(self.passage.cache)


_STEPS: dict[Any, type[Step]] = {
    **dict.fromkeys(_VIEWS, Read),
    Set: SetStep,
    SetBatch: SetBatchStep,
    SetBatchOnce: SetBatchStep,
    SetIf: SetIfStep,
    SetIfAbsent: AddStep,
    Delete: DeleteStep,
    UpdateTtl: TouchStep,
    FlushCache: FlushStep,
}


def begin_step(passage: Passage, call: Any) -> Step:
    """Return the step of a call. A call that is not listed is taken for a write of its key."""
    return _STEPS.get(type(call), Write)(passage, call)


def keys_of(call: Any) -> Sequence[bytes]:
    """Return the keys that a call names."""
    if hasattr(call, "key"):
        return (call.key,)
    if hasattr(call, "keys"):
        return tuple(call.keys)
    return tuple(key for key, _ in getattr(call, "items", ()))


def _mark_stale(response: Any) -> Any:
    return StaleBytes(response) if type(response) is bytes else response
