"""Rate limits: count hits in windows of time that begin with their first hit and stand still.

A counter is a field of a dictionary of its own. Momento increments a field in one atomic call, and sets the
expiry of the dictionary only when it creates it, so later hits do not prolong the window.

Momento does not return the time that a dictionary has left, and a second call for it would double the cost of
each hit. So each process remembers when it saw a window begin. Its first hit is known by the count. A process
that saw only later hits knows that the window began no later than the first hit that it saw.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import index
from threading import RLock
from typing import Literal, NamedTuple, get_args

from .. import forking
from ..client.breaker import MAX_BACKOFF
from ..client.calls import Operation
from ..client.dictionaries import DictionaryGet, DictionaryIncrement
from ..clock import monotonic
from ..codec.codec import INTEGER_RANGE
from ..exceptions import FailedPrecondition, InvalidArgument, MomentoCacheError
from ..redaction import quote
from .timeouts import to_duration

OnOutage = Literal["allow", "deny", "raise"]

# Windows that a process remembers. The one that was hit longest ago goes first.
MAX_WINDOWS = 10_000
# The largest cost of one hit: 9 million such hits in one window fit Momento's 64-bit integers.
MAX_COST = 10**12

_FIELD = b"count"


class _Fields(NamedTuple):
    allowed: bool
    count: int  # type: ignore[assignment]  # in place of tuple.count()
    remaining: int
    retry_after: float


class Limit(_Fields):
    """The outcome of one hit, which is true if the hit is allowed.

    ``count`` is the sum of the costs in this window, with this hit and with those that were denied.
    ``remaining`` is the cost that is still allowed in this window. ``retry_after`` is 0 if the hit is
    allowed, else the seconds until the window ends. ``reset_after`` is the seconds until the window ends in
    both cases. They are upper bounds, and exact in the process that had the first hit of the window.

    ``is_counted`` is False if Momento did not count the hit, and ``on_outage`` decided.
    """

    reset_after: float = 0.0
    is_counted: bool = True

    def __bool__(self) -> bool:
        return self.allowed

    @classmethod
    def make(
        cls, allowed: bool, count: int, remaining: int, reset_after: float, *, is_counted: bool = True
    ) -> Limit:
        """Return the outcome of a hit whose window ends in at most ``reset_after`` seconds."""
        limit = cls(allowed, count, remaining, 0.0 if allowed else reset_after)
        limit.reset_after = reset_after
        limit.is_counted = is_counted
        return limit


class Hit:
    """One hit on a rate limit: the operation that counts it, and its outcome. ``window`` is in seconds.

    Raises TypeError if ``limit`` or ``cost`` is not an integer or ``window`` is not a duration, and
    ValueError if one of them is out of range.
    """

    def __init__(
        self, key: bytes, limit: int, window: object, max_ttl: float, cost: int, on_outage: OnOutage
    ) -> None:
        if on_outage not in get_args(OnOutage):
            raise ValueError(f"on_outage is {quote(repr(on_outage), 100)}. It must be allow, deny or raise.")
        self._key = key
        self._limit = _to_integer("limit", limit, INTEGER_RANGE.stop - 1)
        self._cost = _to_integer("cost", cost, MAX_COST)
        self._ttl = to_duration("window", window, max_ttl)
        self.window = self._ttl / 1000
        self._on_outage = on_outage

    def count(self, place: object) -> Operation[Limit]:
        """Count the hit and return its outcome. A hit of cost 0 reads the count and opens no window.

        ``place`` tells the caches apart that this process uses. Raises TypeError if the key holds a value of
        another kind.
        """
        sent_at = monotonic()
        try:
            if not self._cost:
                count = int((yield DictionaryGet(self._key, _FIELD)) or 0)
                left = windows.find((place, self._key), self.window) if count else 0.0
                return Limit.make(count < self._limit, count, max(0, self._limit - count), left)
            count = yield DictionaryIncrement(self._key, _FIELD, self._cost, self._ttl)
        except FailedPrecondition as error:
            raise TypeError(
                f"Key {quote(self._key, 250)!r} holds a value that is no rate limit. Give each rate limit "
                "a key of its own."
            ) from error
        left = windows.record((place, self._key), count, self.window, sent_at)
        return Limit.make(count <= self._limit, count, max(0, self._limit - count), left)

    def decide(self, error: MomentoCacheError) -> Limit:
        """Return the outcome of a hit that Momento did not count, or raise the error, as ``on_outage`` says.

        An error that the next call would meet as well, such as a refused argument, is always raised.
        """
        if self._on_outage == "raise" or isinstance(error, (FailedPrecondition, InvalidArgument)):
            raise error
        if self._on_outage == "allow":
            return Limit.make(True, 0, self._limit, self.window, is_counted=False)
        # Momento is probed so often that a later hit may be counted again.
        return Limit.make(False, 0, 0, min(self.window, MAX_BACKOFF), is_counted=False)


class _Window(NamedTuple):
    """The highest count of a window, when it was received, and when the window has ended at the latest."""

    highest: int
    received_at: float
    ends_at: float


class Windows:
    """The windows that this process has hit, with the latest time at which each ends."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may use a cache while its thread is in here.
        self._lock = RLock()
        self._windows: OrderedDict[object, _Window] = OrderedDict()

    def find(self, key: object, seconds: float) -> float:
        """Return the seconds until a window that exists ends, at most."""
        known = self._windows.get(key)
        left = seconds if known is None else known.ends_at - monotonic()
        return min(left, seconds) if left > 0 else seconds

    def record(self, key: object, count: int, seconds: float, sent_at: float) -> float:
        """Remember a count that was just received, and return the seconds until its window ends, at most."""
        now = monotonic()
        with self._lock:
            known = self._windows.pop(key, None)
            if known is None or now >= known.ends_at:
                known = _Window(count, now, now + seconds)
            elif count <= known.highest and sent_at > known.received_at:
                # A later call has no higher count, so another window has begun.
                known = _Window(count, now, now + seconds)
            elif count > known.highest:
                known = _Window(count, now, min(known.ends_at, now + seconds))
            self._windows[key] = known
            if len(self._windows) > MAX_WINDOWS:
                self._windows.popitem(last=False)
        return known.ends_at - now

    def forget(self) -> None:
        """Forget all windows, as in a forked child: a thread of the parent may hold the lock."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


windows = Windows()
forking.register(after_in_child=windows.forget)


def _to_integer(name: str, number: object, maximum: int) -> int:
    shown = f"{name} is {quote(repr(number), 100)}."
    try:
        if isinstance(number, bool):
            raise TypeError
        integer = index(number)  # type: ignore[arg-type]  # raises TypeError
    except TypeError:
        raise TypeError(f"{shown} It must be an integer.") from None
    if not 0 <= integer <= maximum:
        raise ValueError(f"{shown} It must be 0 to {maximum:,}.")
    return integer
