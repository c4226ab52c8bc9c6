"""Sphinx directives that write the tables of the reference of monitoring from the code.

- ``momento-stats`` lists the fields of a TypedDict of ``monitoring.statistics``, which its argument names.
- ``momento-otel-metrics`` lists the metrics of OpenTelemetry.
- ``momento-prometheus-metrics`` lists the metrics of Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_type_hints

from code_reference import Written, code, list_table
from sphinx.application import Sphinx

from django_momento.monitoring import opentelemetry, prometheus, statistics


class Stats(Written):
    """The fields with their descriptions."""

    required_arguments = 1

    def lines(self) -> Iterable[str]:
        fields = get_type_hints(getattr(statistics, self.arguments[0]), include_extras=True)
        rows = ((f"``{name}``", code(hint.__metadata__[0])) for name, hint in fields.items())
        return list_table(("figure", "meaning"), rows)


class OtelMetrics(Written):
    """The metrics with kind, unit and description."""

    def lines(self) -> Iterable[str]:
        rows = (
            (f"``{name}``", "histogram" if name == opentelemetry.DURATION else "counter", f"``{unit}``", text)
            for name, (unit, text) in opentelemetry.METRICS.items()
        )
        return list_table(("metric", "kind", "unit", "meaning"), rows)


class PrometheusMetrics(Written):
    """The metrics of the collector with their labels."""

    def lines(self) -> Iterable[str]:
        return list_table(("metric", "labels", "meaning"), self._rows())

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for name, text in prometheus.COUNTERS.items():
            yield f"``momento_cache_{name}_total``", "``alias``, ``verb``", text
        for name, text in prometheus.COUNTERS.items():
            yield f"``momento_cache_group_{name}_total``", "``alias``, ``key_group``", text
        yield "``momento_cache_errors_total``", "``alias``, ``verb``, ``error``", prometheus.ERRORS
        yield "``momento_cache_events_total``", "``alias``, ``event``", prometheus.EVENTS
        yield "``momento_cache_duration_seconds``", "``alias``, ``verb``", prometheus.DURATION


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("momento-stats", Stats)
    app.add_directive("momento-otel-metrics", OtelMetrics)
    app.add_directive("momento-prometheus-metrics", PrometheusMetrics)
    return {"parallel_read_safe": True}
