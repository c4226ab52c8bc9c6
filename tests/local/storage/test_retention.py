"""How long items stay."""

from __future__ import annotations

from typing import Any

import pytest

from django_momento.local.storage.retention import (
    ITEM_OVERHEAD,
    MAX_STALE_EXPIRIES,
    ItemsByKey,
    Retention,
)
from tests.local.clock import FakeClock

LONG = 2**64 - 1


def keep(retention: Retention, items: Any, *keys: Any, ttl: Any = LONG, size: Any = 0) -> None:
    for key in keys:
        retention.keep(items, key, bytes(size), ttl)


def test_an_item_is_gone_at_the_very_millisecond(clock: FakeClock) -> None:
    """It lives up to the last millisecond before written + TTL, not at it."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"k", ttl=10)
    assert retention.find(items, b"k", clock.now + 9).key == b"k"
    assert None is retention.find(items, b"k", clock.now + 10)


def test_an_expired_item_that_is_asked_for_frees_its_memory(clock: FakeClock) -> None:
    """Finding out that it expired is enough to let it go."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"k", ttl=10)
    retention.find(items, b"k", clock.now + 10)
    assert (items, retention.memory_used) == ({}, 0)


def test_expired_items_nobody_asks_for_are_dropped(clock: FakeClock) -> None:
    """drop_expired drops the items that have expired and leaves the rest."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"a", b"b", ttl=10)
    keep(retention, items, b"c", ttl=11)
    clock.advance(10)
    assert retention.drop_expired(limit=100) == 2
    assert list(items) == [b"c"]


def test_dropping_stops_at_its_limit(clock: FakeClock) -> None:
    """A mass expiry can be taken in slices."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"a", b"b", b"c", ttl=10)
    clock.advance(10)
    assert [retention.drop_expired(limit=2) for _ in range(3)] == [2, 1, 0]


def test_a_rescheduled_item_expires_at_its_new_time_only(clock: FakeClock) -> None:
    """The old expiry is void, whether it was earlier or later."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"later", b"sooner", ttl=10)
    retention.reschedule(items[b"later"], 20)
    retention.reschedule(items[b"sooner"], 5)
    clock.advance(5)
    retention.drop_expired(limit=100)
    assert list(items) == [b"later"]
    clock.advance(14)
    retention.drop_expired(limit=100)
    assert list(items) == [b"later"]


def test_memory_counts_key_value_and_overhead(clock: FakeClock) -> None:
    """If an item is replaced or discarded, its memory is no longer counted."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"key", size=100)
    assert retention.memory_used == 103 + ITEM_OVERHEAD
    keep(retention, items, b"key", size=1)
    assert retention.memory_used == 4 + ITEM_OVERHEAD
    retention.discard(items[b"key"])
    assert retention.memory_used == 0


def test_the_item_used_longest_ago_goes_first_whatever_its_cache(clock: FakeClock) -> None:
    """One order of use spans all caches, and reading counts as use."""
    one: ItemsByKey = {}
    other: ItemsByKey = {}
    retention = Retention(clock, max_memory=3 * (1 + ITEM_OVERHEAD))
    keep(retention, one, b"a")
    keep(retention, other, b"b")
    keep(retention, one, b"c")
    retention.find(one, b"a", clock.now)
    keep(retention, other, b"d")
    assert (list(one), list(other)) == ([b"a", b"c"], [b"d"])


def test_expired_items_make_room_before_live_ones(clock: FakeClock) -> None:
    """Nothing alive is evicted while something dead holds memory."""
    retention = Retention(clock, max_memory=2 * (1 + ITEM_OVERHEAD))
    items: ItemsByKey = {}
    keep(retention, items, b"a")
    keep(retention, items, b"b", ttl=10)
    clock.advance(10)
    keep(retention, items, b"c")
    assert list(items) == [b"a", b"c"]


def test_an_item_larger_than_all_memory_displaces_only_its_own_key(clock: FakeClock) -> None:
    """It cannot stay, and need not take the others with it."""
    retention = Retention(clock, max_memory=2 * (1 + ITEM_OVERHEAD))
    items: ItemsByKey = {}
    keep(retention, items, b"a", b"b")
    keep(retention, items, b"b", size=5000)
    assert list(items) == [b"a"]


def test_memory_never_exceeds_its_limit(clock: FakeClock) -> None:
    """However the sizes fall, after each write the limit holds."""
    retention = Retention(clock, max_memory=10_000)
    items: ItemsByKey = {}
    for number in range(200):
        keep(retention, items, b"%d" % number, size=number * 37 % 3000)
        assert 0 < retention.memory_used <= 10_000


def test_rewriting_keys_does_not_pile_up_expiries(clock: FakeClock) -> None:
    """A key written a million times costs the memory of one, and has few expiries to handle."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    for _ in range(5 * MAX_STALE_EXPIRIES):
        keep(retention, items, b"a", b"b", ttl=10)
    clock.advance(10)
    handled = retention.drop_expired(limit=10 * MAX_STALE_EXPIRIES)
    assert 2 <= handled <= MAX_STALE_EXPIRIES + 2 * 2
    assert items == {}


def test_expiries_survive_the_clearing_of_stale_ones(clock: FakeClock) -> None:
    """Live items keep their expiry when the heap is rebuilt."""
    retention = Retention(clock)
    items: ItemsByKey = {}
    keep(retention, items, b"short", ttl=10)
    for _ in range(2 * MAX_STALE_EXPIRIES):
        keep(retention, items, b"long")
    clock.advance(10)
    retention.drop_expired(limit=10)
    assert list(items) == [b"long"]


def test_a_limit_that_holds_nothing_is_refused() -> None:
    """Zero or less is a mistake, not a cache that forgets everything."""
    with pytest.raises(ValueError, match="max_memory must be greater than 0, not 0"):
        Retention(max_memory=0)
