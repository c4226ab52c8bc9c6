"""Sizes of values: as measured, with compression, and as guessed where the trace has none."""

from __future__ import annotations

from ..traces.format import MIN_COMPRESSED_BYTES


class _Sums:
    __slots__ = ("bytes", "count", "measured", "packed")

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        # Bytes of the values whose compressed size is known, before and after.
        self.measured = 0
        self.packed = 0


class Compression:
    """The gain by compression of each key group, learned from the values that the recorder has compressed."""

    def __init__(self) -> None:
        self._all = _Sums()
        self._groups: dict[str, _Sums] = {}

    @property
    def was_measured(self) -> bool:
        """Whether the trace has a compressed size."""
        return self._all.measured > 0

    def sizes(self, group: str, size: int | None, packed: int | None) -> tuple[int, int]:
        """Return the size of a value and its compressed size.

        A size that is not known is the mean of the group. A compressed size is that of the group's other
        values.
        """
        sums = self._groups.get(group)
        if sums is None:
            sums = self._groups[group] = _Sums()
        if size is None:
            known = sums if sums.count else self._all
            size = round(known.bytes / known.count) if known.count else 0
        else:
            for each in (sums, self._all):
                each.count += 1
                each.bytes += size
                if packed is not None:
                    each.measured += size
                    each.packed += packed
        if packed is None:
            known = sums if sums.measured else self._all
            is_large = size >= MIN_COMPRESSED_BYTES and known.measured
            packed = round(size * known.packed / known.measured) if is_large else size
        return size, packed
