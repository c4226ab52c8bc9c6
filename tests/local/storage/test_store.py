"""Caches by name and their items by key, without a server."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from django_momento.local.errors import CacheAlreadyExists, CacheNotFound
from django_momento.local.storage.retention import Retention
from django_momento.local.storage.store import Cache, Store
from tests.local.clock import FakeClock


@pytest.fixture
def store(clock: FakeClock) -> Any:
    return Store(Retention(clock))


def test_a_cache_exists_from_create_to_delete(store: Any) -> None:
    """Names are listed in the order of their creation."""
    store.create("b")
    store.create("a")
    assert store.names() == ["b", "a"]
    store.delete("b")
    assert store.names() == ["a"]


def test_a_cache_cannot_be_created_twice(store: Any) -> None:
    """The second time says so, and the items stay."""
    store.create("cache")
    store.cache("cache").put(b"k", b"v", 10)
    with pytest.raises(CacheAlreadyExists, match="Cache already exists: cache"):
        store.create("cache")
    assert store.cache("cache").get(b"k") == b"v"


def test_a_missing_cache_is_named(store: Any) -> None:
    """Neither using nor deleting it makes one."""
    with pytest.raises(CacheNotFound, match="Cache not found: nowhere"):
        store.cache("nowhere")
    with pytest.raises(CacheNotFound, match="Cache not found: nowhere"):
        store.delete("nowhere")
    assert store.names() == []


def test_a_store_told_so_makes_missing_caches(clock: FakeClock) -> None:
    """The first use creates the cache; deleting one that is missing still fails."""
    store = Store(Retention(clock), create_missing_caches=True)
    store.cache("cache").put(b"k", b"v", 10)
    assert store.cache("cache").get(b"k") == b"v"
    with pytest.raises(CacheNotFound):
        store.delete("other")


def test_a_recreated_cache_is_empty_and_frees_its_memory(store: Any) -> None:
    """Deleting a cache takes its items along."""
    store.create("cache")
    store.cache("cache").put(b"k", b"v", 10)
    store.delete("cache")
    store.create("cache")
    assert (store.cache("cache").get(b"k"), store.memory_used()) == (None, 0)


def test_a_flush_empties_one_cache_only(store: Any) -> None:
    """The other cache keeps its items under the same keys."""
    for name in ("one", "other"):
        store.create(name)
        store.cache(name).put(b"k", name.encode(), 10)
    store.cache("one").flush()
    assert (store.cache("one").get(b"k"), store.cache("other").get(b"k")) == (None, b"other")


def test_a_value_lives_for_its_ttl(cache: Cache, clock: FakeClock) -> None:
    """The remaining TTL is exact, and at its end there is nothing."""
    cache.put(b"k", b"v", 1000)
    clock.advance(999)
    assert (cache.get(b"k"), cache.remaining_ttl(b"k")) == (b"v", 1)
    clock.advance(1)
    assert (cache.get(b"k"), cache.remaining_ttl(b"k")) == (None, None)


def test_the_longest_ttl_of_the_protocol_works(cache: Cache) -> None:
    """2**64 - 1 milliseconds is a number like any other."""
    cache.put(b"k", b"v", 2**64 - 1)
    assert cache.remaining_ttl(b"k") == 2**64 - 1


def test_writing_again_replaces_value_and_ttl(cache: Cache, clock: FakeClock) -> None:
    """Nothing of the first write remains."""
    cache.put(b"k", b"long ago", 1000)
    cache.put(b"k", b"", 10)
    assert (cache.get(b"k"), cache.remaining_ttl(b"k")) == (b"", 10)


def test_the_ttl_of_an_item_can_be_changed(cache: Cache, clock: FakeClock) -> None:
    """It counts from now, and an item that is not there has none to change."""
    cache.put(b"k", b"v", 10)
    clock.advance(5)
    assert (cache.set_ttl(b"k", 20), cache.remaining_ttl(b"k")) == (True, 20)
    assert not cache.set_ttl(b"missing", 20)


def test_deleting_works_whether_or_not_there_is_an_item(cache: Cache) -> None:
    """Afterwards there is none."""
    cache.put(b"k", b"v", 10)
    cache.delete(b"k")
    cache.delete(b"k")
    assert None is cache.get(b"k")


def test_expired_items_are_dropped_across_caches(store: Any, clock: FakeClock) -> None:
    """The memory of all of them is free again."""
    for name in ("one", "other"):
        store.create(name)
        store.cache(name).put(b"k", b"v", 10)
    clock.advance(10)
    assert (store.drop_expired(limit=10), store.memory_used()) == (2, 0)


def test_several_steps_under_the_lock_are_one(cache: Cache, store: Any) -> None:
    """Threads that read and write under the lock lose no update."""
    store.create("cache")
    cache = store.cache("cache")
    cache.put(b"n", b"0", 10)

    def count() -> None:
        for _ in range(200):
            with store.lock:
                cache.put(b"n", b"%d" % (int(cache.get(b"n") or b"0") + 1), 10)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get(b"n") == b"1600"
