"""The shield: keys whose write failed in an outage, which are deleted at Momento when it is back.

Until a key is repaired, this process reads it as its own new value, or as missing. The next callers repair a
few keys each, and a thread in the background repairs the rest: a container may be frozen between calls, and a
quiet process may have no next caller. A repair deletes, because another process may have written the key.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from ..client.call_items import keys_of
from ..client.calls import Call, Delete, FlushCache, Get, GetBatch, ItemGetTtl, KeysExist, Operation
from ..client.retry import Backoff
from ..clock import monotonic
from ..events import events
from ..exceptions import MomentoCacheError
from ..interruption import is_interruption
from .near_store import REPLICA_SECONDS, Name, NearStore
from .passage import Passage, is_outage

if TYPE_CHECKING:
    from ..client.client import Client

logger = logging.getLogger("django_momento")

# Keys that are remembered. When there are more, the oldest are dropped.
MAX_FAILED_KEYS = 10_000

# Keys that one caller repairs, and keys that are repaired together at most. After an attempt that failed, the
# next one has a single key: an account that is throttled must not get more load.
KEYS_OF_A_CALLER = 16
MAX_BATCH = 64

# Seconds between one attempt and the next while Momento does not respond. A probe of the circuit breaker
# takes as long. So a quiet process has repaired its keys within two seconds of the end of an outage.
INITIAL_BACKOFF = 0.1
MAX_BACKOFF = 0.4

_READS = (Get, GetBatch, KeysExist, ItemGetTtl)


class Memory(Protocol):
    """The part of ``near.Near`` that the repairs use."""

    client: Client
    store: NearStore


class _Failed:
    """A write that failed: the alias, and whether the value may be another than Momento's."""

    __slots__ = ("alias", "kind")

    def __init__(self, alias: str, kind: str) -> None:
        self.alias = alias
        self.kind = kind


