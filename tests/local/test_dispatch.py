"""The steps of every call before and after its servicer."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, controlclient_pb2, token_pb2

from django_momento.local import LocalServer
from django_momento.local.casing import snake_case
from django_momento.local.dispatch import Dispatcher
from django_momento.local.services.pubsub import Pubsub
from django_momento.local.services.scalars import Scalars
from django_momento.local.storage.retention import Retention
from django_momento.local.storage.store import Cache, Store
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire, refusal, status
from tests.local.conftest import Connect

KEY = "right-key"
DATA_CALLS = {rpc.name for rpc in pb.DESCRIPTOR.services_by_name["Scs"].methods}
CONTROL_CALLS = {
    *("CreateCache", "DeleteCache", "ListCaches", "FlushCache"),
    *("CreateSigningKey", "RevokeSigningKey", "ListSigningKeys"),
}


def every_rpc(*modules: Any) -> Any:
    """Every RPC of the services in these generated modules, with an empty request for it."""
    return [
        pytest.param(service.full_name, rpc.name, GetMessageClass(rpc.input_type)(), id=rpc.name)
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for rpc in service.methods
    ]


@table(("service", "rpc", "request_"), every_rpc(pb, controlclient_pb2, cachepubsub_pb2, token_pb2))
def test_only_the_right_key_gets_in(connect: Connect, service: Any, rpc: Any, request_: Any) -> None:
    """Any other key, also an empty one, is UNAUTHENTICATED on every data, control and topic call."""
    with LocalServer(api_keys=["other-key", KEY], caches=["cache"]) as server:
        wire = connect(server)
        for key in ("wrong", "", KEY + "x", KEY[:-1], "Right-key"):
            assert status(getattr(wire, rpc), request_, authorization=key) == StatusCode.UNAUTHENTICATED


def test_each_of_several_keys_gets_in(connect: Connect) -> None:
    """The keys are equal; one may be rotated in while another is still in use."""
    with LocalServer(api_keys=["old", "new"], caches=["cache"]) as server:
        wire = connect(server)
        request = pb._GetRequest(cache_key=b"k")
        assert [pb.Miss] * 2 == [wire.Get(request, authorization=key).result for key in ("old", "new")]


def test_without_keys_to_check_any_key_gets_in(wire: Wire) -> None:
    """A client configured for the cloud can be pointed at the server as it is."""
    request = pb._GetRequest(cache_key=b"k")
    assert wire.Get(request, authorization="anything").result == pb.Miss


def test_metadata_may_be_missing_or_unknown(wire: Wire, server: LocalServer) -> None:
    """A call without authorization is accepted, and unknown metadata is ignored."""
    call = wire.channel.unary_unary(
        "/cache_client.Scs/Get", pb._GetRequest.SerializeToString, pb._GetResponse.FromString
    )
    metadata = (("cache", "cache"), ("x-unknown", "1"), ("x-unknown-bin", b"\x00"))
    assert call(pb._GetRequest(cache_key=b"k"), metadata=metadata, timeout=20).result == pb.Miss


def test_a_key_is_neither_told_nor_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the key a client offered nor the one expected shows up anywhere."""
    caplog.set_level(logging.DEBUG)
    with LocalServer(api_keys=[KEY], caches=["cache"]) as server:
        error = refusal(connect(server).Get, pb._GetRequest(cache_key=b"k"), authorization="offered-key")
    told = f"{error.details()} {error.trailing_metadata()} {caplog.text} {vars(server)}"
    assert (KEY in told, "offered-key" in told) == (False, False)


def test_an_empty_key_cannot_be_required() -> None:
    """An unset variable on the command line leaves an empty key."""
    with pytest.raises(ValueError, match="An API key must not be empty"):
        LocalServer(api_keys=["good", ""])


def test_ping_needs_no_key_and_no_cache(connect: Connect) -> None:
    """The JavaScript web client pings without any metadata."""
    with LocalServer(api_keys=[KEY]) as server:
        connect(server).ping()
        assert server.calls == {"Ping": 1}


@table(("service", "rpc", "request_"), [p for p in every_rpc(pb) if p.id in DATA_CALLS])
def test_a_missing_cache_is_not_found(wire: Wire, service: Any, rpc: Any, request_: Any) -> None:
    """On every data call, before the request is looked at; a stream fails as a whole."""
    error = refusal(getattr(wire, rpc), request_, cache="nowhere")
    assert (error.code(), error.details()) == (StatusCode.NOT_FOUND, "Cache not found: nowhere")


@table(("service", "rpc", "request_"), [p for p in every_rpc(pb) if p.id in DATA_CALLS])
def test_a_call_without_a_cache_name_is_an_invalid_argument(
    wire: Wire, service: Any, rpc: Any, request_: Any
) -> None:
    """The name comes in the metadata, and the text says so."""
    error = refusal(getattr(wire, rpc), request_, cache="")
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert error.details() == "The metadata `cache` must not be empty: it names the cache"


