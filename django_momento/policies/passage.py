"""The way of one operation through the memory of a process: the values that it may read there."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..client.calls import RESERVED
from ..clock import monotonic
from ..exceptions import (
    AuthenticationFailed,
    CredentialError,
    LimitExceeded,
    ServerError,
    TransportError,
)
from .near_store import Entry, Marker, NearStore

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

# Errors of a Momento that cannot respond at the moment, for a reason that is not in the call.
_OUTAGES = (TransportError, LimitExceeded, CredentialError, AuthenticationFailed, ServerError)


class StaleBytes(bytes):
    """Stored bytes that are served because Momento cannot respond, even if they are no longer fresh."""


def is_outage(error: object) -> bool:
    """Return whether a call failed because Momento cannot respond at the moment."""
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
        """Return the response for a key from memory, or UNKNOWN if Momento is to be asked."""
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
        """Return the response for a key that this process saw within STALE_IF_ERROR seconds, or UNKNOWN."""
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


def _mark_stale(response: Any) -> Any:
    return StaleBytes(response) if type(response) is bytes else response
