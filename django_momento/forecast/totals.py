"""Sums over the events of a replay: of all keys, of each key group, of each verb, and of parts of the keys.

The parts tell how far the sample may be off, see ``error_bars``.
"""

from __future__ import annotations

from typing import Any

PARTS = 32
MAX_ITEM_BYTES = 5 * 1024 * 1024
MAX_TTL = 24 * 3600.0

# Verbs that read a value, and those that carry one: a command of Redis without a value is one unit.
READS = frozenset({"get", "get_many", "get_or_set"})
_VALUES = READS | {"set", "set_many", "add"}


class Sums:
    """The sums of some events. ``keys`` counts the events, of which each is one key of one call."""

    __slots__ = ("cut", "hits", "keys", "largest", "operations", "reads", "too_large", "writes")

    def __init__(self) -> None:
        self.keys = 0
        self.reads = 0
        self.hits = 0
        self.writes = 0
        self.operations = 0
        self.too_large = 0
        self.cut = 0
        self.largest = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of reads that find a value, or None without reads."""
        return self.hits / self.reads if self.reads else None


class Totals(Sums):
    """The sums of all events, and of parts of them."""

    __slots__ = (
        *("_present", "byte_seconds", "calls", "groups", "parts", "peak_bytes", "sample"),
        *("units", "verbs"),
    )

    def __init__(self, sample: float) -> None:
        super().__init__()
        self.sample = sample
        self._present: tuple[Sums, ...] = ()
        self.calls = 0.0
        # Units of ElastiCache Serverless.
        self.units = 0
        self.peak_bytes = 0
        self.byte_seconds = 0
        self.groups: dict[str, Sums] = {}
        self.verbs: dict[str, Sums] = {}
        self.parts = [Sums() for _ in range(PARTS)] if sample < 1 else []

    def count_event(self, event: list[Any]) -> None:
        """Count a key of a call. What is counted until the next event belongs to this one."""
        verb, group = event[2], event[4]
        by_group = self.groups.get(group)
        if by_group is None:
            by_group = self.groups[group] = Sums()
        by_verb = self.verbs.get(verb)
        if by_verb is None:
            by_verb = self.verbs[verb] = Sums()
        if self.parts:
            self._present = self, by_group, by_verb, self.parts[int(event[3][-2:], 16) % PARTS]
        else:
            self._present = self, by_group, by_verb
        self.calls += 1 / event[10]
        if verb not in _VALUES:
            self.units += 1
        for sums in self._present:
            sums.keys += 1

    def count_read(self, *, hit: bool) -> None:
        """Count a read of a value."""
        if not hit:
            self.units += 1
        for sums in self._present:
            sums.reads += 1
            sums.hits += hit

    def count_transfer(self, units: int) -> None:
        """Count the units of an item that is read or written."""
        self.units += units

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

    def count_operations(self, operations: int) -> None:
        """Count operations of Momento."""
        for sums in self._present:
            sums.operations += operations

    def count_storage(self, size: int, seconds: int) -> None:
        """Count the bytes that are stored for so many seconds."""
        self.peak_bytes = max(self.peak_bytes, size)
        self.byte_seconds += size * seconds
