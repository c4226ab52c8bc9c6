"""OpenTelemetry's own SDK with exporters in memory, which all tests of a process share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@cache
def set_up_sdk() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """Set up the SDK, which a process can do only once."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return exporter, reader


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """The spans of a test."""
    exporter, _ = set_up_sdk()
    exporter.clear()
    yield exporter
    exporter.clear()


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """The metrics of this process."""
    return set_up_sdk()[1]
