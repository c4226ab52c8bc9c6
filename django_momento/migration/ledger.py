"""The keys of this process whose stored values need care: written now, copied now, or not settled.

A write that fails on one side leaves the value from before there. The key is then *unsettled* on that side:
this process does not read it there until it has deleted it, some seconds later. The same happens after writes
of one key at the same time, which may end in another order on each side, and after a write that met a copy.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable

from ..clock import monotonic

# The text of a key as a caller names it, and its version.
Name = tuple[str, int]

# Keys that are remembered for each side. Beyond it this process reads nothing from that side.
MAX_UNSETTLED = 100_000
# Seconds from the failure to the deletion. A request that timed out may still take effect meanwhile.
SETTLE_SECONDS = 10.0
# Keys that were given to ``add``, the newest of which are remembered.
MAX_LOCKS = 10_000
# Keys that are deleted at a time.
BATCH = 500


class Copy:
    """A copy of one value to a side, in flight. If the key is written meanwhile, it is not ``valid``."""

    __slots__ = ("may_be_late", "name", "side", "valid")

    def __init__(self, name: Name, side: str) -> None:
        self.name = name
        self.side = side
        self.valid = True
        # The copy has failed, and may still take effect.
        self.may_be_late = False


class Ledger:
    """What this process knows of keys. Safe with any number of threads and tasks."""

    def __init__(self, sides: Iterable[str]) -> None:
        self._sides = tuple(sides)
        self._lock = threading.RLock()
        self._writers: Counter[Name] = Counter()
        self._overlapping: set[Name] = set()
        self._copies: dict[Name, Copy] = {}
        self._clears = 0
        self._unsettled: dict[str, dict[Name, float]] = {side: {} for side in self._sides}
        # Those of them that a failed write has left, and not writes at the same time.
        self._lost: dict[str, set[Name]] = {side: set() for side in self._sides}
        # Sides whose clear() failed, with the time of the failure.
        self._uncleared: dict[str, float] = {}
        self._overflowed: set[str] = set()
        # Sides whose outage has ended a moment ago: they may have come back with older values.
        self._doubted: set[str] = set()
        # Sides that did.
        self._outdated: set[str] = set()
        self._locks: dict[Name, None] = {}

    def after_fork(self) -> None:
        """Forget the calls in flight, which the child does not have. Keys stay unsettled."""
        self._lock = threading.RLock()
        self._writers, self._overlapping, self._copies, self._clears = Counter(), set(), {}, 0

    def begin_write(self, names: Iterable[Name]) -> None:
        """Note that keys are being written."""
        with self._lock:
            for name in names:
                if self._writers[name]:
                    self._overlapping.add(name)
                self._writers[name] += 1
                if name in self._copies:
                    self._copies[name].valid = False

    def end_write(self, names: Iterable[Name], replaced: Collection[str] = (), started: float = 0.0) -> None:
        """Note the end of a write, on both sides.

        ``replaced`` are the sides whose values the write has replaced or deleted. There it settles each key
        that was unsettled before ``started``, unless a failed call may still take effect.
        """
        with self._lock:
            for side in replaced:
                for name in names:
                    self._settle_by_write(side, name, started)
            for name in names:
                copy = self._copies.get(name)
                if copy is not None:
                    copy.valid = False
                    self._mark(copy.side, name)
                if name in self._overlapping:
                    # The second side of the pair follows the first: NEW may have the values in another order.
                    self._mark(self._sides[1], name)
                self._writers[name] -= 1
                if self._writers[name] <= 0:
                    self._writers.pop(name, None)
                    self._overlapping.discard(name)

    def _settle_by_write(self, side: str, name: Name, started: float) -> None:
        if name in self._copies or name in self._overlapping or name in self._lost[side]:
            return
        if self._unsettled[side].get(name, started) < started:
            self._unsettled[side].pop(name, None)

    def begin_clear(self) -> None:
        """Note that all keys are being deleted."""
        with self._lock:
            self._clears += 1
            for copy in self._copies.values():
                copy.valid = False

    def end_clear(self, failed: Iterable[str]) -> None:
        """Note the end of a clear, and the sides where it failed."""
        with self._lock:
            self._clears -= 1
            for copy in self._copies.values():
                copy.valid = False
                self._mark(copy.side, copy.name)
            for side in self._sides:
                if side in failed:
                    self._uncleared[side] = monotonic()
                else:
                    self._believe(side)

    def begin_copy(self, name: Name, side: str) -> Copy | None:
        """Return a new copy to a side, or None if the key is being written or copied at the moment."""
        with self._lock:
            if self._clears or name in self._writers or name in self._copies:
                return None
            copy = self._copies[name] = Copy(name, side)
            return copy

    def end_copy(self, copy: Copy) -> None:
        """Note the end of a copy. If the key was written meanwhile, it is unsettled there from now on."""
        with self._lock:
            self._copies.pop(copy.name, None)
            if copy.may_be_late:
                self.mark(copy.side, [copy.name])
            elif not copy.valid:
                self._mark(copy.side, copy.name)

    def mark(self, side: str, names: Iterable[Name]) -> None:
        """Note that a write of keys has failed on a side."""
        with self._lock:
            for name in names:
                self._mark(side, name)
                if name in self._unsettled[side]:
                    self._lost[side].add(name)

    def _mark(self, side: str, name: Name) -> None:
        unsettled = self._unsettled[side]
        unsettled.pop(name, None)  # the oldest stay in front
        if len(unsettled) < MAX_UNSETTLED:
            unsettled[name] = monotonic()
        else:
            self._overflowed.add(side)

    def trusts(self, side: str, name: Name, *, is_loud: bool = False) -> bool:
        """Return whether the value of a key on a side is the one that was written last.

        A loud side is read as it is after an outage, as it was before the migration.
        """
        if side in self._uncleared or side in self._overflowed or name in self._unsettled[side]:
            return False
        return is_loud or not (side in self._doubted or side in self._outdated)

    def trusts_all(self, side: str) -> bool:
        """Return whether no failure has made a whole side unreadable."""
        return not any(side in sides for sides in (self._uncleared, self._overflowed, self._outdated))

    def doubt(self, side: str) -> None:
        """Read nothing from a side until its values were examined."""
        with self._lock:
            self._doubted.add(side)

    def is_doubted(self, side: str) -> bool:
        return side in self._doubted

    def note_examination(self, side: str, *, is_older: bool) -> None:
        """Note whether the values of a side are older than they were before its outage.

        If they are, this process reads nothing from the side until a clear().
        """
        with self._lock:
            self._doubted.discard(side)
            if is_older:
                self._outdated.add(side)

    def is_due(self, side: str) -> bool:
        """Return whether a side has something to repair now."""
        if side in self._uncleared:
            return monotonic() - self._uncleared[side] >= SETTLE_SECONDS
        return bool(self.due(side, 1))

    def must_clear(self, side: str) -> bool:
        return side in self._uncleared

    def due(self, side: str, limit: int = BATCH) -> dict[Name, float]:
        """Return keys of a side that may be deleted now, with the time since when each is unsettled."""
        before = monotonic() - SETTLE_SECONDS
        found: dict[Name, float] = {}
        with self._lock:
            for name, since in self._unsettled[side].items():
                if since > before or len(found) >= limit:
                    break
                if name not in self._copies and name not in self._writers:
                    found[name] = since
        return found

    def settle(self, side: str, names: dict[Name, float]) -> None:
        """Note that keys were deleted. A key that became unsettled again meanwhile stays so."""
        with self._lock:
            for name, since in names.items():
                if self._unsettled[side].get(name) == since:
                    self._unsettled[side].pop(name, None)
                    self._lost[side].discard(name)

    def settle_clear(self, side: str) -> None:
        """Note that a clear which had failed was repeated."""
        with self._lock:
            self._believe(side)

    def _believe(self, side: str) -> None:
        self._uncleared.pop(side, None)
        self._overflowed.discard(side)
        self._outdated.discard(side)

    def add_lock(self, name: Name) -> None:
        """Note that a key may be a lock."""
        with self._lock:
            self._locks.pop(name, None)
            self._locks[name] = None
            if len(self._locks) > MAX_LOCKS:
                self._locks.pop(next(iter(self._locks)), None)

    def is_lock(self, name: Name) -> bool:
        return name in self._locks

    def is_written(self, name: Name) -> bool:
        """Return whether the key is being written now."""
        return name in self._writers

    def has_unsettled(self, side: str) -> bool:
        return bool(self._unsettled[side])

    def count(self, side: str) -> int:
        """Return the number of keys of a side that failed writes have left unsettled.

        One is added if no value of the side may be read.
        """
        return len(self._lost[side]) + (not self.trusts_all(side))
