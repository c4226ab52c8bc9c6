"""The calls of one operation on their way through the memory of a process.

A step is one call. It is begun before the call is sent, and tells then which part of it is to be sent. It is
ended with the outcome and returns the response that the operation receives, or is abandoned without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from ..client.call_items import keys_of
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
from ..exceptions import MomentoCacheError
from .near_store import PRESENT, Data, Name, NearStore, Reading, Writing
from .passage import UNKNOWN, Passage, View, is_outage, view_presence, view_remaining, view_value


class Step:
    """A call that the memory lets pass unseen. ``call`` is the part of it to send, or None."""

    def __init__(self, passage: Passage, call: Any) -> None:
        self.passage = passage
        self.call: Any = call

    def begin(self) -> None:
        """Note in the memory that the call is on its way."""

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
        self._asked: tuple[bytes, ...] = ()
        self._readings: list[tuple[NearStore, Reading]] = []

    def begin(self) -> None:
        passage, call = self.passage, self._request
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
        for store, _ in passage.memories if names else ():
            reading = Reading(names)
            self._readings.append((store, reading))
            store.begin_reading(reading)

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
        """Return the response for the keys that this process saw, or the error if it saw none of them."""
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

    # The kind of write that is remembered if it failed in an outage, or None for others.
    kind: str | None = None

    def __init__(self, passage: Passage, call: Any) -> None:
        super().__init__(passage, call)
        self.names: list[Name] = [(passage.cache, key) for key in keys_of(call)]
        self.writings: list[tuple[NearStore, Writing]] = []

    def begin(self) -> None:
        for store in self.passage.written:
            writing = Writing(self.names)
            self.writings.append((store, writing))
            store.begin_writing(writing)

    def end(self, outcome: Any) -> Any:
        passage = self.passage
        if isinstance(outcome, MomentoCacheError):
            self.abandon()
            if passage.is_shielded and is_outage(outcome):
                return self.fail(outcome)
            return outcome
        for store, writing in self.writings:
            store.end_writing(writing, self.values(outcome, writing.started))
        if self.kind is not None and passage.near.repairs is not None:
            passage.near.repairs.resolve(self.names)
        return outcome

    def abandon(self) -> None:
        for store, writing in self.writings:
            store.end_writing(writing, {})

    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
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

    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (self.call.value, started + self.call.ttl / 1000)}

    def fail(self, error: MomentoCacheError) -> Any:
        super().fail(error)
        self.passage.near.keep(self.passage, self.values(None, monotonic()))
        return None if self.passage.is_computing else error


class SetBatchStep(Write):
    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        ttl = self.call.ttl
        ttls = ttl if isinstance(ttl, tuple) else repeat(ttl, len(self.call.items))
        return {
            (self.passage.cache, key): (value, started + ttl / 1000)
            for (key, value), ttl, is_stored in zip(self.call.items, ttls, outcome, strict=True)
            if is_stored
        }

    def end(self, outcome: Any) -> Any:
        outcome = super().end(outcome)
        repairs = self.passage.near.repairs
        if repairs is not None and not isinstance(outcome, MomentoCacheError):
            repairs.resolve(self.values(outcome, 0.0))
        return outcome

    def fail(self, error: MomentoCacheError) -> Any:
        self.passage.near.remember(self.passage.options, self.names, "set")
        self.passage.near.keep(self.passage, self.values([True] * len(self.names), monotonic()))
        return error


class AddStep(Write):
    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
        return {self.names[0]: (self.call.value, started + self.call.ttl / 1000)} if outcome else {}

    def fail(self, error: MomentoCacheError) -> Any:
        if not self.passage.is_computing:
            return error
        self.passage.near.keep(self.passage, self.values(True, monotonic()))
        return True


class DeleteStep(Write):
    kind = "delete"

    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
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

    def values(self, outcome: Any, started: float) -> dict[Name, tuple[Data, float | None]]:
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


def make_step(passage: Passage, call: Any) -> Step:
    """Return the step of a call. A call that is not listed is taken for a write of its key."""
    return _STEPS.get(type(call), Write)(passage, call)
