"""Spans and metrics of OpenTelemetry, one of each kind for every finished call.

    "OPTIONS": {"OBSERVERS": "django_momento.monitoring.opentelemetry.observe"}

It needs the extra ``opentelemetry``, which is OpenTelemetry's API. The API does nothing until the site sets
up an SDK. The names follow the conventions for databases, because OpenTelemetry has not defined any for
caches.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import metrics, trace

from .. import __version__
from ..clock import monotonic
from ..events import CallEvent

SYSTEM = "momento"

# Seconds, as the conventions for databases advise.
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

_tracer = trace.get_tracer("django_momento", __version__)
_meter = metrics.get_meter("django_momento", __version__)

DURATION = "db.client.operation.duration"
HITS = "cache.client.hits"
MISSES = "cache.client.misses"
OPERATIONS = "momento.client.operations"
THROTTLES = "momento.client.throttles"

# The unit of each metric, and its description.
METRICS = {
    DURATION: ("s", "Duration of cache calls."),
    HITS: ("{key}", "Keys that were looked up and found."),
    MISSES: ("{key}", "Keys that were looked up and not found."),
    OPERATIONS: ("{operation}", "Operations as Momento counts them."),
    THROTTLES: ("{call}", "Calls that hit a limit of Momento."),
}

_duration = _meter.create_histogram(
    DURATION, *METRICS[DURATION], explicit_bucket_boundaries_advisory=_BUCKETS
)
_hits = _meter.create_counter(HITS, *METRICS[HITS])
_misses = _meter.create_counter(MISSES, *METRICS[MISSES])
_operations = _meter.create_counter(OPERATIONS, *METRICS[OPERATIONS])
_throttles = _meter.create_counter(THROTTLES, *METRICS[THROTTLES])


def observe(event: CallEvent) -> None:
    """Record the metrics of a call, and its span as a child of the current one. An observer."""
    attributes: dict[str, Any] = {
        "db.system.name": SYSTEM,
        "db.namespace": event.alias,
        "db.operation.name": event.verb,
        "db.collection.name": event.key_group,
    }
    if event.error is not None:
        attributes["error.type"] = event.error
    _duration.record(event.seconds, attributes)
    if event.hits:
        _hits.add(event.hits, attributes)
    if event.misses:
        _misses.add(event.misses, attributes)
    if event.operations:
        _operations.add(event.operations, attributes)
    if event.error == "LimitExceeded":
        _throttles.add(1, attributes)
    _record_span(event, attributes)


def _record_span(event: CallEvent, attributes: dict[str, Any]) -> None:
    ended = time.time_ns() - int((monotonic() - event.finished_at) * 1e9)
    span = _tracer.start_span(
        f"{event.verb} {event.key_group}".strip(),
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        start_time=ended - int(event.seconds * 1e9),
    )
    if span.is_recording():
        if event.keys > 1:
            span.set_attribute("db.operation.batch.size", event.keys)
        span.set_attributes(
            {
                "cache.hits": event.hits,
                "cache.misses": event.misses,
                "momento.operations": event.operations,
                "momento.requests": event.requests,
                "momento.served_from": event.served_from,
            }
        )
        if event.error is not None:
            span.set_status(trace.Status(trace.StatusCode.ERROR, event.error))
    span.end(ended)