class Repairs:
    """The keys of one client that are to be deleted at Momento.

    The key ``b""`` of a cache stands for all of its keys, after a ``clear`` that failed.
    """

    def __init__(self, near: Memory) -> None:
        self._near = near
        self._failed: OrderedDict[Name, _Failed] = OrderedDict()
        # The times of recent repairs, and of the last one.
        self._repaired: dict[Name, float] = {}
        self._repaired_at = -inf
        self._lock = threading.RLock()
        self._backoff = Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
        self._due_at = 0.0
        self._size = 1
        self._wakeup = threading.Event()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._failed)

    def __bool__(self) -> bool:
        return bool(self._failed) or monotonic() - self._repaired_at < REPLICA_SECONDS

    def forget(self) -> None:
        """Forget all keys, as in a forked child: the parent repairs them."""
        self.__init__(self._near)  # type: ignore[misc]  # this very class: nothing subclasses it

    def remember(self, alias: str, names: Sequence[Name], kind: str) -> None:
        """Remember keys whose write failed, the last one if a key failed before."""
        dropped = 0
        with self._lock:
            for name in names:
                known = self._failed.pop(name, None)
                # After a failed touch the key still has the value of an earlier failure.
                kept = known.kind if known is not None and kind == "touch" else kind
                self._failed[name] = _Failed(alias, kept)
            while len(self._failed) > MAX_FAILED_KEYS:
                self._failed.popitem(last=False)
                dropped += 1
            self._start()
        for _ in names:
            events.record(alias, "failed_writes")
        for _ in range(dropped):
            events.record(
                alias,
                "dropped_repairs",
                "more than %d writes failed in an outage. The oldest are not repaired: their keys keep their "
                "old values until they expire. Call clear() if that does harm.",
                MAX_FAILED_KEYS,
            )

    def covers(self, name: Name) -> bool:
        """Return whether Momento may have another value for a key than this process."""
        failed = self._failed.get(name)
        everything = (name[0], b"")
        if (failed is not None and failed.kind != "touch") or everything in self._failed:
            return True
        # A replica may still have the value from before the repair.
        repaired_at = max(self._repaired.get(name, -inf), self._repaired.get(everything, -inf))
        return monotonic() - repaired_at < REPLICA_SECONDS

    def resolve(self, names: Iterable[Name]) -> None:
        """Forget keys that were written or deleted meanwhile."""
        with self._lock:
            for name in names:
                self._failed.pop(name, None)
                self._repaired.pop(name, None)

    def resolve_cache(self, cache: str) -> None:
        """Forget all keys of a cache that was emptied meanwhile."""
        with self._lock:
            for name in [name for name in self._failed if name[0] == cache]:
                self._failed.pop(name, None)

    def repair_some(self, cache: str) -> Operation[None]:
        """Delete up to KEYS_OF_A_CALLER keys of a cache at Momento, if it is time for another attempt."""
        repaired = 0
        while repaired < KEYS_OF_A_CALLER:
            now = monotonic()
            with self._lock:
                if now < self._due_at:
                    return
                batch = self._batch(cache, min(self._size, KEYS_OF_A_CALLER - repaired))
                if not batch:
                    return
                # Other callers need not try at the same time.
                self._due_at = now + self._backoff.next()
            if (yield from self._repair(batch)) is not None:
                return
            self._backoff.reset()
            self._due_at = 0.0
            repaired += len(batch)

    def repair_first(
        self, passage: Passage, calls: Sequence[Call[Any]]
    ) -> Operation[MomentoCacheError | None]:
        """Repair the keys of calls that depend on the stored value; return the error if that fails."""
        names = [
            (passage.cache, key)
            for call in calls
            if not (passage.is_reading and isinstance(call, _READS))
            for key in keys_of(call)
        ]
        with self._lock:
            batch = {name: self._failed[name] for name in names if name in self._failed}
            flush = (passage.cache, b"")
            if names and flush in self._failed:
                batch[flush] = self._failed[flush]
        return (yield from self._repair(batch)) if batch else None

    def _batch(self, cache: str, number: int) -> dict[Name, _Failed]:
        batch = {}
        for name, failed in self._failed.items():
            if name[0] == cache:
                batch[name] = failed
                if len(batch) == number:
                    break
        return batch

    def _repair(self, batch: dict[Name, _Failed]) -> Operation[MomentoCacheError | None]:
        """Delete keys at Momento; return an error if Momento does not respond."""
        outage = None
        deletes = {name: failed for name, failed in batch.items() if name[1]}
        if deletes:
            try:
                outcomes = yield [Delete(key) for _, key in deletes]
            except MomentoCacheError as error:
                outcomes = [error for _ in deletes]
            for (name, failed), outcome in zip(deletes.items(), outcomes, strict=True):
                outage = self._settle(name, failed, outcome) or outage
        for name, failed in batch.items():
            if not name[1] and outage is None:
                try:
                    outcome = yield FlushCache(name[0])
                except MomentoCacheError as error:
                    outcome = error
                outage = self._settle(name, failed, outcome)
        self._size = min(self._size * 2, MAX_BATCH) if outage is None else 1
        return outage

    def _settle(self, name: Name, failed: _Failed, outcome: Any) -> MomentoCacheError | None:
        """Note the outcome of a repair; return the error if it is to be tried again."""
        if isinstance(outcome, MomentoCacheError) and is_outage(outcome):
            return outcome
        with self._lock:
            # A write that has failed since then is to be repaired once more.
            if self._failed.get(name) is not failed:
                return None
            self._failed.pop(name, None)
            if name[1]:
                self._near.store.drop([name])
            else:
                self._near.store.drop_cache(name[0])
            self._note_repaired(name)
        if isinstance(outcome, MomentoCacheError):
            message = "a key cannot be repaired after an outage, and keeps its old value until it expires: %s"
            events.record(failed.alias, "dropped_repairs", message, outcome)
        else:
            events.record(failed.alias, "repaired_keys")
        return None

    def _note_repaired(self, name: Name) -> None:
        now = monotonic()
        if now - self._repaired_at >= REPLICA_SECONDS:
            self._repaired.clear()
        self._repaired[name] = self._repaired_at = now

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._run, name="momento-repair", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except Exception as error:  # threads fail to start in several ways
            self._thread = None  # The next callers repair the keys.
            if is_interruption(error):
                raise

    def _run(self) -> None:
        """Repair keys until there are none. Runs on a thread of its own."""
        backoff = Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
        while True:
            with self._lock:
                if not self._failed:
                    self._thread = None
                    return
                cache = next(iter(self._failed))[0]
                batch = self._batch(cache, self._size)
            try:
                error = self._near.client.run_in_background(cache, self._repair(batch))
            except Exception:
                logger.exception("The repair of cache keys failed unexpectedly, and is tried again.")
                error = None
                self._wakeup.wait(MAX_BACKOFF)
            if error is None:
                backoff.reset()
            else:
                self._wakeup.wait(backoff.next())
