"""OpenTelemetry and Sentry intercept the gRPC servers of a process, and thereby the local server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from django.core.cache import caches
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.grpc import GRPCIntegration

from django_momento.local import LocalServer
from tests.kit.wire import HANG_GUARD, Wire, status

NAMES = ("insecure_channel", "secure_channel")


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of OpenTelemetry's interceptor, which every gRPC server has that is created in the test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = GrpcAioInstrumentorServer()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


@pytest.fixture
def _sentry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentry's interceptors. The functions that it replaces are restored after the test."""
    for module, names in {
        grpc: (*NAMES, "intercept_channel", "server"),
        grpc.aio: (*NAMES, "server"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    GRPCIntegration.setup_once()


@pytest.fixture(params=["spans", "_sentry"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """A local server behind an interceptor."""
    request.getfixturevalue(request.param)
    with LocalServer(caches=["cache"]) as server:
        yield server


@pytest.fixture
def wire(server: LocalServer) -> Iterator[Wire]:
    wire = Wire(server.address)
    yield wire
    wire.channel.close()


def test_batches_and_gathered_gets_pass(server: LocalServer, settings: Any) -> None:
    """They are streams, in sync and async alike."""
    options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "cache", "OPTIONS": options}}
    cache = caches["default"]

    async def read() -> list[Any]:
        return await asyncio.gather(*map(cache.aget, ["a", "b", "missing"]), cache.aget_many(["a", "b"]))

    assert cache.set_many({"a": 1, "b": 2}) == []
    assert cache.get_many(["a", "b", "missing"]) == {"a": 1, "b": 2}
    assert asyncio.run(read()) == [1, 2, None, {"a": 1, "b": 2}]


def test_refusals_keep_their_status(wire: Wire) -> None:
    """Of single calls and of streams."""
    get = pb._GetRequest(cache_key=b"k")
    for call, request in ((wire.Get, get), (wire.GetBatch, pb._GetBatchRequest(items=[get]))):
        assert status(call, request, cache="nowhere") == grpc.StatusCode.NOT_FOUND
        assert status(call, request, cache="") == grpc.StatusCode.INVALID_ARGUMENT


def test_a_subscription_gets_its_messages_and_ends(wire: Wire, server: LocalServer) -> None:
    """It is the stream without an end."""
    topics = cachepubsub_pb2_grpc.PubsubStub(wire.channel)
    request = cachepubsub_pb2._SubscriptionRequest(cache_name="cache", topic="t")
    stream = topics.Subscribe(request, timeout=HANG_GUARD)
    assert next(stream).WhichOneof("kind") == "heartbeat"
    value = cachepubsub_pb2._TopicValue(text="news")
    topics.Publish(cachepubsub_pb2._PublishRequest(cache_name="cache", topic="t", value=value))
    item = next(message for message in stream if message.WhichOneof("kind") == "item")
    assert item.item.value.text == "news"
    server.stop()
    with pytest.raises(grpc.RpcError):
        list(stream)


def test_opentelemetry_records_the_calls(spans: InMemorySpanExporter) -> None:
    """The interceptor was really in place."""
    with LocalServer(caches=["cache"]) as server:
        wire = Wire(server.address)
        wire.GetBatch(pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k")]))
        wire.channel.close()
    assert "/cache_client.Scs/GetBatch" in {span.name for span in spans.get_finished_spans()}
