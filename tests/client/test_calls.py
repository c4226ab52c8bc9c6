"""Calls as values: their requests, what their answers mean, and which may be repeated."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import grpc
import pytest
from momento.retry import DefaultEligibilityStrategy, RetryableProps
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2 as control_pb

from django_momento.client import calls, dictionaries
from django_momento.exceptions import ServerError
from tests.kit.tables import table

HIT = pb._GetResponse(result=pb.Hit, cache_body=b"v")
MISS = pb._GetResponse(result=pb.Miss)
FIELD = pb._DictionaryGetResponse._DictionaryGetResponsePart(result=pb.Hit, cache_body=b"2")
NO_FIELD = pb._DictionaryGetResponse._DictionaryGetResponsePart(result=pb.Miss)
STORED = pb._SetIfNotExistsResponse(stored={})

CALLS = (*calls.CALLS, *dictionaries.CALLS)

REQUESTS = [
    (calls.Get(b"k"), pb._GetRequest(cache_key=b"k")),
    (calls.Set(b"k", b"v", 5), pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5)),
    (
        calls.SetIfAbsent(b"k", b"v", 5),
        pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5),
    ),
    (
        calls.SetIf(b"k", b"v", 5, "absent"),
        pb._SetIfRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5, absent={}),
    ),
    *(
        (
            calls.SetIf(b"k", b"v", 5, condition, b"w"),
            pb._SetIfRequest(
                cache_key=b"k",
                cache_body=b"v",
                ttl_milliseconds=5,
                **{condition: {"value_to_check": b"w"}},
            ),
        )
        for condition in ("equal", "absent_or_equal", "not_equal")
    ),
    (calls.Delete(b"k"), pb._DeleteRequest(cache_key=b"k")),
    (calls.Increment(b"k", -2, 5), pb._IncrementRequest(cache_key=b"k", amount=-2, ttl_milliseconds=5)),
    (
        calls.GetBatch((b"k", b"l")),
        pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k"), pb._GetRequest(cache_key=b"l")]),
    ),
    (
        calls.SetBatch(((b"k", b"v"),), 5),
        pb._SetBatchRequest(items=[pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=5)]),
    ),
    (calls.KeysExist((b"k", b"l")), pb._KeysExistRequest(cache_keys=[b"k", b"l"])),
    (calls.UpdateTtl(b"k", 5), pb._UpdateTtlRequest(cache_key=b"k", overwrite_to_milliseconds=5)),
    (calls.ItemGetTtl(b"k"), pb._ItemGetTtlRequest(cache_key=b"k")),
    (
        dictionaries.DictionaryIncrement(b"k", b"f", 2, 5),
        pb._DictionaryIncrementRequest(
            dictionary_name=b"k", field=b"f", amount=2, ttl_milliseconds=5, refresh_ttl=False
        ),
    ),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetRequest(dictionary_name=b"k", fields=[b"f"])),
    (calls.FlushCache("c"), control_pb._FlushCacheRequest(cache_name="c")),
]

ANSWERS = [
    (calls.Get(b"k"), HIT, b"v"),
    (calls.Get(b"k"), MISS, None),
    (calls.Set(b"k", b"v", 5), pb._SetResponse(result=pb.Ok), None),
    (calls.SetIfAbsent(b"k", b"v", 5), STORED, True),
    (calls.SetIfAbsent(b"k", b"v", 5), pb._SetIfNotExistsResponse(not_stored={}), False),
    (calls.SetIf(b"k", b"v", 5, "absent"), pb._SetIfResponse(stored={}), True),
    (calls.SetIf(b"k", b"v", 5, "equal", b"w"), pb._SetIfResponse(not_stored={}), False),
    (calls.Delete(b"k"), pb._DeleteResponse(), None),
    (calls.Increment(b"k", 2, 5), pb._IncrementResponse(value=-7), -7),
    (calls.GetBatch((b"k", b"l")), iter([HIT, MISS]), [b"v", None]),
    (
        calls.SetBatch(((b"k", b"v"), (b"l", b"w")), 5),
        iter([pb._SetResponse(result=pb.Ok), pb._SetResponse(result=pb.Invalid)]),
        [True, False],
    ),
    (calls.KeysExist((b"k", b"l")), pb._KeysExistResponse(exists=[True, False]), [True, False]),
    (calls.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(set={}), True),
    (calls.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(not_set={}), True),
    (calls.UpdateTtl(b"k", 5), pb._UpdateTtlResponse(missing={}), False),
    (calls.ItemGetTtl(b"k"), pb._ItemGetTtlResponse(found={"remaining_ttl_millis": 9}), 9),
    (calls.ItemGetTtl(b"k"), pb._ItemGetTtlResponse(missing={}), None),
    (dictionaries.DictionaryIncrement(b"k", b"f", 2, 5), pb._DictionaryIncrementResponse(value=9), 9),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetResponse(found={"items": [FIELD]}), b"2"),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetResponse(found={"items": [NO_FIELD]}), None),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetResponse(missing={}), None),
    (calls.FlushCache("c"), control_pb._FlushCacheResponse(), None),
]

NONSENSE = [
    (calls.Get(b"k"), pb._GetResponse(result=pb.Invalid, message="odd")),
    (calls.SetIfAbsent(b"k", b"v", 5), pb._SetIfNotExistsResponse()),
    (calls.SetIf(b"k", b"v", 5, "absent"), pb._SetIfResponse()),
    (calls.GetBatch((b"k", b"l")), iter([HIT])),
    (calls.SetBatch(((b"k", b"v"),), 5), iter([])),
    (calls.KeysExist((b"k", b"l")), pb._KeysExistResponse(exists=[True])),
    (calls.UpdateTtl(b"k", 5), pb._UpdateTtlResponse()),
    (calls.ItemGetTtl(b"k"), pb._ItemGetTtlResponse()),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetResponse()),
    (dictionaries.DictionaryGet(b"k", b"f"), pb._DictionaryGetResponse(found={"items": [FIELD, FIELD]})),
]


@table(("call", "request_"), REQUESTS)
def test_a_call_builds_its_request(call: calls.Call[Any], request_: Any) -> None:
    """A call's fields are its request's."""
    assert request_ == call.request(control_pb if call.control else pb)


@table(("call", "response", "answer"), ANSWERS)
def test_a_call_reads_its_answer(call: calls.Call[Any], response: Any, answer: Any) -> None:
    """An answer is plain Python."""
    assert answer == call.parse(response, pb)


@table(("call", "response"), NONSENSE)
def test_an_answer_that_makes_no_sense_is_a_server_error(call: calls.Call[Any], response: Any) -> None:
    """An answer that the protocol does not allow is never taken for a miss."""
    with pytest.raises(ServerError):
        call.parse(response, pb)


def test_every_call_is_one_of_the_protocols() -> None:
    """The names and the kinds of answer are those of the service that Momento publishes."""
    methods = {
        True: control_pb.DESCRIPTOR.services_by_name["ScsControl"].methods_by_name,
        False: pb.DESCRIPTOR.services_by_name["Scs"].methods_by_name,
    }
    assert [methods[call.control][call.rpc].server_streaming for call in CALLS] == [
        call.streamed for call in CALLS
    ]
    assert {type(call) for call, _ in REQUESTS} == set(CALLS)


@table("call", CALLS)
def test_what_may_be_repeated_is_what_the_sdk_repeats(call: type[calls.Call[Any]]) -> None:
    """Momento's own SDK decides which calls are safe to send twice."""
    props = RetryableProps(
        grpc_status=grpc.StatusCode.UNAVAILABLE,
        grpc_method=f"/cache_client.Scs/{call.rpc}",
        attempt_number=1,
        overall_deadline=datetime.now(timezone.utc),
    )
    assert call.retryable == DefaultEligibilityStrategy().is_eligible_for_retry(props)