@pytest.mark.parametrize(
    ("service", "rpc", "request_"),
    [p for p in every_rpc(controlclient_pb2, token_pb2) if p.id not in CONTROL_CALLS],
)
def test_what_is_not_built_says_so(
    wire: Wire, server: LocalServer, service: Any, rpc: Any, request_: Any
) -> None:
    """UNIMPLEMENTED with the full name of the method, whatever the cache, and counted."""
    error = refusal(getattr(wire, rpc), request_, cache="nowhere")
    assert error.code() == StatusCode.UNIMPLEMENTED
    assert error.details() == f"Momento Local does not implement {service}/{rpc}"
    assert server.calls == {rpc: 1}


def test_missing_caches_are_made_where_told_so(connect: Connect) -> None:
    """The first data call is enough."""
    with LocalServer(create_missing_caches=True) as server:
        wire = connect(server)
        assert wire.Get(pb._GetRequest(cache_key=b"k"), cache="new").result == pb.Miss


def test_calls_are_counted_by_name_also_when_refused(wire: Wire, server: LocalServer) -> None:
    """A test can read how often each RPC was called, and begin anew."""
    wire.Get(pb._GetRequest(cache_key=b"k"))
    refusal(wire.Get, pb._GetRequest(cache_key=b"k"), cache="nowhere")
    wire.GetBatch(pb._GetBatchRequest())
    assert (server.calls["Get"], server.calls["GetBatch"], server.calls["Set"]) == (2, 1, 0)
    server.reset_calls()
    assert server.calls == {}


def rpc_handler(store: Store, method: str) -> Any:
    """Return the handler of a method, as gRPC finds it among the services of a dispatcher."""
    call = SimpleNamespace(method=method, invocation_metadata=())
    handlers = [service.service(call) for service in Dispatcher(store).services()]
    return next(handler for handler in handlers if handler is not None)


def test_a_call_is_one_step_for_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A servicer reads, decides and writes while it holds the store."""
    store = Store(Retention())
    store.create("cache")
    acquired = []

    def get(self: Scalars, cache: Any, request: Any) -> Any:
        with ThreadPoolExecutor(1) as other:
            acquired.append(other.submit(store.lock.acquire, blocking=False).result(HANG_GUARD))
        return pb._GetResponse(result=pb.Miss)

    monkeypatch.setattr(Scalars, "get", get)
    handler = rpc_handler(store, "/cache_client.Scs/Get")
    context = SimpleNamespace(invocation_metadata=lambda: (("cache", "cache"),))
    response = asyncio.run(handler.unary_unary(pb._GetRequest(cache_key=b"k"), context))
    assert (acquired, response.result) == ([False], pb.Miss)
    assert store.lock.acquire(blocking=False)


def test_a_client_that_hung_up_ends_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is not sent, and it is no error of the server's."""
    sent, ended = [], []

    async def responses() -> Any:
        try:
            for number in range(10):
                sent.append(number)
                yield number
        finally:
            ended.append(True)

    async def hang_up() -> None:
        handler = rpc_handler(Store(Retention()), "/cache_client.pubsub.Pubsub/Subscribe")
        stream = handler.unary_stream(None, SimpleNamespace(invocation_metadata=tuple))
        async with aclosing(stream) as call:
            assert await anext(call) == 0
        # At once, not only with the end of the loop.
        assert ended == [True]

    monkeypatch.setattr(Pubsub, "subscribe", lambda self, request: responses())
    asyncio.run(hang_up())
    assert (sent, ended) == ([0], [True])


def test_a_long_cache_name_does_not_break_the_status(wire: Wire) -> None:
    """Details travel in headers; one too long would hide the status itself."""
    request = controlclient_pb2._FlushCacheRequest(cache_name="x" * 100_000)
    error = refusal(wire.FlushCache, request)
    assert (error.code(), len(error.details())) == (StatusCode.NOT_FOUND, 500)


@pytest.mark.parametrize(
    ("rpc", "request_"), [("Get", pb._GetRequest(cache_key=b"k")), ("GetBatch", pb._GetBatchRequest())]
)
def test_a_bug_is_logged_and_told_by_its_type(
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    rpc: Any,
    request_: Any,
) -> None:
    """UNKNOWN, which no SDK retries, and the traceback in the log."""

    def broken(self, cache: Cache, request: Any) -> None:
        raise ZeroDivisionError("only for the log")

    monkeypatch.setattr(Scalars, snake_case(rpc), broken)
    with LocalServer(caches=["cache"]) as server:
        error = refusal(getattr(connect(server), rpc), request_)
    assert error.code() == StatusCode.UNKNOWN
    assert error.details() == f"Momento Local failed in {rpc}: ZeroDivisionError"
    (record,) = [record for record in caplog.records if record.name == "django_momento.local"]
    assert (logging.ERROR, ZeroDivisionError) == (record.levelno, record.exc_info[0])
