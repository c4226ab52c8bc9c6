"""Limits as Momento sets them to an on-demand cache."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc import StatusCode
from momento.responses import CacheGet, CacheSet
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2

from django_momento.local import LocalServer
from django_momento.local.errors import TooManyOperations
from django_momento.local.limits import NO_LIMITS, ON_DEMAND, RateLimit
from tests.kit.sdk import cache_client
from tests.kit.wire import Wire, refusal
from tests.local.clock import FakeClock
from tests.local.conftest import Connect

DAY = 24 * 60 * 60 * 1000
LARGEST = bytes(128 * 1024)
COMMON: dict[str, Any] = {"ttl_milliseconds": 9}


@pytest.fixture
def on_demand(clock: FakeClock, connect: Connect) -> Any:
    """A client of a server with the limits of an on-demand cache."""
    with LocalServer(caches=["cache"], limits=ON_DEMAND, clock=clock) as server:
        yield connect(server)


def ttl(wire: Wire, key: Any) -> Any:
    return wire.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=key)).found.remaining_ttl_millis


def test_calls_beyond_the_rate_are_refused_until_the_next_second(on_demand: Wire, clock: FakeClock) -> None:
    """RESOURCE_EXHAUSTED with the `err` of that limit; control calls are no operations."""
    get = pb._GetRequest(cache_key=b"k")
    for _ in range(100):
        on_demand.Get(get)
    error = refusal(on_demand.Get, get)
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED
    assert ("err", "operations_rate_limit_exceeded") in error.trailing_metadata()
    on_demand.ListCaches(controlclient_pb2._ListCachesRequest())
    clock.advance(999)
    assert refusal(on_demand.Get, get).code() == StatusCode.RESOURCE_EXHAUSTED
    clock.advance(1)
    assert on_demand.Get(get).result == pb.Miss


@pytest.mark.parametrize(
    ("size", "keys", "operations"),
    [(100, 0, 1), (14_000, 0, 14), (100, 10, 10), (14_000, 5, 70), (100, 100, 100), (14_000, 100, 1400)],
)
def test_a_rate_holds_over_ten_seconds(
    clock: FakeClock, connect: Connect, size: Any, keys: Any, operations: Any
) -> None:
    """Whether the operations come by single gets or by batches, small or large.

    One call may go beyond the limit, because its operations are known only afterwards. They are taken from
    the seconds that follow.
    """
    with LocalServer(caches=["cache"], limits=ON_DEMAND, clock=clock) as server:
        wire = connect(server)
        wire.Set(pb._SetRequest(cache_key=b"k", cache_body=bytes(size), ttl_milliseconds=DAY))
        clock.advance(300)
        server.reset_calls()
        get = pb._GetRequest(cache_key=b"k")
        passed = 0
        for _ in range(40):
            for _ in range(101):
                try:
                    wire.GetBatch(pb._GetBatchRequest(items=[get] * keys)) if keys else wire.Get(get)
                except grpc.RpcError:
                    break
                passed += operations
            clock.advance(250)
        assert passed == sum(server.operations.values())
        assert 1000 - operations < passed < 1000 + operations


def test_no_second_has_more_operations_than_the_limit(clock: FakeClock) -> None:
    """Wherever the second begins. A call at the end of one does not make room in the next."""
    limit = RateLimit(100, clock)
    passed = []
    for _ in range(1000):
        clock.advance(7)
        try:
            limit.check()
        except TooManyOperations:
            continue
        limit.charge(3)
        passed.append(clock.now)
    assert all(3 * sum(start <= time < start + 1000 for time in passed) <= 102 for start in passed)
    assert abs(3 * len(passed) - 700) <= 20


def test_a_refused_call_costs_nothing_and_a_failed_one_costs_one(on_demand: Wire, clock: FakeClock) -> None:
    """Otherwise a client that tries again would never get through."""
    get = pb._GetRequest(cache_key=b"k")
    for _ in range(99):
        on_demand.Get(get)
    assert refusal(on_demand.Get, get, cache="nowhere").code() == StatusCode.NOT_FOUND
    for _ in range(50):
        assert refusal(on_demand.Get, get).code() == StatusCode.RESOURCE_EXHAUSTED
    clock.advance(1000)
    assert on_demand.Get(get).result == pb.Miss


def test_the_sdk_knows_which_limit_it_hit(clock: FakeClock) -> None:
    """It reads the ``err`` and says so. The stored item stays."""
    limits = NO_LIMITS._replace(operations_per_second=1)
    with (
        LocalServer(caches=["cache"], limits=limits, clock=clock) as server,
        cache_client(server, "sync") as sdk,
    ):
        assert isinstance(sdk.set("cache", "k", "v"), CacheSet.Success)
        refused = sdk.get("cache", "k")
        assert isinstance(refused, CacheGet.Error)
        assert refused.error_code.name == "LIMIT_EXCEEDED_ERROR"
        assert "operations" in refused.message.lower()


def test_a_rate_without_calls_is_refused() -> None:
    """It would be a server that refuses every call."""
    with pytest.raises(ValueError, match="must be greater than 0, not 0"):
        RateLimit(0, lambda: 0)


def test_a_long_ttl_is_cut_to_a_day(on_demand: Wire) -> None:
    """Of scalars, of collections, and when it is changed; a shorter one stays as it is."""
    on_demand.Set(pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=DAY + 1))
    on_demand.Set(pb._SetRequest(cache_key=b"short", cache_body=b"v", ttl_milliseconds=DAY - 1))
    on_demand.SetUnion(pb._SetUnionRequest(set_name=b"s", elements=[b"x"], ttl_milliseconds=2**64 - 1))
    assert [ttl(on_demand, key) for key in (b"k", b"short", b"s")] == [DAY, DAY - 1, DAY]
    on_demand.UpdateTtl(pb._UpdateTtlRequest(cache_key=b"short", overwrite_to_milliseconds=2 * DAY))
    assert ttl(on_demand, b"short") == DAY


@pytest.mark.parametrize(
    ("rpc", "fits", "too_large"),
    [
        (
            "DictionarySet",
            pb._DictionarySetRequest(
                dictionary_name=b"k", items=[{"field": b"f", "value": LARGEST[1:]}], **COMMON
            ),
            pb._DictionarySetRequest(
                dictionary_name=b"k", items=[{"field": b"f", "value": LARGEST}], **COMMON
            ),
        ),
        (
            "SetUnion",
            pb._SetUnionRequest(set_name=b"k", elements=[LARGEST], **COMMON),
            pb._SetUnionRequest(set_name=b"k", elements=[b"x", LARGEST + b"x"], **COMMON),
        ),
        (
            "ListPushFront",
            pb._ListPushFrontRequest(list_name=b"k", value=LARGEST, **COMMON),
            pb._ListPushFrontRequest(list_name=b"k", value=LARGEST + b"x", **COMMON),
        ),
        (
            "ListConcatenateBack",
            pb._ListConcatenateBackRequest(list_name=b"k", values=[LARGEST], **COMMON),
            pb._ListConcatenateBackRequest(list_name=b"k", values=[b"x", LARGEST + b"x"], **COMMON),
        ),
        (
            "SortedSetPut",
            pb._SortedSetPutRequest(set_name=b"k", elements=[{"value": LARGEST}], **COMMON),
            pb._SortedSetPutRequest(set_name=b"k", elements=[{"value": LARGEST + b"x"}], **COMMON),
        ),
        (
            "SortedSetIncrement",
            pb._SortedSetIncrementRequest(set_name=b"k", value=LARGEST, **COMMON),
            pb._SortedSetIncrementRequest(set_name=b"k", value=LARGEST + b"x", **COMMON),
        ),
        (
            "DictionaryIncrement",
            pb._DictionaryIncrementRequest(dictionary_name=b"k", field=LARGEST[1:], **COMMON),
            pb._DictionaryIncrementRequest(dictionary_name=b"k", field=LARGEST, **COMMON),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_large_element_is_refused_by_that_name(
    on_demand: Wire, wire: Wire, rpc: Any, fits: Any, too_large: Any
) -> None:
    """RESOURCE_EXHAUSTED with the `err` of that limit, nothing written; without limits it is fine."""
    error = refusal(getattr(on_demand, rpc), too_large)
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED
    assert ("err", "element_size_limit_exceeded") in error.trailing_metadata()
    assert list(on_demand.KeysExist(pb._KeysExistRequest(cache_keys=[b"k"])).exists) == [False]
    getattr(on_demand, rpc)(fits)
    getattr(wire, rpc)(too_large)
