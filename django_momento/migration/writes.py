"""The verbs that write, each written once as a plan of calls to both sides.

Writes go to OLD and then to NEW, in ``shadow`` and ``dual``. OLD alone decides ``add`` and counts. NEW then
gets the added value too, and loses a counter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..clock import monotonic
from ..interruption import is_interruption
from .ledger import Name
from .pair import Pair
from .phases import SHADOW
from .sides import MISTAKES, Plan, Side, SideRests, Step, is_outage, shorten
from .state import NEW
from .values import is_counter


class Writes:
    """The writes of a pair."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._old = pair.old
        self._new = pair.new
        self._ledger = pair.ledger

    def set(self, phase: str, key: object, value: Any, timeout: Any, version: int | None) -> Plan[None]:
        """Store a value on both sides."""
        yield from self._write(
            phase,
            [self._pair.name(key, version)],
            self._at_old(phase, "set", key, value, timeout, version=version),
            lambda elapsed: self._new.step(
                "set", key, value, self._shorten(timeout, elapsed), version=version
            ),
        )

    def set_many(
        self, phase: str, data: Mapping[Any, Any], timeout: Any, version: int | None
    ) -> Plan[list[Any]]:
        """Store values on both sides; return the keys that the caller must take for not stored."""
        outcomes = yield from self._write(
            phase,
            self._pair.names(data, version),
            self._at_old(phase, "set_many", data, timeout, version=version),
            lambda elapsed: self._new.step(
                "set_many", data, self._shorten(timeout, elapsed), version=version
            ),
        )
        old, new = (
            list(data) if isinstance(outcome, Exception) else list(outcome or []) for outcome in outcomes
        )
        for side, failed in ((self._old, old), (self._new, new)):
            self._mark(phase, side, self._pair.names(failed, version))
        # In ``shadow`` a failure of OLD that is not raised left the values to NEW.
        is_decided_by_old = phase == SHADOW and not isinstance(outcomes[0], Exception)
        return old if is_decided_by_old else [key for key in new if key in old]

    def touch(self, phase: str, key: object, timeout: Any, version: int | None) -> Plan[bool]:
        """Set a new timeout on both sides; return whether the key exists."""
        return (
            yield from self._write_key(
                phase,
                key,
                version,
                self._at_old(phase, "touch", key, timeout, version=version),
                lambda elapsed: self._new.step(
                    "touch", key, self._shorten(timeout, elapsed), version=version
                ),
            )
        )

    def delete(self, phase: str, key: object, version: int | None) -> Plan[bool]:
        """Delete a key on both sides; return whether it existed."""
        return (
            yield from self._write_key(
                phase,
                key,
                version,
                self._at_old(phase, "delete", key, version=version),
                lambda _: self._new.step("delete", key, version=version),
            )
        )

    def delete_many(self, phase: str, keys: Collection[Any], version: int | None) -> Plan[None]:
        """Delete keys on both sides."""
        yield from self._write(
            phase,
            self._pair.names(keys, version),
            self._at_old(phase, "delete_many", keys, version=version),
            lambda _: self._new.step("delete_many", keys, version=version),
        )

    def clear(self, phase: str) -> Plan[None]:
        """Empty both sides. A side that could not be emptied is not read until it was."""
        self._ledger.begin_clear()
        outcomes: list[Any] = []
        try:
            for side in self._pair.sides:
                try:
                    outcomes.append((yield side.step("clear", is_essential=True)))
                except Exception as error:  # decided below
                    if is_interruption(error):
                        raise
                    outcomes.append(error)
        finally:
            is_emptied = [not isinstance(outcome, Exception) for outcome in outcomes] + [False, False]
            failed = {
                side.name
                for side, done in zip(self._pair.sides, is_emptied, strict=False)
                if not done and not self._pair.is_loud(phase, side)
            }
            self._ledger.end_clear(failed)
        self._raise_failure(phase, outcomes)

    def add(self, phase: str, key: object, value: Any, timeout: Any, version: int | None) -> Plan[bool]:
        """Store a value if OLD has none; return whether it was stored.

        If OLD is out and fails open, return False.

        A failed ``add`` does not make the key unsettled on OLD: it may be the lock of another process.
        """
        names = [self._pair.name(key, version)]
        started = monotonic()
        self._ledger.begin_write(names)
        is_behind = False
        try:
            try:
                stored = yield self._old.step("add", key, value, timeout, version=version, is_essential=True)
            except Exception as error:
                if is_interruption(error):
                    raise
                if self._old.fails_open and is_outage(error):
                    return False
                raise
            if not stored:
                return False
            is_behind = True
            if is_counter(value):
                step = self._new.step("delete_many", [key], version=version)
            else:
                seconds = self._shorten(timeout, monotonic() - started)
                step = self._new.step("set", key, value, seconds, version=version)
            is_behind = not (yield from self._try(step))
            return True
        finally:
            if is_behind:
                self._ledger.mark(NEW, names)
            self._ledger.end_write(names)

    def add_or_set(
        self, phase: str, key: object, value: Any, timeout: Any, version: int | None
    ) -> Plan[bool]:
        """Store a value if OLD has none; return whether it was stored. While OLD is out, store it on NEW.

        A get_or_set() is no lock, so that NEW may decide.
        """
        try:
            stored = yield from self.add(phase, key, value, timeout, version)
        except Exception as error:
            if is_interruption(error):
                raise
            if self._pair.is_loud(phase, self._old) or not is_outage(error):
                raise
        else:
            if stored or not self._old.health.has_failed:
                return stored
        yield from self.set(phase, key, value, timeout, version)
        return True

    def count(self, verb: str, key: object, delta: int, version: int | None) -> Plan[int]:
        """Count on OLD, and delete the key on NEW, whose value would be behind.

        If OLD is out and fails open, raise ValueError as for a missing key.
        """
        try:
            total = yield from self.on_old(
                [self._pair.name(key, version)],
                self._old.step(verb, key, delta, version=version, is_essential=True),
                [self._new.step("delete_many", [key], version=version)],
            )
        except Exception as error:
            if is_interruption(error):
                raise
            if self._old.fails_open and is_outage(error):
                raise ValueError(f"Key {key!r} not found") from error
            raise
        return int(total)

    def incr_version(self, phase: str, key: object, delta: int, version: int | None) -> Plan[int]:
        """Move a value to another version on OLD, and delete both versions on NEW.

        If OLD does not have the value in ``dual``, move it on NEW.
        """
        here = self._old.cache.version if version is None else version
        at_new = self._new.cache.version if version is None else version
        names = [self._pair.name(key, here), self._pair.name(key, here + delta)]
        try:
            moved = yield from self.on_old(
                names,
                self._old.step("incr_version", key, delta, version=version, is_essential=True),
                [self._new.step("delete_many", [key], version=each) for each in (at_new, at_new + delta)],
            )
        except ValueError:
            if phase == SHADOW:
                raise
            moved = yield from self._write_new(
                names, self._new.step("incr_version", key, delta, version=version, is_essential=True)
            )
        return int(moved)

    def on_old(self, names: Collection[Name], old: Step, deletions: Collection[Step]) -> Plan[Any]:
        """Make a call on OLD alone; return its result, and delete its keys on NEW."""
        self._ledger.begin_write(names)
        is_behind = True
        try:
            try:
                result = yield old
            except MISTAKES:  # it has changed nothing, as for a missing key
                is_behind = False
                raise
            is_behind = False
            for step in deletions:
                is_behind = not (yield from self._try(step)) or is_behind
            return result
        finally:
            if is_behind:
                self._ledger.mark(NEW, names)
            self._ledger.end_write(names)

    def _write_new(self, names: Collection[Name], step: Step) -> Plan[Any]:
        self._ledger.begin_write(names)
        try:
            return (yield step)
        finally:
            self._ledger.end_write(names)

    def _write_key(
        self, phase: str, key: object, version: int | None, old: Step, new: Callable[[float], Step]
    ) -> Plan[bool]:
        outcomes = yield from self._write(phase, [self._pair.name(key, version)], old, new)
        results = [bool(outcome) and not isinstance(outcome, Exception) for outcome in outcomes]
        is_decided_by_old = phase == SHADOW and not isinstance(outcomes[0], Exception)
        return results[0] if is_decided_by_old else any(results)

    def _write(
        self, phase: str, names: Collection[Name], old: Step, new: Callable[[float], Step]
    ) -> Plan[list[Any]]:
        """Make a write on OLD and then on NEW; return both results, with exceptions in place of failures.

        ``new`` returns the step for NEW, from the seconds that OLD took. A failed write makes its keys
        unsettled on that side. Raises if the side that decides fails, and does not fail open.
        """
        started = monotonic()
        self._ledger.begin_write(names)
        outcomes: list[Any] = []
        try:
            for side in self._pair.sides:
                step = old if side is self._old else new(monotonic() - started)
                try:
                    outcomes.append((yield step))
                except Exception as error:  # decided below
                    if is_interruption(error):
                        raise
                    outcomes.append(error)
                    self._mark(phase, side, names)
        finally:
            # If the task was cancelled, the call may have taken effect or not.
            for side in self._pair.sides[len(outcomes) :]:
                self._mark(phase, side, names)
            replaced = [
                side.name
                for side, outcome in zip(self._pair.sides, outcomes, strict=False)
                if old.verb != "touch" and not isinstance(outcome, Exception)
            ]
            self._ledger.end_write(names, replaced, started)
        self._count_refusal(outcomes, old.verb)
        self._raise_failure(phase, outcomes)
        return outcomes

    def _mark(self, phase: str, side: Side, names: Collection[Name]) -> None:
        # A side that raises its failures is read as it is, as it was before the migration.
        if not self._pair.is_loud(phase, side):
            self._ledger.mark(side.name, names)

    def _count_refusal(self, outcomes: list[Any], verb: str) -> None:
        """Count a value that one side refuses and the other takes."""
        if sum(isinstance(outcome, Exception) for outcome in outcomes) != 1:
            return
        for side, outcome in zip(self._pair.sides, outcomes, strict=True):
            if isinstance(outcome, MISTAKES):
                self._pair.figures.add(**{f"{side.name}_refusals": 1})
                self._pair.migration.record_failure(side.name, verb, outcome)

    def _raise_failure(self, phase: str, outcomes: list[Any]) -> None:
        """Raise if a write has failed where it counts: on OLD in ``shadow``, on both sides otherwise."""
        old, new = outcomes
        if self._pair.is_loud(phase, self._old):
            if isinstance(old, Exception):
                raise old
            return
        if not (isinstance(old, Exception) and isinstance(new, Exception)):
            return
        authority = self._old if phase == SHADOW else self._new
        error = new if (phase != SHADOW or isinstance(old, SideRests)) else old
        error = old if isinstance(error, SideRests) else error
        if not (authority.fails_open and is_outage(error)):
            raise error

    def _try(self, step: Step) -> Plan[bool]:
        """Make a call that may fail; return whether it did not."""
        try:
            yield step
        except Exception as error:  # counted as a failure of its side
            if is_interruption(error):
                raise
            return False
        return True

    def _at_old(self, phase: str, verb: str, *args: Any, **kwargs: Any) -> Step:
        return self._old.step(verb, *args, is_essential=self._pair.is_loud(phase, self._old), **kwargs)

    def _shorten(self, timeout: Any, elapsed: float) -> Any:
        return shorten(timeout, self._new.cache.default_timeout, elapsed)
