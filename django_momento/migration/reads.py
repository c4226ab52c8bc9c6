"""The verbs that read, each written once as a plan of calls to both sides.

In ``shadow`` OLD serves, and NEW is read for a sample, to compare. In ``dual`` NEW serves. A miss asks OLD,
and copies the value. Sessions are read from OLD first until ``done``.
"""

from __future__ import annotations

from collections.abc import Collection
from random import random
from typing import Any

from ..interruption import is_interruption
from .ledger import Name
from .pair import Pair
from .phases import SHADOW
from .sides import Plan, Side, SideRests, is_outage
from .state import NEW
from .values import MISSING, is_counter, is_same

# Values that one get_many() copies. Further ones are copied when they are read next.
MAX_COPIES = 100


class Reads:
    """The reads of a pair."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._old = pair.old
        self._new = pair.new
        self._ledger = pair.ledger
        self._figures = pair.figures

    def get(self, phase: str, key: object, default: Any, version: int | None) -> Plan[Any]:
        """Return the value of the first side that has it."""
        first, second = self._pair.order(phase, key)
        name, value, error = self._pair.name(key, version), MISSING, None
        is_loud = self._pair.is_loud(phase, first)
        if self._ledger.trusts(first.name, name, is_loud=is_loud):
            try:
                value = yield first.step("get", key, MISSING, version=version, is_essential=is_loud)
            except Exception as failure:
                if is_interruption(failure):
                    raise
                if is_loud:
                    raise
                error = failure
        if phase == SHADOW and error is None:
            yield from self._compare(key, version, value)
        if value is not MISSING:
            self._figures.add(lookups=1, hits=1, new_hits=int(first is self._new))
            yield from self._pair.heal(second, first, key, version, value)
            return value
        if self._may_ask_second(phase, first, second, name, error):
            value = yield from self._ask_second(first, second, name, key, version, error)
        elif error is not None:
            self._raise_outage(first, error)
        self._figures.add(lookups=1, hits=int(value is not MISSING))
        return default if value is MISSING else value

    def get_many(self, phase: str, keys: Collection[Any], version: int | None) -> Plan[dict[Any, Any]]:
        """Return a dict of the keys that exist on the first side that has each."""
        found: dict[Any, Any] = {}
        for first, second in (self._pair.sides, self._pair.sides[::-1]):
            mine = [key for key in keys if self._pair.order(phase, key)[0] is first]
            if mine:
                found.update((yield from self._get_many(phase, first, second, mine, version)))
        self._figures.add(lookups=len(keys), hits=len(found))
        return {key: found[key] for key in keys if key in found}

    def has_key(self, phase: str, key: object, version: int | None) -> Plan[bool]:
        """Return whether a side that may serve the read has the key."""
        sides = first, second = self._pair.order(phase, key)
        name, error, has_served = self._pair.name(key, version), None, False
        for side in sides:
            is_loud = self._pair.is_loud(phase, side)
            if side is second and not self._may_ask_second(phase, first, second, name, error):
                break
            if not self._ledger.trusts(side.name, name, is_loud=is_loud):
                continue
            try:
                if (yield side.step("has_key", key, version=version, is_essential=is_loud)):
                    return True
                has_served = True
            except Exception as failure:
                if is_interruption(failure):
                    raise
                if is_loud:
                    raise
                error = self._choose(error, failure)
        if error is not None and not has_served:
            self._raise_outage(first, error)
        return False

    def _may_ask_second(
        self, phase: str, first: Side, second: Side, name: Name, error: Exception | None
    ) -> bool:
        """Return whether a read that the first side does not serve goes to the second.

        In ``shadow`` it does if OLD fails, or may have lost the value in an outage.
        """
        if not self._ledger.trusts(second.name, name):
            return False
        is_loud = self._pair.is_loud(phase, first)
        if phase != SHADOW or error is not None or not self._ledger.trusts(first.name, name, is_loud=is_loud):
            return True
        return first.fails_open and first.health.recovers

    def _ask_second(
        self,
        first: Side,
        second: Side,
        name: Name,
        key: object,
        version: int | None,
        error: Exception | None,
    ) -> Plan[Any]:
        """Return the value of the second side, and copy it to the first."""
        copy = None
        if error is None and self._ledger.trusts(first.name, name):
            copy = self._ledger.begin_copy(name, first.name)
        try:
            try:
                value = yield second.step("get", key, MISSING, version=version)
            except Exception as failure:  # the first side has served
                if is_interruption(failure):
                    raise
                if error is not None:
                    self._raise_outage(first, self._choose(error, failure))
                return MISSING
            if value is not MISSING:
                if second is self._old:
                    self._figures.add(**{"counters" if is_counter(value) else "old_hits": 1})
                if copy is not None:
                    yield from self._pair.copy(first, second, copy, key, version, value)
            return value
        finally:
            if copy is not None:
                self._ledger.end_copy(copy)

    def _get_many(
        self, phase: str, first: Side, second: Side, keys: list[Any], version: int | None
    ) -> Plan[dict[Any, Any]]:
        name_of = {key: self._pair.name(key, version) for key in keys}
        is_loud = self._pair.is_loud(phase, first)
        asked = [key for key in keys if self._ledger.trusts(first.name, name_of[key], is_loud=is_loud)]
        found: dict[Any, Any] = {}
        error = None
        if asked:
            try:
                found.update((yield first.step("get_many", asked, version=version, is_essential=is_loud)))
            except Exception as failure:
                if is_interruption(failure):
                    raise
                if is_loud:
                    raise
                error = failure
        if phase == SHADOW and error is None:
            for key in asked:
                yield from self._compare(key, version, found.get(key, MISSING))
        if first is self._new:
            self._figures.add(new_hits=len(found))
        for key in [*found][:MAX_COPIES]:
            yield from self._pair.heal(second, first, key, version, found[key])
        missing = [
            key
            for key in keys
            if key not in found and self._may_ask_second(phase, first, second, name_of[key], error)
        ]
        if missing:
            found.update((yield from self._ask_second_for_many(first, second, missing, version, error)))
        elif error is not None:
            self._raise_outage(first, error)
        return found

    def _ask_second_for_many(
        self, first: Side, second: Side, keys: list[Any], version: int | None, error: Exception | None
    ) -> Plan[dict[Any, Any]]:
        copies = {}
        for key in keys[:MAX_COPIES] if error is None else ():
            name = self._pair.name(key, version)
            if self._ledger.trusts(first.name, name):
                copy = self._ledger.begin_copy(name, first.name)
                if copy is not None:
                    copies[key] = copy
        try:
            try:
                found = dict((yield second.step("get_many", keys, version=version)))
            except Exception as failure:  # the first side has served
                if is_interruption(failure):
                    raise
                if error is not None:
                    self._raise_outage(first, self._choose(error, failure))
                return {}
            if second is self._old:
                counters = sum(map(is_counter, found.values()))
                self._figures.add(counters=counters, old_hits=len(found) - counters)
            for key, copy in copies.items():
                if key in found:
                    yield from self._pair.copy(first, second, copy, key, version, found[key])
            return found
        finally:
            for copy in copies.values():
                self._ledger.end_copy(copy)

    def _compare(self, key: object, version: int | None, value: Any) -> Plan[None]:
        """Compare the value of OLD with that of NEW, for a sample of the reads."""
        if random() >= self._pair.migration.pairing.sample:  # noqa: S311 - a sample
            return
        name = self._pair.name(key, version)
        if self._ledger.is_written(name) or not self._ledger.trusts(NEW, name):
            return
        try:
            other = yield self._new.step("get", key, MISSING, version=version)
            differs = value is not MISSING and other is not MISSING and not is_same(value, other)
            if differs:
                again = yield self._old.step("get", key, MISSING, version=version)
                if self._ledger.is_written(name) or not is_same(value, again):
                    return  # it was written meanwhile
                # If a lost write left the value behind, it is gone now.
                yield self._new.step("delete_many", [key], version=version)
        except Exception as error:  # counted as a failure of its side
            if is_interruption(error):
                raise
            return
        self._count_comparison(key, value, other, differs)

    def _count_comparison(self, key: object, value: Any, other: Any, differs: bool) -> None:
        if is_counter(value):
            self._figures.add(sampled_counters=1)
            return
        has_old, has_new = value is not MISSING, other is not MISSING
        self._figures.add(
            sampled=1,
            sampled_hits=int(has_old),
            sampled_new_hits=int(has_old and has_new),
            only_new=int(has_new and not has_old),
            different=int(differs),
        )
        if differs:
            self._pair.migration.record_difference(key, value, other)

    def _choose(self, error: Exception | None, failure: Exception) -> Exception:
        """Return the error that tells more: not that a side rests."""
        return failure if error is None or isinstance(error, SideRests) else error

    def _raise_outage(self, first: Side, error: Exception) -> None:
        """Raise the failure of a read that neither side has served, unless the first side fails open."""
        if not (first.fails_open and is_outage(error)):
            raise error
