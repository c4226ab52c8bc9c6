"""The state of a migration in this process, which all threads, tasks and instances of an alias share."""

from __future__ import annotations

import threading

from django.core.cache import caches

from .. import forking
from ..clock import monotonic
from ..events import CallEvent, events, observers
from ..policies.key_groups import default_key_group
from .figures import Figures
from .ledger import Ledger, Name
from .phases import Phase
from .settings import Pairing

OLD = "old"
NEW = "new"
SIDES = (OLD, NEW)

# Failures in a row after which a side rests, and the seconds of a rest.
FAILURES = 3
REST = 1.0
# Seconds after an outage for which a side may have lost its values.
RECOVERY = 300.0
# Keys that are remembered as copied back after an outage.
MAX_HEALED = 100_000


class Health:
    """The failures of a side. While it rests, only essential calls are made, and one a second tries it."""

    def __init__(self) -> None:
        self.other: Health
        self.healed: set[Name] = set()
        self._failures = 0
        self._resting_until = 0.0
        self._recovered_at: float | None = None

    @property
    def is_out(self) -> bool:
        return self._failures >= FAILURES

    @property
    def has_failed(self) -> bool:
        """Return whether the last call found no server."""
        return self._failures > 0

    @property
    def rests(self) -> bool:
        """Return whether calls should go to the other side instead."""
        if not self.is_out or self.other.is_out:
            return False
        now = monotonic()
        if now < self._resting_until:
            return True
        self._resting_until = now + REST  # this call tries it
        return False

    @property
    def recovers(self) -> bool:
        """Return whether an outage has ended a short time ago, so that values may be lost."""
        at = self._recovered_at
        return at is not None and monotonic() - at < RECOVERY

    def note(self, failed: bool) -> bool:
        """Note the end of a call; return whether it ended an outage."""
        if failed:
            self._failures += 1
            if self.is_out:
                self._resting_until = monotonic() + REST
            return False
        has_recovered = self.is_out
        if has_recovered:
            self._recovered_at = monotonic()
            self.healed = set()
        self._failures = 0
        return has_recovered

    def must_heal(self, name: Name) -> bool:
        """Return whether a value should be copied back to this side, the first time for each key."""
        if not self.recovers or self.is_out or name in self.healed or len(self.healed) >= MAX_HEALED:
            return False
        self.healed.add(name)
        return True


class Migration:
    """One alias's phase, ledger, figures and health."""

    def __init__(self, pairing: Pairing) -> None:
        self.pairing = pairing
        self.alias = pairing.alias
        self.phase = Phase(pairing.alias, pairing.phase)
        self.ledger = Ledger(SIDES)
        self.figures = Figures()
        self.health = {OLD: Health(), NEW: Health()}
        self.health[OLD].other, self.health[NEW].other = self.health[NEW], self.health[OLD]
        # The reserved key of this process's reports, when it has one, and their number so far.
        self.slot: int | None = None
        self.reports = 0
        # See ``leaving``: whether OLD is out of date, when and in which phase that was looked up, and whether
        # this process has marked it.
        self.is_held = False
        self.looked_at, self.looked_in = 0.0, ""
        self.has_left_old = False
        self._maintained_at = self._reported_at = monotonic()
        # A handler of a signal may use the cache while its thread holds the lock.
        self._lock = threading.RLock()

    def lingers(self, *, is_write: bool) -> bool:
        """Return whether a call in ``done`` is still made as in ``dual``.

        A write is, because other processes may not have seen the change. A read is, while NEW has values that
        are not to be read.
        """
        return self.phase.lingers and (is_write or self.ledger.has_unsettled(NEW))

    def record_failure(self, side: str, verb: str, error: BaseException) -> None:
        """Count a failed call to a side, and log it now and then."""
        events.record(
            self.alias,
            f"failures_of_{side}",
            "%s (%s) failed in %s: %s: %s",
            side.upper(),
            getattr(self.pairing, side),
            verb,
            type(error).__name__,
            error,
        )

    def record_difference(self, key: object, value: object, other: object) -> None:
        """Count values of a key that differ. The log shows the group of the key and both types."""
        events.record(
            self.alias,
            "different_values",
            "OLD and NEW have different values for a key of the group %r, of the types %s and %s.",
            default_key_group(str(key)),
            type(value).__name__,
            type(other).__name__,
        )

    def takes_turn(self, pause: float) -> bool:
        """Return whether the caller should do the maintenance, at most once in ``pause`` seconds."""
        if monotonic() - self._maintained_at < pause:
            return False
        with self._lock:
            now = monotonic()
            if now - self._maintained_at < pause:
                return False
            self._maintained_at = now
            return True

    def is_report_due(self, pause: float) -> bool:
        """Return whether ``pause`` seconds have passed since it was due last."""
        now = monotonic()
        if now - self._reported_at < pause:
            return False
        self._reported_at = now
        return True

    def watch_operations(self) -> None:
        """Count the operations of NEW, which is a Momento cache."""
        with self._lock:
            if self._count_operations not in observers:
                observers.append(self._count_operations)

    def unwatch_operations(self) -> None:
        if self._count_operations in observers:
            observers.remove(self._count_operations)

    def _count_operations(self, event: CallEvent) -> None:
        if event.alias == self.pairing.new and event.operations:
            self.figures.add_operations(event.operations)

    def after_fork(self) -> None:
        self.phase.after_fork()
        self.ledger.after_fork()
        self.figures = Figures()
        self.slot = None
        self._lock = threading.RLock()


class Migrations:
    """The migrations of this process, for as long as CACHES is the same object: tests replace it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._configured: object = None
        self._known: dict[tuple[object, ...], Migration] = {}

    def get(self, pairing: Pairing) -> Migration:
        """Return the migration with these settings, and make it first if there is none."""
        key = pairing.identity
        with self._lock:
            if self._configured is not caches.settings:
                self.forget()
                self._configured = caches.settings
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = Migration(pairing)
            return found

    def all(self) -> list[Migration]:
        """Return the migrations of this process."""
        with self._lock:
            return list(self._known.values())

    def forget(self) -> None:
        """Forget all migrations."""
        with self._lock:
            for migration in self._known.values():
                migration.unwatch_operations()
            self._known.clear()

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        for migration in self._known.values():
            migration.after_fork()


migrations = Migrations()
forking.register(after_in_child=migrations.after_fork)
