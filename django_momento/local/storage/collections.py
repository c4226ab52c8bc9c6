"""The collections: dictionaries, sets, lists and sorted sets of bytes.

Each collection keeps count of its memory, so that a small change to a large collection is cheap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import ClassVar, TypeAlias

# The memory that CPython takes for a small element besides its bytes.
ELEMENT_OVERHEAD = 100


class Collection:
    """Elements under one key. ``size`` is the memory of all elements. An empty collection is never stored."""

    type_name: ClassVar[str]
    """The name of the type in ItemGetType."""

    size = 0

    def __len__(self) -> int:
        raise NotImplementedError


Value: TypeAlias = "bytes | Collection"


def type_name(value: Value) -> str:
    return "SCALAR" if isinstance(value, bytes) else value.type_name


class Dictionary(Collection):
    type_name = "DICTIONARY"

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        return self._values.items()

    def get(self, field: bytes) -> bytes | None:
        return self._values.get(field)

    def put(self, field: bytes, value: bytes) -> None:
        previous = self._values.get(field)
        self.size += len(value)
        self.size += len(field) + ELEMENT_OVERHEAD if previous is None else -len(previous)
        self._values[field] = value

    def remove(self, field: bytes) -> None:
        if (value := self._values.pop(field, None)) is not None:
            self.size -= len(field) + len(value) + ELEMENT_OVERHEAD


class Set(Collection):
    """Distinct elements, in the order in which they were added."""

    type_name = "SET"

    def __init__(self) -> None:
        self._elements: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._elements)

    def __contains__(self, element: bytes) -> bool:
        return element in self._elements

    def add(self, element: bytes) -> None:
        if element not in self._elements:
            self._elements[element] = None
            self.size += len(element) + ELEMENT_OVERHEAD

    def remove(self, element: bytes) -> None:
        if element in self._elements:
            del self._elements[element]
            self.size -= len(element) + ELEMENT_OVERHEAD


class List(Collection):
    type_name = "LIST"

    def __init__(self) -> None:
        self._values: list[bytes] = []

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, part: slice) -> list[bytes]:
        return self._values[part]

    def replace(self, part: slice, values: Iterable[bytes] = ()) -> None:
        """Replace a slice, which may be empty, with values. All other values keep their order."""
        added = list(values)
        self.size += _memory(added) - _memory(self._values[part])
        self._values[part] = added

    def keep(self, values: list[bytes]) -> None:
        self.replace(slice(None), values)


class SortedSet(Collection):
    """Distinct values with scores. They are ordered by score, and by value if scores are equal."""

    type_name = "SORTED_SET"

    def __init__(self) -> None:
        self._scores: dict[bytes, float] = {}
        self._order: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        return iter(self._order)

    def __getitem__(self, part: slice) -> list[tuple[float, bytes]]:
        """Return the (score, value) pairs of a slice, lowest first."""
        return self._order[part]

    def score(self, value: bytes) -> float | None:
        return self._scores.get(value)

    def rank(self, value: bytes) -> int:
        """Return the rank of a value that is in the set, counted from the lowest score."""
        return bisect_left(self._order, (self._scores[value], value))

    def below(self, score: float, *, or_equal: bool) -> int:
        """Return the number of values with a lower score, or with a lower or equal one."""
        bisect = bisect_right if or_equal else bisect_left
        return bisect(self._order, score, key=itemgetter(0))

    def put(self, value: bytes, score: float) -> None:
        self.remove(value)
        self._scores[value] = score
        insort(self._order, (score, value))
        self.size += len(value) + ELEMENT_OVERHEAD

    def remove(self, value: bytes) -> None:
        if value in self._scores:
            del self._order[self.rank(value)]
            del self._scores[value]
            self.size -= len(value) + ELEMENT_OVERHEAD


def _memory(values: list[bytes]) -> int:
    return sum(map(len, values)) + len(values) * ELEMENT_OVERHEAD
