"""A collector for ``prometheus_client`` with the figures of every alias that has made a call.

    from prometheus_client import REGISTRY
    from django_momento.monitoring.prometheus import MomentoCollector

    REGISTRY.register(MomentoCollector())

It needs the extra ``prometheus``. If ``prometheus_client`` runs in its multiprocess mode, a scrape does not
reach collectors. In that mode, name ``django_momento.monitoring.prometheus.observe`` in OBSERVERS instead: it
keeps the same figures in the metrics that this mode adds up over processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from ..events import CallEvent, events
from .meter import Readings, meter

# Upper bounds of the latency histogram, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

LABELS = ("alias", "verb", "key_group")

# Counters by name, with their help and the attribute of an event or of sums.
COUNTERS = {
    "calls": "Finished calls of the cache's methods.",
    "requests": "Requests sent to Momento.",
    "operations": "Operations as Momento counts them.",
    "hits": "Keys that were looked up and found.",
    "misses": "Keys that were looked up and not found.",
    "bytes_sent": "Bytes of keys and values sent.",
    "bytes_received": "Bytes of values received.",
}
ERRORS = "Calls that ended with an exception."
EVENTS = "Events of a cache that raise no error, by kind."
DURATION = "Duration of the cache's methods in seconds."


class MomentoCollector:
    """Collects the figures of ``stats`` when it is scraped. Register it once in a process."""

    def collect(self) -> Iterable[Any]:
        """Return the metrics of all aliases."""
        from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily

        with meter.lock:
            readings = meter.read_all()
            for name, text in COUNTERS.items():
                yield from _families(CounterMetricFamily, name, text, readings)
            yield _errors(CounterMetricFamily, readings)
            yield _durations(SummaryMetricFamily, readings)
        yield _events(CounterMetricFamily)


def _families(family: Any, name: str, text: str, readings: dict[str, Readings]) -> Iterable[Any]:
    by_verb = family(f"momento_cache_{name}", text, labels=["alias", "verb"])
    by_group = family(f"momento_cache_group_{name}", f"{text} By key group.", labels=["alias", "key_group"])
    for alias, each in readings.items():
        for verb, sums in each.verbs.items():
            by_verb.add_metric([alias, verb], getattr(sums, name))
        for group, sums in each.groups.items():
            by_group.add_metric([alias, group], getattr(sums, name))
    return by_verb, by_group


def _errors(family: Any, readings: dict[str, Readings]) -> Any:
    errors = family("momento_cache_errors", ERRORS, labels=["alias", "verb", "error"])
    for alias, each in readings.items():
        for verb, sums in each.verbs.items():
            for error, count in sums.errors.items():
                errors.add_metric([alias, verb, error], count)
    return errors


def _durations(family: Any, readings: dict[str, Readings]) -> Any:
    durations = family("momento_cache_duration_seconds", DURATION, labels=["alias", "verb"])
    for alias, each in readings.items():
        for verb, sums in each.verbs.items():
            durations.add_metric([alias, verb], count_value=sums.calls, sum_value=sums.seconds)
    return durations


def _events(family: Any) -> Any:
    counted = family("momento_cache_events", EVENTS, labels=["alias", "event"])
    for labels, count in events.all_counts().items():
        counted.add_metric(labels, count)
    return counted


@cache
def _metrics() -> tuple[dict[str, Any], Any, Any]:
    """Return the counters, the errors and the durations. Make them when the process first calls this."""
    from prometheus_client import Counter, Histogram

    counters = {name: Counter(f"momento_cache_{name}", text, LABELS) for name, text in COUNTERS.items()}
    errors = Counter("momento_cache_errors", ERRORS, (*LABELS, "error"))
    durations = Histogram("momento_cache_duration_seconds", DURATION, LABELS, buckets=BUCKETS)
    return counters, errors, durations


def observe(event: CallEvent) -> None:
    """Add a call to metrics of ``prometheus_client``'s own registry. An observer, for multiprocess mode."""
    counters, errors, durations = _metrics()
    labels = event.alias, event.verb, event.key_group
    for name, counter in counters.items():
        count = 1 if name == "calls" else getattr(event, name)
        if count:
            counter.labels(*labels).inc(count)
    if event.error is not None:
        errors.labels(*labels, event.error).inc()
    durations.labels(*labels).observe(event.seconds)
