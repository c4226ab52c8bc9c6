"""The values in the memory of a process: bounded, and the least recently used ones leave first."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from django_momento.policies.near_store import NearStore


def test_the_memory_is_bounded_to_5_percent() -> None:
    """The bound counts the objects around keys and values, of any size, and of payloads beside them."""
    for length in (10, 1000, 20_000):
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            store = NearStore(4 * 1024 * 1024)
            for number in range(3 * store.max_bytes // (length + 400)):
                store.put(
                    ("tests", b":1:key-%08d" % number), os.urandom(length), float(number), number + 60.0
                )
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert store.bytes <= store.max_bytes
        assert after - before == pytest.approx(store.max_bytes, rel=0.05), length


def test_the_least_recently_used_value_makes_room() -> None:
    """A value larger than the whole memory is not kept at all."""

    def keep_some(more: int) -> list[bytes]:
        """Return the keys that are left of the first ones after so many more values were put."""
        store, value = NearStore(100_000), b"x" * 10_000
        for key in (b"a", b"b", b"c", b"d"):
            store.put(("tests", key), value, 0.0)
        # So that there is room for four values, however much the dict of a fifth takes.
        store.max_bytes = store.bytes + 5000
        assert store.find(("tests", b"a")) is not None
        store.put(("tests", b"e"), value, 0.0)
        store.put(("tests", b"f"), b"x" * store.max_bytes, 0.0)
        for number in range(more):
            store.put(("tests", b"%d" % number), value, 0.0)
        assert len(store) == 4
        return [key for key in (b"c", b"d", b"a", b"e", b"b", b"f") if store.find(("tests", key))]

    assert [keep_some(more) for more in range(5)] == [
        [b"c", b"d", b"a", b"e"],
        [b"d", b"a", b"e"],
        [b"a", b"e"],
        [b"e"],
        [],
    ]
