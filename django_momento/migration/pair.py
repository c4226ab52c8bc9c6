"""The two sides of a migration, and the copies between them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..clock import monotonic
from ..interruption import is_interruption
from .ledger import Copy, Name
from .phases import SHADOW
from .sides import Plan, Side, TellTime
from .state import NEW, OLD, Migration
from .time_left import UNKNOWN, can_tell
from .values import MISSING, is_counter, is_same, is_shorter

# The beginning of the keys of Django's sessions.
SESSIONS = "django.contrib.sessions."
# A value with less time left, in seconds, is not worth the calls of a copy.
MIN_LEFT = 1.0


class Pair:
    """Both sides for one thread or task, and the state that they share with the process."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.ledger = migration.ledger
        self.figures = migration.figures
        self.old = Side(OLD, migration.pairing.old, migration)
        self.new = Side(NEW, migration.pairing.new, migration)
        self.sides = (self.old, self.new)
        self._decide_who_fails_open(migration.pairing.ignore_exceptions)

    def _decide_who_fails_open(self, ignore_exceptions: bool | None) -> None:
        """Let IGNORE_EXCEPTIONS decide, or else each alias. One without such a setting follows the other."""
        for side, other in (self.sides, self.sides[::-1]):
            if ignore_exceptions is not None:
                side.fails_open = ignore_exceptions
            elif side.hides_failures is None:
                side.fails_open = bool(other.hides_failures)

    def name(self, key: object, version: int | None) -> Name:
        """Return the name under which the ledger knows a key."""
        return str(key), self.old.cache.version if version is None else version

    def names(self, keys: Collection[object], version: int | None) -> list[Name]:
        """Return the names of keys, each once."""
        return list({self.name(key, version): None for key in keys})

    def order(self, phase: str, key: object) -> tuple[Side, Side]:
        """Return the side that a read asks first, and the other."""
        if phase == SHADOW or str(key).startswith(SESSIONS):
            return self.old, self.new
        return self.new, self.old

    def is_loud(self, phase: str, side: Side) -> bool:
        """Return whether the failures of a side are raised although the other side could serve."""
        return phase == SHADOW and side is self.old and not side.fails_open

    def copy(
        self, target: Side, source: Side, copy: Copy, key: object, version: int | None, value: Any
    ) -> Plan[None]:
        """Copy a value to ``target`` with the time that it has left. A failure costs the copy alone.

        The copy uses ``add``, so that it never replaces a newer value. Then it reads the source again. If the
        value has changed meanwhile, it deletes the copy. A value whose time left is unknown is not copied.
        """
        if is_counter(value):
            return
        is_unverified = False
        try:
            left = (yield TellTime(source, key, version)) if can_tell(source.cache) else UNKNOWN
            if left is not None and left < MIN_LEFT:
                self.figures.add(not_copied=1)
                return
            if not copy.valid:
                return
            copied_at, is_unverified, copy.may_be_late = monotonic(), True, True
            is_copied = yield target.step("add", key, value, left, version=version)
            copy.may_be_late = False
            if not is_copied:
                is_unverified = False
                return
            again = yield source.step("get", key, MISSING, version=version)
            still_left = yield TellTime(source, key, version)
            if not copy.valid or not is_same(value, again) or is_shorter(still_left, left, copied_at):
                yield target.step("delete_many", [key], version=version)
            else:
                self.figures.add(copies=1)
            is_unverified = False
        except Exception as error:  # the caller has the value, and the failure is counted
            if is_interruption(error):
                raise
            return
        finally:
            if is_unverified:
                copy.valid = False

    def heal(self, target: Side, source: Side, key: object, version: int | None, value: Any) -> Plan[None]:
        """Copy a value back to a side that may have lost its values in an outage."""
        name = self.name(key, version)
        if (
            is_counter(value)
            or not self.ledger.trusts(target.name, name)
            or not target.health.must_heal(name)
        ):
            return
        copy = self.ledger.begin_copy(name, target.name)
        if copy is not None:
            try:
                yield from self.copy(target, source, copy, key, version, value)
            finally:
                self.ledger.end_copy(copy)
