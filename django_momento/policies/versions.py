"""The versions of tags and of prefixes: random bytes at Momento, kept in this process for a short time.

A value carries the versions of its time, so that other versions forget it. Versions never repeat. If Momento
loses one, its values are missing, and none of them comes back.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterable
from hashlib import blake2b
from itertools import count
from secrets import token_bytes
from typing import Any, NamedTuple

from .. import forking
from ..client import operations
from ..client.calls import RESERVED, Operation, SetBatchOnce, SetIfAbsent, UpdateTtl, Wait
from ..client.futures import Landing, wait_for, wait_on_this_thread
from ..client.interrupts import is_inside_grpc
from ..client.retry import RETRY_BACKOFF, RETRYABLE_STATUSES, Pause, jitter
from ..clock import monotonic, wall
from ..conf.options import CacheOptions, ConnectionOptions
from ..exceptions import CallTimedOut, MomentoCacheError, ServerError

VERSION_BYTES = 8

# The versions that a process keeps of one Momento cache. The one that was learned first goes first.
MAX_KNOWN = 10_000

# A process that goes on storing values with a version renews its TTL after this part of MAX_TTL.
RENEWAL = 0.25

# Seconds that a caller waits for the question of another one before it asks by itself.
MAX_WAIT = 2.0


# A text follows another after a byte that neither of them has.
_TAG = RESERVED + b"tag" + RESERVED
_GENERATION = RESERVED + b"generation" + RESERVED


def tag_key(prefix: str, tag: str) -> bytes:
    """Return the key under which the version of a tag is stored, for all aliases with this prefix."""
    return _TAG + _encode(prefix) + RESERVED + _encode(tag)


def generation_key(prefix: str) -> bytes:
    """Return the key under which the generation of a prefix is stored."""
    return _GENERATION + _encode(prefix)


def _encode(text: str) -> bytes:
    return str(text).encode("utf-8", "surrogatepass")


class Moment(NamedTuple):
    """A time by both clocks. ``order`` tells it from others of the same tick of a clock."""

    order: int
    monotonic: float
    wall: float


class Known(NamedTuple):
    """A version that this process knows, or None if Momento had none when it was asked.

    ``asked`` is the moment just before the call was sent. The version may have changed since.
    """

    version: bytes | None
    asked: Moment
    # The TTL is due for renewal after this part of the time between two renewals, counted from the time.
    renewed_at: float
    renewal: float


class _Flight:
    """A question for some versions that is on its way."""

    def __init__(self) -> None:
        self.landed = Landing()
        self.thread = threading.get_ident()
        self._began = monotonic()

    def is_overdue(self) -> bool:
        return monotonic() - self._began >= MAX_WAIT


class _Join(Wait):
    """Waits until questions of other callers have ended. The result is False if they did not end in time."""

    __slots__ = ("_flights",)

    def __init__(self, flights: Collection[_Flight]) -> None:
        self._flights = flights

    def run(self) -> bool:
        # A caller on this very thread cannot go on while the thread waits: the handler of a signal waits. If
        # it has interrupted gRPC, other callers may wait for a lock that the interrupted call holds.
        return not is_inside_grpc() and all(
            flight.thread != threading.get_ident() and wait_on_this_thread(flight.landed, MAX_WAIT)
            for flight in self._flights
        )

    async def arun(self) -> bool:
        return await wait_for([each.landed for each in self._flights], shared=True, timeout=MAX_WAIT)


class _Backoff(Pause, Wait):
    """Waits for some seconds."""


class Versions:
    """The versions in one Momento cache that this process knows, by the keys under which they are stored."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may use a cache.
        self._lock = threading.RLock()
        self._known: dict[bytes, Known] = {}
        self._flights: dict[bytes, _Flight] = {}
        self._orders = count()
        # When versions were last found replaced: when this process began or ended that, or read another one.
        self._replaced: dict[bytes, Moment] = {}
        # The last attempt of this process to replace a version.
        self._attempts: dict[bytes, object] = {}

    def recall(self, key: bytes, seconds: float) -> Known | None:
        """Return a version that Momento was asked for in the last ``seconds``."""
        known = self._known.get(key)
        # By both clocks: one stands still while the machine sleeps, and the other one may be set back.
        if (
            known is None
            or monotonic() - known.asked.monotonic >= seconds
            or not 0 <= wall() - known.asked.wall < seconds
        ):
            return None
        return known

    def peek(self, key: bytes) -> bytes | None:
        """Return the version that this process knew last, however old it is."""
        known = self._known.get(key)
        return None if known is None else known.version

    def was_replaced_since(self, key: bytes, started: float) -> bool:
        """Return whether this process knows that a version was replaced after a time of ``clock.monotonic``.

        The version may have been replaced before that time, if another process did it.
        """
        replaced = self._replaced.get(key)
        return replaced is not None and replaced.monotonic >= started

    def ask(self, keys: Iterable[bytes], seconds: float) -> Operation[dict[bytes, bytes | None]]:
        """Return the version of each key, or None if it has none. Send at most one call.

        Versions that were asked for in the last ``seconds`` are not asked for again.
        """
        found: dict[bytes, bytes | None] = {}
        missing = list(dict.fromkeys(keys))
        is_patient = seconds > 0
        while missing:
            for key in missing:
                known = self.recall(key, seconds)
                if known is not None:
                    found[key] = known.version
            missing = [key for key in missing if key not in found]
            if not missing:
                break
            flights = {key: self._flights[key] for key in missing if key in self._flights}
            if not is_patient or len(flights) < len(missing):
                wanted = [key for key in missing if not is_patient or key not in flights]
                found.update((yield from self._fetch(wanted, seconds if is_patient else 0.0)))
            else:
                is_patient = yield _Join({*flights.values()})
                if not is_patient:
                    for key, flight in flights.items():
                        # Nobody may be left to end it.
                        if flight.is_overdue():
                            self._end(flight, [key])
        return found

    def ensure(self, keys: Iterable[bytes], seconds: float, ttl: int) -> Operation[dict[bytes, bytes]]:
        """Return the version of each key, and store a random one for a key that has none.

        ``ttl`` is that of a version, in milliseconds. If another process stores one at the same time, the
        stored one holds. If it cannot be read yet, return one that no value will match.
        """
        found = yield from self.ask(keys, seconds)
        absent = [key for key, version in found.items() if version is None]
        if absent:
            found.update((yield from self._create(absent, ttl)))
        yield from self._renew([key for key in found if key not in absent], ttl)
        return {key: version or token_bytes(VERSION_BYTES) for key, version in found.items()}

    def replace(self, keys: Iterable[bytes], ttl: int) -> Operation[None]:
        """Store a new version of each key with one call. This process sees it at once.

        Raises MomentoCacheError if it is not known whether all are stored.
        """
        keys = list(dict.fromkeys(keys))
        attempt = object()
        stored: dict[bytes, Known] = {}
        try:
            self._drop(keys)
            with self._lock:
                self._attempts.update(dict.fromkeys(keys, attempt))
                self._note_replaced(keys)
            # One arrival each: if the first arrived and a later copy did too, after another's replacement, it
            # would bring back the values between the two. So another attempt has other versions.
            for pause in (*RETRY_BACKOFF, None):
                try:
                    new = yield from self._store([(key, token_bytes(VERSION_BYTES)) for key in keys], ttl)
                except MomentoCacheError as error:
                    if pause is None or not _is_worth_another(error):
                        raise
                else:
                    stored.update(new)
                    self._end_attempt(keys, attempt, stored)
                    return
                yield _Backoff(jitter(pause), {})
        except BaseException:
            self._end_attempt(keys, attempt, stored)
            raise

    def forget(self) -> None:
        """Forget all versions, as after the Momento cache was emptied."""
        with self._lock:
            self._known.clear()

    def _fetch(self, keys: list[bytes], seconds: float = 0.0) -> Operation[dict[bytes, bytes | None]]:
        """Return the version of each key, without those that another caller has asked for meanwhile.

        That is a question that has begun or ended since this caller looked. With 0 ``seconds`` none counts.
        """
        flight = _Flight()
        try:
            found: dict[bytes, bytes | None] = {}
            owners = [self._flights.setdefault(key, flight) for key in keys]
            wanted = [
                key
                for key, owner in zip(keys, owners, strict=True)
                if not seconds or (owner is flight and self.recall(key, seconds) is None)
            ]
            if wanted:
                asked = self._now()
                stored = yield from operations.get_many(wanted)
                found = {key: _version_of(stored.get(key)) for key in wanted}
                self._learn(found, asked)
            self._end(flight, keys)
        except BaseException:
            self._end(flight, keys)
            raise
        return found

    def _end(self, flight: _Flight, keys: Iterable[bytes]) -> None:
        for key in keys:
            if self._flights.get(key) is flight:
                self._flights.pop(key, None)
        flight.landed.end()

    def _create(self, keys: list[bytes], ttl: int) -> Operation[dict[bytes, bytes | None]]:
        versions: dict[bytes, bytes | None] = {key: token_bytes(VERSION_BYTES) for key in keys}
        asked = self._now()
        outcomes = yield [SetIfAbsent(key, versions[key] or b"", ttl) for key in keys]
        for outcome in outcomes:
            if isinstance(outcome, MomentoCacheError):
                raise outcome
        stored = {key for key, outcome in zip(keys, outcomes, strict=True) if outcome}
        self._learn({key: versions[key] for key in stored}, asked)
        others = [key for key in keys if key not in stored]
        if others:
            versions.update((yield from self._fetch(others)))
        return versions

    def _store(self, items: list[tuple[bytes, bytes]], ttl: int) -> Operation[dict[bytes, Known]]:
        new: dict[bytes, Known] = {}
        for chunk in operations.chunks_of(items, lambda item: len(item[0]) + len(item[1])):
            asked = self._now()
            stored = yield SetBatchOnce(chunk, ttl)
            if not all(stored):
                raise ServerError(f"Momento stored {sum(stored)} of {len(chunk)} versions.")
            for key, version in chunk:
                new[key] = Known(version, asked, asked.monotonic, _draw_renewal())
        return new

    def _end_attempt(self, keys: Iterable[bytes], attempt: object, stored: dict[bytes, Known]) -> None:
        """Keep the versions that a replacement has stored, if no other one of this process was under way.

        If one was, it is not known whose version Momento has.
        """
        with self._lock:
            self._note_replaced(keys)
            for key in keys:
                self._known.pop(key, None)
                if self._attempts.get(key) is attempt:
                    self._attempts.pop(key, None)
                    if key in stored:
                        self._known[key] = stored[key]
            _limit(self._known)

    def _renew(self, keys: list[bytes], ttl: int) -> Operation[None]:
        """Give versions that are due their whole TTL again. It does not matter if this fails."""
        now = monotonic()
        due = []
        with self._lock:
            for key in keys:
                known = self._known.get(key)
                if known is not None and now - known.renewed_at >= known.renewal * RENEWAL * ttl / 1000:
                    self._known[key] = known._replace(renewed_at=now, renewal=1.0)
                    due.append(key)
        if due:
            outcomes = yield [UpdateTtl(key, ttl) for key in due]
            self._drop([key for key, outcome in zip(due, outcomes, strict=True) if outcome is False])

    def _learn(self, found: dict[bytes, bytes | None], asked: Moment) -> None:
        with self._lock:
            for key, version in found.items():
                known, replaced = self._known.get(key), self._replaced.get(key)
                if (known and known.asked > asked) or (replaced and replaced > asked):
                    continue  # Something newer is known than this response.
                if known is not None and known.version == version:
                    renewed = known[2:]
                else:
                    renewed = asked.monotonic, _draw_renewal()
                if known is not None and known.version not in (None, version):
                    self._note_replaced([key])
                self._known.pop(key, None)
                self._known[key] = Known(version, asked, *renewed)
            _limit(self._known)

    def _note_replaced(self, keys: Iterable[bytes]) -> None:
        now = self._now()
        with self._lock:
            for key in keys:
                self._replaced.pop(key, None)
                self._replaced[key] = now
            _limit(self._replaced)

    def _now(self) -> Moment:
        return Moment(next(self._orders), monotonic(), wall())

    def _drop(self, keys: Iterable[bytes]) -> None:
        with self._lock:
            for key in keys:
                self._known.pop(key, None)


