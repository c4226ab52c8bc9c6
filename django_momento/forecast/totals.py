"""Sums over the events of a replay: by key group, by stratum, and by parts of the keys.

A stratum is a verb with the outcome that the trace has for it. The number of keys outside the sample is known
for each stratum, and their cost is not. ``estimate`` puts both together.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ..client.calls import MAX_ITEM_BYTES
from ..local.limits import ON_DEMAND

PARTS = 32
# The part of the keys whose hash ends with these digits.
_PART_OF = {f"{number:02x}": number % PARTS for number in range(256)}
# In seconds.
MAX_TTL = ON_DEMAND.max_ttl / 1000

# Verbs that read a value, and those that carry one: a command of Redis without a value is one unit.
Stratum: TypeAlias = tuple[str, int | None]
READS = frozenset({"get", "get_many", "get_or_set"})
_VALUES = READS | {"set", "set_many", "add"}


class Sums:
    """The sums of some events. ``keys`` counts the events, of which each is one key of one call."""

    __slots__ = (
        *("cut", "hits", "keys", "largest", "operations", "packed", "reads", "too_large", "units", "writes"),
    )

    def __init__(self) -> None:
        self.keys = 0
        self.reads = 0
        self.hits = 0
        self.writes = 0
        self.operations = 0
        # Operations with compression, and units of ElastiCache Serverless.
        self.packed = 0
        self.units = 0
        self.too_large = 0
        self.cut = 0
        self.largest = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of reads that find a value, or None without reads."""
        return self.hits / self.reads if self.reads else None


class Totals:
    """The sums of all events, by key group, by stratum, and by stratum in each part of the keys."""

    def __init__(self, sample: float) -> None:
        self.sample = sample
        self.calls = 0.0
        self.peak_bytes = 0
        self.byte_seconds = 0
        self.groups: dict[str, Sums] = {}
        self.strata: dict[Stratum, Sums] = {}
        self.parts: list[dict[Stratum, Sums]] = [{} for _ in range(PARTS)] if sample < 1 else []
        # Keys outside the sample, by stratum, and the same for each second.
        self.others: dict[Stratum, int] = {}
        self.others_by_second: dict[int, dict[Stratum, int]] = {}
        self._present: tuple[Sums, ...] = ()

    def count_event(self, event: list[Any]) -> None:
        """Count a key of a call. All further counts belong to it, until the next event."""
        verb, group = event[2], event[4]
        stratum = verb, event[9]
        by_group = self.groups.get(group)
        if by_group is None:
            by_group = self.groups[group] = Sums()
        by_stratum = self.strata.get(stratum)
        if by_stratum is None:
            by_stratum = self.strata[stratum] = Sums()
        if self.parts:
            part = self.parts[_PART_OF.get(event[3][-2:], 0)]
            of_part = part.get(stratum)
            if of_part is None:
                of_part = part[stratum] = Sums()
            self._present = by_group, by_stratum, of_part
        else:
            self._present = by_group, by_stratum
        self.calls += 1 / event[10]
        units = verb not in _VALUES
        for sums in self._present:
            sums.keys += 1
            sums.units += units

    def count_others(self, second: int, event: list[Any]) -> None:
        """Count keys outside the sample."""
        stratum, count = (event[2], event[9]), event[11]
        self.calls += count / event[10]
        self.others[stratum] = self.others.get(stratum, 0) + count
        of_second = self.others_by_second.setdefault(second, {})
        of_second[stratum] = of_second.get(stratum, 0) + count

    def count_read(self, *, hit: bool) -> None:
        """Count a read of a value."""
        for sums in self._present:
            sums.reads += 1
            sums.hits += hit
            sums.units += not hit

    def count_transfer(self, units: int) -> None:
        """Count the units of an item that is read or written."""
        for sums in self._present:
            sums.units += units

    def count_write(self, size: int, timeout: float | None) -> None:
        """Count a write, whether Momento would refuse it or cut its timeout."""
        too_large = size > MAX_ITEM_BYTES
        cut = timeout is None or timeout > MAX_TTL
        for sums in self._present:
            sums.writes += 1
            sums.too_large += too_large
            sums.cut += cut
            if size > sums.largest:
                sums.largest = size

    def count_operations(self, operations: int, packed: int) -> None:
        """Count operations of Momento, as they are and with compression."""
        for sums in self._present:
            sums.operations += operations
            sums.packed += packed

    def count_storage(self, size: int, seconds: int) -> None:
        """Count the bytes that are stored for so many seconds."""
        self.peak_bytes = max(self.peak_bytes, size)
        self.byte_seconds += size * seconds
