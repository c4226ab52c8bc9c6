"""Calls as values: their requests, what their answers mean, and which may be repeated."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import grpc
import pytest
from momento.retry import DefaultEligibilityStrategy, RetryableProps
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2 as control_pb

from django_momento import wire
from django_momento.exceptions import ServerError

HIT = pb._GetResponse(result=pb.Hit, cache_body=b"v")
MISS = pb._GetResponse(result=pb.Miss)
STORED = pb._SetIfNotExistsResponse(stored={})

REQUESTS = [
    (wire.Get(b"k"), pb._GetRequest(cache_key=b"k")),
    (wire.Set(b"k", b"v", 5), pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5)),
    (
        wire.SetIfAbsent(b"k", b"v", 5),
        pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5),
    ),
    (wire.Delete(b"k"), pb._DeleteRequest(cache_key=b"k")),
    (wire.Increment(b"k", -2, 5), pb._IncrementRequest(cache_key=b"k", amount=-2, ttl_milliseconds=5)),
    (
        wire.GetBatch((b"k", b"l")),
        pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k"), pb._GetRequest(cache_key=b"l")]),
    ),
    (
        wire.SetBatch(((b"k", b"v"),), 5),
        pb._SetBatchRequest(items=[pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5)]),
    ),
    (wire.KeysExist((b"k", b"l")), pb._KeysExistRequest(cache_keys=[b"k", b"l"])),
    (wire.UpdateTtl(b"k", 5), pb._UpdateTtlRequest(cache_key=b"k", overwrite_to_milliseconds=5)),
    (wire.ItemGetTtl(b"k"), pb._ItemGetTtlRequest(cache_key=b"k")),
    (wire.FlushCache("c"), control_pb._FlushCacheRequest(cache_name="c")),
]

ANSWERS = [
    (wire.Get(b"k"), HIT, b"v"),
    (wire.Get(b"k"), MISS, None),
    (wire.Set(b"k", b"v", 5), pb._SetResponse(result=pb.Ok), None),
    (wire.SetIfAbsent(b"k", b"v", 5), STORED, True),
    (wire.SetIfAbsent(b"k", b"v", 5), pb._SetIfNotExistsResponse(not_stored={}), False),
    (wire.Delete(b"k"), pb._DeleteResponse(), None),
    (wire.Increment(b"k", 2, 5), pb._IncrementResponse(value=-7), -7),
    (wire.GetBatch((b"k", b"l")), iter([HIT, MISS]), [b"v", None]),
    (
        wire.SetBatch(((b"k", b"v"), (b"l", b"w")), 5),
        iter([pb._SetResponse(result=pb.Ok), pb._SetResponse(result=pb.Invalid)]),
        [True, False],
    ),
    (wire.KeysExist((b"k", b"l")), pb._KeysExistResponse(exists=[True, False]), [True, False]),
    (wire.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(set={}), True),
    (wire.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(not_set={}), True),
    (wire.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(missing={}), False),
    (wire.ItemGetTtl(b"k"), pb._ItemGetTtlResponse(found={"remaining_ttl_millis": 9}), 9),
    (wire.ItemGetTtl(b"k"), pb._ItemGetTtlResponse(missing={}), None),
    (wire.FlushCache("c"), control_pb._FlushCacheResponse(), None),
]

NONSENSE = [
    (wire.Get(b"k"), pb._GetResponse(result=pb.Invalid, message="odd")),
    (wire.SetIfAbsent(b"k", b"v", 5), pb._SetIfNotExistsResponse()),
    (wire.GetBatch((b"k", b"l")), iter([HIT])),
    (wire.SetBatch(((b"k", b"v"),), 5), iter([])),
    (wire.KeysExist((b"k", b"l")), pb._KeysExistResponse(exists=[True])),
    (wire.UpdateTtl(b"k", 5), pb._UpdateTtlResponse()),
    (wire.ItemGetTtl(b"k"), pb._ItemGetTtlResponse()),
]


@pytest.mark.parametrize(("call", "request_"), REQUESTS, ids=lambda value: type(value).__name__)
def test_a_call_builds_its_request(call: wire.Call[Any], request_: Any) -> None:
    """A call's fields are its request's."""
    assert request_ == call.request(control_pb if call.control else pb)


@pytest.mark.parametrize(("call", "response", "answer"), ANSWERS, ids=lambda value: type(value).__name__)
def test_a_call_reads_its_answer(call: wire.Call[Any], response: Any, answer: Any) -> None:
    """An answer is plain Python."""
    assert answer == call.answer(response, pb)


@pytest.mark.parametrize(("call", "response"), NONSENSE, ids=lambda value: type(value).__name__)
def test_an_answer_that_makes_no_sense_is_a_server_error(call: wire.Call[Any], response: Any) -> None:
    """An answer that the protocol does not allow is never taken for a miss."""
    with pytest.raises(ServerError):
        call.answer(response, pb)


def test_every_call_is_one_of_the_protocols() -> None:
    """The names and the kinds of answer are those of the service that Momento publishes."""
    methods = {
        True: control_pb.DESCRIPTOR.services_by_name["ScsControl"].methods_by_name,
        False: pb.DESCRIPTOR.services_by_name["Scs"].methods_by_name,
    }
    assert [methods[call.control][call.rpc].server_streaming for call in wire.CALLS] == [
        call.streamed for call in wire.CALLS
    ]
    assert {type(call) for call, _ in REQUESTS} == set(wire.CALLS)


@pytest.mark.parametrize("call", wire.CALLS, ids=lambda call: call.__name__)
def test_what_may_be_repeated_is_what_the_sdk_repeats(call: type[wire.Call[Any]]) -> None:
    """Momento's own SDK decides which calls are safe to send twice."""
    props = RetryableProps(
        grpc_status=grpc.StatusCode.UNAVAILABLE,
        grpc_method=f"/cache_client.Scs/{call.rpc}",
        attempt_number=1,
        overall_deadline=datetime.now(timezone.utc),
    )
    assert call.repeatable == DefaultEligibilityStrategy().is_eligible_for_retry(props)