class _Registry:
    """The versions that this process knows, by client and Momento cache."""

    def __init__(self) -> None:
        self._versions: dict[tuple[ConnectionOptions, str], Versions] = {}

    def get(self, options: CacheOptions) -> Versions:
        """Return the versions of the Momento cache of an alias."""
        place = options.connection, options.cache_name
        found = self._versions.get(place)
        return found if found is not None else self._versions.setdefault(place, Versions())

    def forget(self) -> None:
        """Forget all of them, as in a forked child: a thread of the parent may hold a lock."""
        for each in self._versions.values():
            each.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


versions = _Registry()
forking.register(after_in_child=versions.forget)


def _draw_renewal() -> float:
    """Return a random part of the time between two renewals.

    So processes that live for minutes renew a version now and then.
    """
    return random.random()  # noqa: S311 - nothing secret about it


def _limit(facts: dict[bytes, Any]) -> None:
    while len(facts) > MAX_KNOWN:
        facts.pop(next(iter(facts)), None)


def _version_of(data: bytes | None) -> bytes | None:
    """Return the version that stored bytes stand for. A program in another language may store any text."""
    if data is None or len(data) == VERSION_BYTES:
        return data
    return blake2b(data, digest_size=VERSION_BYTES).digest()


def _is_worth_another(error: MomentoCacheError) -> bool:
    is_too_early = isinstance(error, CallTimedOut) and (error.is_connecting or error.is_premature)
    return is_too_early or error.status in RETRYABLE_STATUSES
