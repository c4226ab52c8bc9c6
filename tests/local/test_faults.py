"""Faults asked for in the metadata of a request."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from momento import CacheClient, Configurations, CredentialProvider
from momento.config.middleware.synchronous import Middleware, MiddlewareRequestHandler
from momento.responses import CacheGet
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc, controlclient_pb2

from django_momento.local import LocalServer, faults
from django_momento.local.errors import InjectedFault
from django_momento.local.services import pubsub
from tests.kit.sdk import TTL
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire, refusal, status

GET = pb._GetRequest(cache_key=b"k")
FAILING = {"request-id": "1", "error-rpcs": "set get", "return-error": "unavailable"}
STATUSES = [
    *("invalid-argument", "unknown", "not-found", "already-exists", "internal", "permission-denied"),
    *("unauthenticated", "cancelled", "resource-exhausted", "deadline-exceeded", "unavailable"),
    "failed-precondition",
]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The seconds the server was told to sleep, instead of sleeping."""
    pauses = []

    async def sleep(seconds: Any) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(faults, "asyncio", SimpleNamespace(sleep=sleep))
    return pauses


class AddMetadata(Middleware, MiddlewareRequestHandler):
    """Adds metadata to every request of a client, as Momento's own tests do."""

    def __init__(self, metadata: Any) -> None:
        self.metadata = metadata

    def on_new_request(self, context: Any) -> Any:
        return self

    def on_request_metadata(self, metadata: Any) -> Any:
        for key, value in self.metadata.items():
            metadata.grpc_metadata.append((key, value))
        return metadata

    def on_request_body(self, request: Any) -> Any:
        return request

    def on_response_metadata(self, metadata: Any) -> Any:
        return metadata

    def on_response_body(self, response: Any) -> Any:
        return response

    def on_response_status(self, status: Any) -> Any:
        return status


@table("name", STATUSES)
def test_a_named_method_returns_the_error_asked_for(wire: Wire, name: Any) -> None:
    """Every time, if no count is given; other methods are not affected."""
    metadata = {**FAILING, "return-error": name}
    for _ in range(2):
        assert status(wire.Get, GET, **metadata) == StatusCode[name.upper().replace("-", "_")]
    assert wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"k"]), **metadata).exists == [False]
    assert wire.Get(GET).result == pb.Miss


def test_an_error_is_counted_by_request_id_and_method(wire: Wire) -> None:
    """The first so many fail; another id or another method has a count of its own."""
    metadata = {**FAILING, "error-count": "2"}
    for request_id in ("1", "2"):
        for _ in range(2):
            assert status(wire.Get, GET, **{**metadata, "request-id": request_id}) == StatusCode.UNAVAILABLE
        assert wire.Get(GET, **{**metadata, "request-id": request_id}).result == pb.Miss
    put = pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=9)
    assert status(wire.Set, put, **metadata) == StatusCode.UNAVAILABLE


def test_a_delay_comes_before_the_error(wire: Wire, pauses: Any) -> None:
    """Each with a count of its own; the call that fails was delayed as well."""
    metadata = {**FAILING, "error-count": "2", "delay-rpcs": "get", "delay-ms": "1500", "delay-count": "1"}
    for _ in range(2):
        assert status(wire.Get, GET, **metadata) == StatusCode.UNAVAILABLE
    assert wire.Get(GET, **metadata).result == pb.Miss
    assert pauses == [1.5]


def test_a_delay_without_a_count_comes_every_time(wire: Wire, pauses: Any) -> None:
    """And leaves other methods alone."""
    for _ in range(3):
        wire.Get(GET, **{"delay-rpcs": "get", "delay-ms": "20"})
    wire.KeysExist(pb._KeysExistRequest(), **{"delay-rpcs": "get", "delay-ms": "20"})
    assert pauses == [0.02] * 3


def test_a_delayed_call_leaves_others_alone(wire: Wire) -> None:
    """The server sleeps for one call only."""
    slow = wire.channel.unary_unary(
        "/cache_client.Scs/Get", pb._GetRequest.SerializeToString, pb._GetResponse.FromString
    ).future(GET, metadata=(("cache", "cache"), ("delay-rpcs", "get"), ("delay-ms", "300")), timeout=20)
    assert wire.Get(GET).result == pb.Miss
    assert slow.result(HANG_GUARD).result == pb.Miss


def test_empty_values_mean_nothing(wire: Wire) -> None:
    """Some clients send every key, used or not."""
    keys = ("error-rpcs", "return-error", "error-count", "delay-rpcs", "delay-ms", "delay-count")
    assert wire.Get(GET, **dict.fromkeys(keys, "")).result == pb.Miss
    assert wire.Get(GET, **{"error-rpcs": "get"}).result == pb.Miss


