"""The operations that the server counts for each call, from the messages on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2

from django_momento.local import LocalServer
from django_momento.local.metering import READS, item_operations, operations
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal, status
from tests.local.conftest import Connect

KIB = 1024
BIG = bytes(2 * KIB)
TTL: dict[str, Any] = {"ttl_milliseconds": 60_000}
DATA_CALLS = {rpc.name for rpc in pb.DESCRIPTOR.services_by_name["Scs"].methods}

# Before each call: a scalar k and collections d, s, l and z, each with a small and a large element.
STATE: list[tuple[str, Any]] = [
    ("Set", pb._SetRequest(cache_key=b"k", cache_body=BIG, **TTL)),
    (
        "DictionarySet",
        pb._DictionarySetRequest(
            dictionary_name=b"d", items=[{"field": b"f", "value": b"1"}, {"field": b"g", "value": BIG}], **TTL
        ),
    ),
    ("SetUnion", pb._SetUnionRequest(set_name=b"s", elements=[b"e", BIG], **TTL)),
    ("ListConcatenateBack", pb._ListConcatenateBackRequest(list_name=b"l", values=[b"v", BIG], **TTL)),
    (
        "SortedSetPut",
        pb._SortedSetPutRequest(
            set_name=b"z", elements=[{"value": b"e", "score": 1}, {"value": BIG, "score": 2}], **TTL
        ),
    ),
]

# A call and its operations, before the read concern doubles those of a read.
CASES: list[tuple[str, Any, int]] = [
    ("GetWithHash", pb._GetWithHashRequest(cache_key=b"k"), 3),
    ("GetWithHash", pb._GetWithHashRequest(cache_key=b"missing"), 1),
    ("SetIfHash", pb._SetIfHashRequest(cache_key=b"k", cache_body=BIG, unconditional={}, **TTL), 3),
    ("SetIf", pb._SetIfRequest(cache_key=b"k", cache_body=b"v", absent={}, **TTL), 2),
    ("SetIf", pb._SetIfRequest(cache_key=b"k", cache_body=BIG, equal={"value_to_check": b"v"}, **TTL), 6),
    ("SetIfNotExists", pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=BIG, **TTL), 3),
    ("ItemGetType", pb._ItemGetTypeRequest(cache_key=b"k"), 1),
    ("ItemGetTtl", pb._ItemGetTtlRequest(cache_key=bytes(KIB + 1)), 2),
    ("DictionaryGet", pb._DictionaryGetRequest(dictionary_name=b"d", fields=[b"f", b"g", b"h"]), 5),
    ("DictionaryGet", pb._DictionaryGetRequest(dictionary_name=b"missing", fields=[b"f", BIG]), 3),
    ("DictionaryGet", pb._DictionaryGetRequest(dictionary_name=b"d"), 1),
    ("DictionaryFetch", pb._DictionaryFetchRequest(dictionary_name=b"d"), 4),
    ("DictionaryFetch", pb._DictionaryFetchRequest(dictionary_name=b"missing"), 1),
    ("DictionaryLength", pb._DictionaryLengthRequest(dictionary_name=b"d"), 1),
    (
        "DictionarySet",
        pb._DictionarySetRequest(
            dictionary_name=b"d", items=[{"field": b"f", "value": BIG}, {"field": b"i"}], **TTL
        ),
        4,
    ),
    ("DictionaryDelete", pb._DictionaryDeleteRequest(dictionary_name=b"d", all={}), 1),
    (
        "DictionaryDelete",
        pb._DictionaryDeleteRequest(dictionary_name=b"d", some={"fields": [b"f", b"g", b"h"]}),
        3,
    ),
    (
        "DictionaryIncrement",
        pb._DictionaryIncrementRequest(dictionary_name=b"d", field=b"f", amount=1, **TTL),
        1,
    ),
    ("SetFetch", pb._SetFetchRequest(set_name=b"s"), 3),
    ("SetSample", pb._SetSampleRequest(set_name=b"s", limit=5), 3),
    ("SetPop", pb._SetPopRequest(set_name=b"s", count=5), 3),
    ("SetContains", pb._SetContainsRequest(set_name=b"s", elements=[b"e", b"f", BIG]), 4),
    ("SetLength", pb._SetLengthRequest(set_name=b"s"), 1),
    ("SetUnion", pb._SetUnionRequest(set_name=b"s", elements=[b"e", BIG], **TTL), 3),
    (
        "SetDifference",
        pb._SetDifferenceRequest(set_name=b"s", subtrahend={"set": {"elements": [b"e", BIG]}}),
        3,
    ),
    ("SetDifference", pb._SetDifferenceRequest(set_name=b"s", subtrahend={"identity": {}}), 1),
    ("SetDifference", pb._SetDifferenceRequest(set_name=b"s", minuend={"elements": [b"e", b"f"]}), 2),
    ("ListPushFront", pb._ListPushFrontRequest(list_name=b"l", value=BIG, **TTL), 2),
    ("ListPushBack", pb._ListPushBackRequest(list_name=b"l", value=BIG, **TTL), 2),
    ("ListPopFront", pb._ListPopFrontRequest(list_name=b"l"), 1),
    ("ListPopBack", pb._ListPopBackRequest(list_name=b"l"), 2),
    ("ListConcatenateFront", pb._ListConcatenateFrontRequest(list_name=b"l", values=[b"a", BIG], **TTL), 3),
    ("ListConcatenateBack", pb._ListConcatenateBackRequest(list_name=b"l", values=[b"a", b"b"], **TTL), 2),
    ("ListFetch", pb._ListFetchRequest(list_name=b"l"), 3),
    ("ListFetch", pb._ListFetchRequest(list_name=b"missing"), 1),
    ("ListLength", pb._ListLengthRequest(list_name=b"l"), 1),
    ("ListRemove", pb._ListRemoveRequest(list_name=b"l", all_elements_with_value=BIG), 2),
    ("ListErase", pb._ListEraseRequest(list_name=b"l", all={}), 1),
    ("ListRetain", pb._ListRetainRequest(list_name=b"l", inclusive_start=0), 1),
    ("SortedSetPut", pb._SortedSetPutRequest(set_name=b"z", elements=[{"value": BIG, "score": 1}], **TTL), 2),
    ("SortedSetFetch", pb._SortedSetFetchRequest(set_name=b"z", by_index={}), 3),
    ("SortedSetFetch", pb._SortedSetFetchRequest(set_name=b"z", by_index={}, with_scores=True), 3),
    ("SortedSetGetScore", pb._SortedSetGetScoreRequest(set_name=b"z", values=[b"e", b"f", BIG]), 4),
    ("SortedSetGetRank", pb._SortedSetGetRankRequest(set_name=b"z", value=BIG), 2),
    ("SortedSetLength", pb._SortedSetLengthRequest(set_name=b"z"), 1),
    ("SortedSetLengthByScore", pb._SortedSetLengthByScoreRequest(set_name=b"z"), 1),
    ("SortedSetIncrement", pb._SortedSetIncrementRequest(set_name=b"z", value=b"e", amount=1, **TTL), 1),
    ("SortedSetRemove", pb._SortedSetRemoveRequest(set_name=b"z", some={"values": [b"e", b"f"]}), 2),
    (
        "SortedSetUnionStore",
        pb._SortedSetUnionStoreRequest(
            set_name=b"u", sources=[{"set_name": b"z", "weight": 1}, {"set_name": b"y", "weight": 1}], **TTL
        ),
        2,
    ),
]

# The calls that the client's own test covers, with the same arithmetic.
CLIENTS = {"Get", "Set", "GetBatch", "SetBatch", "Delete", "Increment", "KeysExist", "UpdateTtl"}


@pytest.mark.parametrize("read_concern", ["balanced", "consistent", "CONSISTENT"])
def test_each_element_costs_an_operation_for_each_started_kib(
    wire: Wire, server: LocalServer, read_concern: str
) -> None:
    """Of the request or of the response. Consistent reads cost twice, and writes do not."""
    surprises = []
    for rpc, request, expected in CASES:
        wire.FlushCache(controlclient_pb2._FlushCacheRequest(cache_name="cache"))
        for name, state in STATE:
            getattr(wire, name)(state)
        server.reset_calls()
        getattr(wire, rpc)(request, **{"read-concern": read_concern})
        factor = 2 if rpc in READS and read_concern != "balanced" else 1
        if server.operations != {rpc: expected * factor}:
            surprises.append((rpc, str(request)[:80], expected, dict(server.operations)))
    assert surprises == []


def test_every_call_of_the_protocol_has_a_case() -> None:
    """A call without one could be forgotten by the rule."""
    assert {rpc for rpc, *_ in CASES} | CLIENTS >= DATA_CALLS
    assert READS <= DATA_CALLS


def test_a_call_that_fails_costs_one(wire: Wire, server: LocalServer) -> None:
    """For whatever reason, however large it is: its key was valid."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"text", **TTL))
    server.reset_calls()
    batch = pb._SetBatchRequest(items=[pb._SetRequest(cache_key=b"k", cache_body=BIG)] * 10)
    assert status(wire.SetBatch, batch) == StatusCode.INVALID_ARGUMENT
    increment = pb._IncrementRequest(cache_key=b"k", amount=1, **TTL)
    assert status(wire.Increment, increment) == StatusCode.FAILED_PRECONDITION
    assert status(wire.Get, pb._GetRequest(cache_key=BIG), cache="nowhere") == StatusCode.NOT_FOUND
    assert server.operations == {"SetBatch": 1, "Increment": 1, "Get": 1}


def test_a_call_that_reaches_no_cache_costs_nothing(connect: Connect) -> None:
    """A wrong key, a fault that a test asked for, pings and control calls."""
    with LocalServer(caches=["cache"], api_keys=["right"]) as server:
        wire = connect(server)
        refusal(wire.Get, pb._GetRequest(cache_key=b"k"), authorization="wrong")
        server.fail("unavailable")
        refusal(wire.Get, pb._GetRequest(cache_key=b"k"), authorization="right")
        server.fail()
        wire.ping()
        wire.ListCaches(controlclient_pb2._ListCachesRequest(), authorization="right")
        assert server.operations == {}
        assert sum(server.calls.values()) == 4


@table(("size", "expected"), [(0, 1), (1, 1), (KIB, 1), (KIB + 1, 2), (5120 * KIB, 5120)])
def test_a_started_kib_is_an_operation(size: int, expected: int) -> None:
    """An empty item is one."""
    assert item_operations(size) == expected


def test_a_call_without_a_response_has_failed() -> None:
    """Its messages are not looked at."""
    assert operations("GetBatch", None, None, "consistent") == 1
