"""Spans and metrics, read from the in-memory exporters of OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.request
from typing import Any

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import path
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from tests.conftest import MakeCache
from tests.kit import telemetry as fixtures
from tests.kit.waiting import eventually

exporter, reader = fixtures.exporter, fixtures.reader

OBSERVED = {"OBSERVERS": "django_momento.monitoring.opentelemetry.observe"}
BIG = b"x" * 3000


async def view(request: HttpRequest) -> HttpResponse:
    cache = caches["default"]
    await asyncio.gather(cache.aget("page:1"), cache.aset("page:2", 1))
    return HttpResponse("done")


urlpatterns = [path("", view)]


def points(reader: InMemoryMetricReader, name: str, alias: str) -> list[Any]:
    """Return the data points of a metric for an alias."""
    data = reader.get_metrics_data()
    return [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
        if point.attributes["db.namespace"] == alias
    ]


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_call_is_a_span_named_as_a_database_call(
    face: str, make_cache: MakeCache, exporter: InMemorySpanExporter
) -> None:
    cache = make_cache(OPTIONS=OBSERVED)

    if face == "sync":
        cache.get_many(["page:1", "page:2"])
    else:
        asyncio.run(cache.aget_many(["page:1", "page:2"]))

    (span,) = exporter.get_finished_spans()
    assert span.name == "get_many page"
    assert span.kind == trace.SpanKind.CLIENT
    assert dict(span.attributes or {}) == {
        "db.system.name": "momento",
        "db.namespace": "default",
        "db.operation.name": "get_many",
        "db.operation.batch.size": 2,
        "db.collection.name": "page",
        "cache.hits": 0,
        "cache.misses": 2,
        "momento.operations": 2,
        "momento.requests": 1,
        "momento.served_from": "momento",
    }
    assert (span.end_time or 0) > (span.start_time or 0)


def test_a_failed_call_is_a_failed_span_without_a_key(
    make_cache: MakeCache, exporter: InMemorySpanExporter
) -> None:
    cache = make_cache("nowhere", OPTIONS=OBSERVED)
    with pytest.raises(MomentoCacheError):
        cache.get("page:secret")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code == trace.StatusCode.ERROR
    assert span.attributes["error.type"] == "CacheNotFound"
    assert "secret" not in span.to_json()


def test_the_metrics_equal_the_count_at_the_server(
    make_cache: MakeCache, momento: LocalServer, reader: InMemoryMetricReader
) -> None:
    cache = make_cache(alias="metered", OPTIONS=OBSERVED)
    momento.reset_calls()
    cache.set("page:1", BIG)
    for key in ("page:1", "page:1", "page:2"):
        cache.get(key)

    def total(name: str) -> int:
        return sum(point.value for point in points(reader, name, "metered"))

    assert total("momento.client.operations") == momento.operations.total()
    assert (total("cache.client.hits"), total("cache.client.misses")) == (2, 1)
    durations = points(reader, "db.client.operation.duration", "metered")
    assert sum(point.count for point in durations) == 4


def test_a_throttled_call_is_counted(
    make_cache: MakeCache, momento: LocalServer, reader: InMemoryMetricReader
) -> None:
    cache = make_cache(alias="throttled", OPTIONS=OBSERVED)
    momento.fail("resource_exhausted")
    try:
        with pytest.raises(MomentoCacheError):
            cache.get("k")
    finally:
        momento.fail()
    (point,) = points(reader, "momento.client.throttles", "throttled")
    assert point.value == 1


def test_the_parent_of_a_call_is_the_span_around_it(
    make_cache: MakeCache, exporter: InMemorySpanExporter
) -> None:
    cache = make_cache(OPTIONS=OBSERVED)
    with trace.get_tracer("test").start_as_current_span("request") as request:
        cache.get("page:1")
    span = exporter.get_finished_spans()[0]
    assert span.parent.span_id == request.get_span_context().span_id


def test_under_uvicorn_the_parent_of_a_call_is_its_request(
    make_cache: MakeCache, exporter: InMemorySpanExporter, settings: Any
) -> None:
    """In async views that run at the same time on one event loop."""
    make_cache(OPTIONS=OBSERVED)
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    settings.MIDDLEWARE = []
    django_app = get_asgi_application()

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.get_tracer("test").start_as_current_span("request"):
            await django_app(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(traced, lifespan="off", log_config=None))
    running = threading.Thread(target=server.run, args=([listener],))
    running.start()
    try:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def ask() -> None:
            assert urllib.request.urlopen(address).read() == b"done"

        askers = [threading.Thread(target=ask) for _ in range(5)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        eventually(lambda: len(exporter.get_finished_spans()) == 15)
    finally:
        server.should_exit = True
        running.join()

    spans: tuple[ReadableSpan, ...] = exporter.get_finished_spans()
    requests = {span.context.span_id for span in spans if span.name == "request"}
    assert len(requests) == 5
    for verb in ("get", "set"):
        parents = [span.parent.span_id for span in spans if span.name.startswith(verb)]
        assert set(parents) == requests
        assert len(parents) == 5