def test_control_calls_are_not_disturbed(wire: Wire) -> None:
    """The keys come with them, too."""
    assert wire.ListCaches(controlclient_pb2._ListCachesRequest(), **FAILING).cache[0].cache_name == "cache"


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({**FAILING, "return-error": "no-such-status"}, "return-error"),
        ({**FAILING, "return-error": "ok"}, "return-error"),
        ({**FAILING, "error-count": "many"}, "error-count"),
        ({"delay-rpcs": "get", "delay-ms": "-1"}, "delay-ms"),
    ],
)
def test_what_cannot_be_done_is_named(wire: Wire, metadata: Any, named: Any) -> None:
    """A slip in a test should not look like a server without faults."""
    error = refusal(wire.Get, GET, **metadata)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, named)


@table(
    ("rpc", "name"),
    [
        *[("Get", "get"), ("GetBatch", "get-batch"), ("SetIfNotExists", "set-if"), ("SetIf", "set-if")],
        *[("ListErase", "list-remove"), ("ListPopFront", "list-pop-front"), ("Publish", "topic-publish")],
        *[("SortedSetLengthByScore", "sorted-set-length-by-score"), ("Subscribe", "topic-subscribe")],
    ],
)
def test_methods_are_named_as_in_momentos_image(rpc: Any, name: Any) -> None:
    """Kebab case, with four exceptions."""
    assert faults.metadata_name(rpc) == name


def test_a_stream_ends_with_an_error_after_so_many_messages(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats count, so that an idle topic will do."""
    monkeypatch.setattr(pubsub, "HEARTBEAT_INTERVAL", 0.01)
    metadata = {
        "stream-error-rpcs": "topic-subscribe",
        "stream-error": "internal",
        "stream-error-message-limit": "3",
    }
    stub = cachepubsub_pb2_grpc.PubsubStub(wire.channel)
    request = cachepubsub_pb2._SubscriptionRequest(cache_name="cache", topic="t")
    stream = stub.Subscribe(request, metadata=tuple(metadata.items()), timeout=HANG_GUARD)
    assert [next(stream).WhichOneof("kind") for _ in range(3)] == ["heartbeat"] * 3
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() == StatusCode.INTERNAL


def test_a_stream_may_fail_before_its_first_message(wire: Wire) -> None:
    """A missing number of messages means the same."""
    metadata = {"stream-error-rpcs": "get-batch", "stream-error": "unavailable"}
    assert status(wire.GetBatch, pb._GetBatchRequest(items=[GET]), **metadata) == StatusCode.UNAVAILABLE


def test_a_stream_that_is_not_named_runs_on(wire: Wire) -> None:
    """With the keys of another one, or one that is delayed."""
    metadata = {"stream-error-rpcs": "topic-subscribe", "stream-error": "internal"}
    assert len(wire.GetBatch(pb._GetBatchRequest(items=[GET] * 3), **metadata)) == 3


def test_counters_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those counted longest ago make room: their request ids begin anew."""
    monkeypatch.setattr(faults, "MAX_COUNTERS", 3)
    counted = faults.RequestFaults()

    def fails(request_id: int) -> bool:
        metadata = {**FAILING, "request-id": str(request_id), "error-count": "1"}
        try:
            asyncio.run(counted.before("Get", metadata))
        except InjectedFault:
            return True
        return False

    assert all(fails(request_id) for request_id in range(10))
    assert not any(fails(request_id) for request_id in (7, 8, 9))
    assert all(fails(request_id) for request_id in range(7))


@pytest.mark.parametrize(
    ("metadata", "answer", "calls"),
    [(FAILING, CacheGet.Error, 4), ({**FAILING, "error-count": "2"}, CacheGet.Miss, 3)],
)
def test_the_sdk_retries_as_it_says(server: LocalServer, metadata: Any, answer: Any, calls: Any) -> None:
    """Three times for a read, or until the server recovers."""
    configuration = Configurations.Laptop.v1().with_middlewares([AddMetadata(metadata)])
    credentials = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    with CacheClient(configuration, credentials, TTL) as client:
        assert isinstance(client.get("cache", "k"), answer)
    assert server.calls["Get"] == calls


def test_every_name_is_kebab_case() -> None:
    """No RPC of the protocol has a name the metadata could not hold."""
    for rpc in pb.DESCRIPTOR.services_by_name["Scs"].methods:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", faults.metadata_name(rpc.name))
