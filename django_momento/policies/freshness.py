"""``get_or_set``: one computation for each key in this process, leases between processes, stale values.

A missing value is computed by one caller, the leader of its flight, while the others wait. A value that is
stale is recomputed by one caller, while the others get the stale value. ``GetOrSet.actions`` is the policy
for both faces.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, NamedTuple

from ..client import operations
from ..client.calls import Get, Operation, Recount
from ..clock import monotonic, wall
from ..codec.attributes import Attributed, Attributes, is_stale
from ..codec.codec import Opened
from ..events import events
from ..exceptions import MomentoCacheError, UnreadableValue
from ..interruption import is_interruption
from ..redaction import quote
from .actions import Actions, Await, Compute, Evaluate, Operate, Sleep, Store, Verb, perform
from .flights import LEAD, RETRY, Flight, Waiter, flights, leading, name_flight
from .leases import TOKEN_BYTES, acquire, release
from .prefixes import find_generation, within
from .tags import Tagged
from .timeouts import Timeout, to_seconds

DEFAULT_WAIT = 5.0

# Seconds between two looks whether the holder of a lease has stored the value.
MIN_PAUSE = 0.05
MAX_PAUSE = 1.0

# Stands for a value where there is none.
_NOTHING: Any = object()


class Found(NamedTuple):
    """The result of a read. ``is_stale`` tells that the value may only be used while it is recomputed."""

    value: Any = _NOTHING
    is_stale: bool = False

    @property
    def is_fresh(self) -> bool:
        return self.value is not _NOTHING and not self.is_stale


MISSING = Found()


def find(cache: Any, key: bytes) -> Operation[Found]:
    """Return the value of a full key even if it is stale, unless one of its tags was invalidated."""
    data = yield Get(key)
    if data is None:
        return MISSING
    try:
        stored = cache._codec.decode(key, data)
    except UnreadableValue as error:
        cache._record_unreadable(key, error)
        yield Recount(1)
        return MISSING
    if type(stored) is not Attributed:
        return Found(stored)
    value = stored.value
    if stored.attributes.tags:
        value = yield from cache._resolve_tags(key, stored, _NOTHING)
        if value is _NOTHING:
            return MISSING
    if not is_stale(data, stored):
        return Found(value)
    cache._note_outdated(key)
    yield Recount(1)
    return Found(value, is_stale=True)


def encode_stale(
    cache: Any,
    key: object,
    version: int | None,
    value: Any,
    timeout: Timeout,
    stale: int,
    tags: Tagged = (),
) -> tuple[bytes, bytes, int]:
    """Return the full key, the bytes to store and the TTL of a value.

    The TTL covers the time to be stale, which is in milliseconds.
    """
    momento_key = cache._momento_key(key, version)
    fresh: int = cache._ttl(key, timeout)
    ttl = min(fresh + stale, round(cache.options.max_ttl * 1000)) if fresh > 0 else 0
    attributes = Attributes(round(wall() * 1000) + fresh if ttl > fresh else None, tags)
    return momento_key, cache._encode(momento_key, key, value, attributes), ttl


def wait_for_outcome(flight: Flight, waiter: Waiter, deadline: float) -> Actions[Any]:
    """Return the outcome of a flight, or None if it has not landed by ``deadline``, a monotonic time."""
    try:
        yield Await(waiter, deadline - monotonic())
        # A result may come at this very moment.
        return None if waiter.cancel() else waiter.result()
    except BaseException:
        if not waiter.cancel() and waiter.result() is LEAD:
            flights.hand_over(flight)
        raise


def land(flight: Flight, make_outcome: Callable[[], object] | None) -> Actions[None]:
    """End a flight and tell its waiters the outcome, made only if there are any."""
    outcome = RETRY
    try:
        if flights.land(flight) and make_outcome is not None:
            outcome = yield Evaluate(make_outcome)
    except Exception as error:  # a value that cannot be encoded, which waiters must read
        outcome = RETRY
        if is_interruption(error):
            raise
    finally:
        flights.tell(flight, outcome)


def seal(cache: Any, key: bytes, value: Any, tags: Tagged = ()) -> Opened:
    """Return a value encoded, so that each waiter of a flight loads a copy of its own."""
    codec = cache._codec
    sealed: Opened = codec.open(key, codec.encode(key, value, Attributes(tags=tags)))
    return sealed


class GetOrSet:
    """One call of ``get_or_set`` or ``aget_or_set`` on a cache.

    Raises TypeError if ``stale``, ``lease`` or ``wait`` is neither a number nor a timedelta, and ValueError
    if one is negative or NaN.
    """

    def __init__(
        self,
        cache: Any,
        key: object,
        default: Any,
        timeout: Timeout,
        version: int | None,
        *,
        is_async: bool,
        stale: Timeout = 0,
        lease: Timeout = 0,
        wait: Timeout = DEFAULT_WAIT,
        tags: object = (),
    ) -> None:
        self._cache = cache
        self._key = key
        self._default = default
        self._timeout = timeout
        self._version = version
        self._is_async = is_async
        max_ttl = cache.options.max_ttl
        self._stale = round(to_limited_seconds("stale", stale, max_ttl) * 1000)
        self._lease = round(to_limited_seconds("lease", lease, max_ttl) * 1000)
        self._deadline = monotonic() + to_limited_seconds("wait", wait, max_ttl)
        self._tags: tuple[str, ...] = cache._check_tags(tags) if tags != () else ()
        # A value that was computed and not stored.
        self._computed = _NOTHING
        # The tags that the value was computed with.
        self._tagged: Tagged = ()
        # The flight that this call leads.
        self._flight: Flight | None = None

    @cached_property
    def _momento_key(self) -> bytes:
        key: bytes = self._cache._momento_key(self._key, self._version)
        return key

    def actions(self) -> Actions[Any]:
        """Return the value."""
        try:
            return (yield from self._get())
        except BaseException:
            flights.abandon(self, self._flight)
            raise

    def _get(self) -> Actions[Any]:
        tick = flights.tick
        found = yield from self._read()
        if found.is_fresh:
            return found.value
        if found.is_stale:
            flight = flights.lead(self._flight_key(), self, self._is_async)
            if flight is None:
                return self._serve_stale(found)
            return (yield from self._lead(flight, tick, found))
        if not self._cache.options.single_flight:
            return (yield from self._produce_once(MISSING)).value
        return (yield from self._join(tick))

    def _flight_key(self) -> tuple[object, ...]:
        return name_flight(self._cache, self._momento_key)

    def _join(self, tick: int) -> Actions[Any]:
        """Return the value of the key's flight, which this call may lead."""
        while True:
            flight, waiter = flights.join(self._flight_key(), self, self._is_async)
            if flight is None:
                return (yield from self._produce())
            if waiter is None:
                return (yield from self._lead(flight, tick, MISSING))
            self._record("joined")
            outcome = yield from wait_for_outcome(flight, waiter, self._deadline)
            if outcome is LEAD:
                return (yield from self._lead(flight, tick, MISSING))
            if outcome is None:
                return (yield from self._produce())
            if outcome is not RETRY:
                found = yield from self._take(outcome)
                return found.value if found.is_fresh else (yield from self._produce())
            tick = flights.tick
            found = yield from self._read()
            if found.is_fresh:
                return found.value

    def _take(self, outcome: Opened) -> Actions[Found]:
        """Return the caller's own copy of a value, unless one of its tags was invalidated since."""
        try:
            value = outcome.load()
        except UnreadableValue:  # an object that only its own caller can have
            return MISSING
        if outcome.attributes is None:
            return Found(value)
        current = self._cache._resolve_tags(self._momento_key, value, _NOTHING)
        return Found((yield Operate("snapshot", (self._key,), current, value.value)))

    def _lead(self, flight: Flight, tick: int, found: Found) -> Actions[Any]:
        """Compute the value, store it, and give it to those who wait for the flight."""
        self._flight = flight
        try:
            found = yield from leading(flight, self._is_async, self._find_or_produce(flight, tick, found))
        except MomentoCacheError:
            # The caches that fail loud raise if the value cannot be stored. The others need not compute it.
            if self._computed is _NOTHING:
                flights.hand_over(flight)
            else:
                yield from self._land(flight, Found(self._computed))
            raise
        except BaseException:
            flights.hand_over(flight)
            raise
        yield from self._land(flight, found)
        return found.value

    def _find_or_produce(self, flight: Flight, tick: int, found: Found) -> Actions[Found]:
        if flights.has_landed_since(tick, flight.key):
            found = yield from self._read()
        return found if found.is_fresh else (yield from self._produce_once(found))

    def _land(self, flight: Flight, found: Found) -> Actions[None]:
        key = self._momento_key
        make = partial(seal, self._cache, key, found.value, self._tagged) if found.is_fresh else None
        yield from land(flight, make)

    def _produce_once(self, found: Found) -> Actions[Found]:
        """Compute and store the value under a lease, or return one of another process."""
        if not self._lease:
            return Found((yield from self._produce(is_recomputed=found.is_stale)))
        token, pause = os.urandom(TOKEN_BYTES), MIN_PAUSE
        while not (yield from self._acquire(token)):
            if found.is_stale:
                return Found(self._serve_stale(found), is_stale=True)
            if pause == MIN_PAUSE:
                self._record("leases_waited")
            remaining = self._deadline - monotonic()
            if remaining <= 0:
                return Found((yield from self._produce()))
            yield Sleep(min(pause, remaining))
            pause = min(pause * 2, MAX_PAUSE)
            found = yield from self._read_from_momento()
            if found.is_fresh:
                return found
        try:
            # The holder before may have stored the value since this call has read.
            found = yield from self._read_from_momento()
            if not found.is_fresh:
                found = Found((yield from self._produce(is_recomputed=found.is_stale)))
            yield from self._release(token)
        except GeneratorExit:  # no action can follow
            raise
        except BaseException:  # perhaps an interruption of the release, which may be sent twice
            yield from self._release(token)
            raise
        return found

    def _acquire(self, token: bytes) -> Actions[bool]:
        try:
            acquired: bool = yield self._operate(acquire(self._momento_key, token, self._lease), True)
        except (GeneratorExit, MomentoCacheError):
            raise
        except BaseException:  # cancelled, perhaps when Momento had granted the lease
            yield from self._release(token)
            raise
        return acquired

    def _release(self, token: bytes) -> Actions[None]:
        with suppress(MomentoCacheError):  # the lease ends by itself
            yield self._operate(release(self._momento_key, token), False)

    def _operate(self, operation: Any, fallback: Any) -> Operate:
        return Operate("lease", (self._key,), operation, fallback)

    def _produce(self, *, is_recomputed: bool = False) -> Actions[Any]:
        """Compute the value, store it, and return it, or return the one that another caller has stored."""
        if self._tags:
            # Before the default runs: an invalidation meanwhile must concern the value.
            snapshot = self._cache._tags.snapshot(self._tags)
            self._tagged = yield Operate("snapshot", (self._key,), snapshot, ())
        # A clear() meanwhile must forget the value too.
        generation = yield from find_generation(self._cache, self._key)
        value = yield Compute(self._default)
        if is_recomputed:
            self._record("recomputed")
        if self._tags and not self._tagged:  # Momento cannot be reached, and the cache fails open
            return value
        if self._flight is not None and self._flight.is_detached:
            return value
        self._computed = value
        value = yield from self._write(value, generation)
        self._computed = _NOTHING
        return value

    def _write(self, value: Any, generation: bytes | None) -> Actions[Any]:
        cache, key, version = self._cache, self._key, self._version
        replaces: bool = cache._has_outdated_value(self._momento_key)
        verb = "set" if replaces else "add"
        if self._stale or self._tagged:
            store = operations.set if replaces else operations.add
            action: Any = Store(verb, (key,), store, partial(self._encode, value), False)
        else:
            action = Verb(verb, key, value, timeout=self._timeout, version=version)
        is_stored = yield from within(cache, generation, perform(cache, action))
        # set() returns None, also if the cache has failed open.
        if is_stored or replaces:
            return value
        return (yield from perform(self._cache, Verb("get", key, value, version=version)))

    def _encode(self, value: Any) -> tuple[bytes, bytes, int]:
        arguments = self._cache, self._key, self._version, value, self._timeout, self._stale
        return encode_stale(*arguments, self._tagged)

    def _read(self) -> Actions[Found]:
        if not self._stale:
            # A subclass may have its own get(), with a default that is not this one.
            return Found(
                (yield from perform(self._cache, Verb("get", self._key, _NOTHING, version=self._version)))
            )
        found: Found = yield from perform(
            self._cache, Operate("get", (self._key,), find(self._cache, self._momento_key), MISSING)
        )
        return found

    def _read_from_momento(self) -> Actions[Found]:
        """Return the value that another process may have stored, although memory had another or none."""
        memory = self._cache._client.memory
        if memory is not None:
            generation = yield from find_generation(self._cache, self._key)
            memory.ask_again((self._cache.options.cache_name, (generation or b"") + self._momento_key))
        return (yield from self._read())

    def _serve_stale(self, found: Found) -> Any:
        self._record("stale_served")
        return found.value

    def _record(self, kind: str) -> None:
        events.record(self._cache.options.alias, kind)


def to_limited_seconds(name: str, value: object, max_ttl: float) -> float:
    """Return a duration in seconds, at most ``max_ttl``. Raises TypeError and ValueError."""
    if type(value) is int and 0 <= value <= max_ttl:  # as nearly always
        return value
    try:
        seconds = to_seconds(value)
    except (TypeError, ValueError) as error:
        shown = quote(repr(value), 100)
        raise type(error)(
            f"{name} is {shown}. It must be a number of seconds of at least 0, or a timedelta."
        ) from None
    if seconds < 0:
        raise ValueError(f"{name} is {quote(repr(value), 100)}. It must be at least 0 seconds.")
    return float(min(seconds, max_ttl))
