"""Reads that are late, and items that go before their time, as the service allows itself."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2

from django_momento.local import LocalServer
from django_momento.local.storage.replica import Past
from django_momento.local.storage.retention import ITEM_OVERHEAD, Retention, memory_needed
from django_momento.local.storage.store import Cache, Store
from tests.kit.tables import table
from tests.kit.wire import Wire
from tests.local.clock import FakeClock

LAG = 50
TTL = 60_000
GET = pb._GetRequest(cache_key=b"k")
Connect = Callable[[LocalServer], Wire]


@pytest.fixture
def late(clock: FakeClock, connect: Connect) -> Iterator[Wire]:
    """A client of a server whose reads are 50 ms late."""
    with LocalServer(caches=["cache"], clock=clock, replica_lag=LAG) as server:
        yield connect(server)


def put(wire: Wire, value: bytes, ttl: int = TTL) -> None:
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=value, ttl_milliseconds=ttl))


def read(wire: Wire, concern: str = "balanced") -> bytes:
    body: bytes = wire.Get(GET, **{"read-concern": concern}).cache_body
    return body


def test_a_balanced_read_sees_a_write_only_after_the_lag(late: Wire, clock: FakeClock) -> None:
    """A consistent read sees it at once. Without a read concern a read is balanced."""
    put(late, b"1")
    assert (read(late), read(late, "consistent"), late.Get(GET).cache_body) == (b"", b"1", b"")
    clock.advance(LAG)
    put(late, b"2")
    assert (read(late), read(late, "consistent")) == (b"1", b"2")
    clock.advance(LAG - 1)
    assert read(late) == b"1"
    clock.advance(1)
    assert read(late) == b"2"


def test_several_writes_arrive_one_after_another(late: Wire, clock: FakeClock) -> None:
    """Each becomes visible when its own lag is over."""
    for value in (b"1", b"2", b"3"):
        put(late, value)
        clock.advance(20)
    # 20, 40 and 60 ms have passed since the third, the second and the first.
    assert read(late) == b"1"
    clock.advance(10)
    assert read(late) == b"2"
    clock.advance(20)
    assert read(late) == b"3"


def test_a_delete_and_a_flush_are_late_too(late: Wire, clock: FakeClock) -> None:
    """The item is there for a balanced read, until the lag is over."""
    for remove in (
        lambda: late.Delete(pb._DeleteRequest(cache_key=b"k")),
        lambda: late.FlushCache(controlclient_pb2._FlushCacheRequest(cache_name="cache")),
    ):
        put(late, b"v")
        clock.advance(LAG)
        remove()
        assert (read(late), read(late, "consistent")) == (b"v", b"")
        clock.advance(LAG)
        assert read(late) == b""


def test_calls_that_read_and_write_see_the_latest_write(late: Wire) -> None:
    """They happen where the writes happen."""
    put(late, b"1")
    assert late.Increment(pb._IncrementRequest(cache_key=b"k", amount=1, ttl_milliseconds=TTL)).value == 2
    add = pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=b"x", ttl_milliseconds=TTL)
    assert late.SetIfNotExists(add).WhichOneof("result") == "not_stored"


def test_every_read_is_late(late: Wire, clock: FakeClock) -> None:
    """Of values, of existence, of times to live, of batches and of collections."""
    put(late, b"old", ttl=1000)
    late.SetUnion(pb._SetUnionRequest(set_name=b"s", elements=[b"a"], ttl_milliseconds=TTL))
    clock.advance(LAG)
    put(late, b"new", ttl=9000)
    late.SetUnion(pb._SetUnionRequest(set_name=b"s", elements=[b"b"], ttl_milliseconds=TTL))
    late.UpdateTtl(pb._UpdateTtlRequest(cache_key=b"s", overwrite_to_milliseconds=5))
    seen = {}
    for concern in ("balanced", "consistent"):
        metadata = {"read-concern": concern}
        seen[concern] = [
            [response.cache_body for response in late.GetBatch(pb._GetBatchRequest(items=[GET]), **metadata)],
            late.GetWithHash(pb._GetWithHashRequest(cache_key=b"k"), **metadata).found.value,
            late.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=b"k"), **metadata).found.remaining_ttl_millis,
            late.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=b"s"), **metadata).found.remaining_ttl_millis,
            list(late.SetFetch(pb._SetFetchRequest(set_name=b"s"), **metadata).found.elements),
        ]
    assert seen == {
        "balanced": [[b"old"], b"old", 950, TTL - LAG, [b"a"]],
        "consistent": [[b"new"], b"new", 9000, 5, [b"a", b"b"]],
    }


def test_an_item_that_expires_is_gone_without_a_lag(late: Wire, clock: FakeClock) -> None:
    """Its time was known to the replica before."""
    put(late, b"v", ttl=LAG + 1)
    clock.advance(LAG)
    put(late, b"w")
    assert read(late) == b"v"
    clock.advance(1)
    assert read(late) == b""


def test_earlier_versions_are_kept_for_the_lag_only(clock: FakeClock) -> None:
    """Memory does not grow with the writes: it holds the items, and that the last one was missing before."""
    retention = Retention(clock)
    store = Store(retention, replica_lag=LAG)
    store.create("cache")
    cache = store.cache("cache")
    for _ in range(10):
        for number in range(100):
            cache.put(b"%d" % number, b"v", TTL)
        clock.advance(LAG)
    cache.put(b"last", b"v", TTL)
    keys = [b"%d" % number for number in range(100)] + [b"last"]
    items = sum(memory_needed(key, b"v") for key in keys)
    assert retention.memory_used == items + ITEM_OVERHEAD + len(b"last")


def test_a_key_that_is_written_once_is_forgotten_after_the_lag(clock: FakeClock) -> None:
    """So that memory does not grow with the number of different keys either."""
    past = Past(Retention(clock), LAG)
    tracemalloc.start()
    try:
        for number in range(1000):
            past.remember(b"%d" % number, None)
            clock.advance(LAG)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1000 * ITEM_OVERHEAD / 4


def test_earlier_versions_count_as_memory_and_go_first(clock: FakeClock) -> None:
    """When memory is short, a read sees a later write, and no item goes for an earlier version."""
    memory = 10_000
    retention = Retention(clock, memory)
    store = Store(retention, replica_lag=LAG)
    store.create("cache")
    cache = store.cache("cache")
    for number in range(20):
        cache.put(b"other", b"v", TTL)
        cache.put(b"k", b"%d" % number * 1000, TTL)
        cache.set_ttl(b"k", TTL + number)
        assert retention.memory_used <= memory
        assert cache.get(b"other") is not None
    assert cache.get(b"k") == b"19" * 1000
    assert cache.replica.get(b"k") is not None
    clock.advance(LAG)
    assert cache.replica.get(b"k") == b"19" * 1000
    store.delete("cache")
    assert retention.memory_used == 0


def evicting(share: float, *draws: float) -> Cache:
    store = Store(Retention(evict=share, draw=cycle(draws).__next__))
    store.create("cache")
    return store.cache("cache")


def test_a_share_of_the_items_is_evicted_when_they_are_looked_up() -> None:
    """As often as the draw says, and an item that is gone stays away."""
    cache = evicting(0.25, 0.9, 0.25, 0.2)
    cache.put(b"k", b"v", TTL)
    assert [cache.get(b"k") for _ in range(4)] == [b"v", b"v", None, None]


def test_a_counter_that_was_evicted_begins_anew(clock: FakeClock, connect: Connect) -> None:
    """Calls that change an item find it gone as well."""
    with LocalServer(caches=["cache"], evict=1.0) as server:
        wire = connect(server)
        request = pb._IncrementRequest(cache_key=b"n", amount=1, ttl_milliseconds=TTL)
        assert [wire.Increment(request).value for _ in range(3)] == [1, 1, 1]


@table(
    ("options", "message"),
    [
        ({"evict": 1.5}, "The share of items to evict must be 0 to 1, not 1.5"),
        ({"evict": -0.1}, "The share of items to evict must be 0 to 1, not -0.1"),
        ({"evict": float("nan")}, "The share of items to evict must be 0 to 1, not nan"),
        ({"replica_lag": -1}, "The lag of the replica must be at least 0 milliseconds, not -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    """When the server is created."""
    with pytest.raises(ValueError, match=message):
        LocalServer(**options)
