"""Counts of one cache in this process, and the API key that it uses."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict, cast

from django.core.cache import caches

from ..cache import MomentoCache
from ..client.registry import clients
from ..clock import wall
from ..events import events
from ..exceptions import ConfigurationError
from .meter import Readings, Sums, meter

# Entries of the lists of the largest values and the costliest key groups.
MAX_ENTRIES = 10


class Calls(TypedDict):
    """Sums of finished calls. Times are in seconds, and sizes in bytes."""

    calls: Annotated[int, "finished calls of the cache's methods"]
    requests: Annotated[
        int, "requests to Momento, retries included. Calls of `aget` that travel together are one."
    ]
    operations: Annotated[int, "operations as Momento counts them, an estimate of August 2026"]
    hits: Annotated[int, "keys that `get`, `get_many` and `has_key` looked up and found"]
    misses: Annotated[int, "keys that they looked up and did not find"]
    hit_rate: Annotated[float | None, "hits as a part of all keys looked up, 0 to 1. None before the first."]
    errors: Annotated[dict[str, int], "a count for each exception, also if `IGNORE_EXCEPTIONS` hid it"]
    bytes_sent: Annotated[int, "keys and values as they are stored"]
    bytes_received: Annotated[int, "values as they are stored"]
    largest: Annotated[int, "size of the largest value"]
    seconds: Annotated[float, "durations of all calls"]
    latency: Annotated[
        dict[str, float | None], "`p50`, `p95`, `p99`, exact to 5 %, and `max`. None before the first call."
    ]


class Stats(TypedDict):
    """Figures of one cache in this process. The names are stable, and all values are JSON.

    ``endpoint`` and the facts of the API key are None until the first cache call. No value holds a part of
    the key.
    """

    alias: Annotated[str, "the alias of `CACHES`"]
    cache: Annotated[str, "the name of the Momento cache"]
    endpoint: Annotated[str | None, "host and port of Momento"]
    events: Annotated[dict[str, int], "a count for each kind of event that has happened, see below"]
    circuit_open: Annotated[bool, "whether the circuit breaker of a connection is open"]
    circuit_openings: Annotated[int, "openings of the circuit breaker"]
    keys_replaced: Annotated[int, "new API keys that were taken"]
    background_requests: Annotated[
        int,
        "requests that no cache call made: probes, repairs of keys, and the first ones over a new connection "
        "or with a new API key",
    ]
    background_operations: Annotated[int, "operations of these requests, which no other figure includes"]
    credential_source: Annotated[str | None, "the place of the API key in words"]
    credential_kind: Annotated[str | None, "the kind of the API key, such as `v2`"]
    credential_age: Annotated[float | None, "seconds since the API key was fetched"]
    credential_expires_in: Annotated[float | None, "seconds until the API key ends. None if it does not say."]
    totals: Annotated[Calls, "the figures of all calls"]
    verbs: Annotated[dict[str, Calls], "the same by method"]
    groups: Annotated[dict[str, Calls], "the same by key group. After 100 groups, further ones are `other`."]
    operations_per_second: Annotated[dict[str, float], 'means over the last `"1"`, `"10"` and `"60"` seconds']
    largest_values: Annotated[list[dict[str, Any]], "up to ten key groups with their largest values"]
    costliest_groups: Annotated[list[dict[str, Any]], "up to ten key groups with their operations"]


def stats(alias: str = "default") -> Stats:
    """Return the counts of an alias of CACHES in this process. Does not make a client or a call.

    Raises ConfigurationError if the alias is not a Momento cache or its settings are wrong.
    """
    cache = caches[alias]
    if not isinstance(cache, MomentoCache):
        raise ConfigurationError(
            f"CACHES[{alias!r}] uses {type(cache).__name__}, which is not a Momento cache.",
            "Name an alias whose BACKEND is 'django_momento.cache.MomentoCache'.",
        )
    client = clients.peek(cache.options.connection)
    credential = None if client is None else client.credential
    counts = {} if client is None else client.counts
    expires_at = None if credential is None else credential.expires_at
    found: Any = {
        "alias": alias,
        "cache": cache.options.cache_name,
        "endpoint": None if credential is None else credential.endpoint,
        "events": events.counts(cache.options.alias),
        "circuit_open": client is not None and client.is_circuit_open,
        "circuit_openings": counts.get("circuit_openings", 0),
        "keys_replaced": counts.get("keys_replaced", 0),
        "background_requests": counts.get("background_requests", 0),
        "background_operations": counts.get("background_operations", 0),
        "credential_source": None if credential is None else credential.source,
        "credential_kind": None if credential is None else credential.kind,
        "credential_age": None if credential is None else max(0.0, wall() - credential.fetched_at),
        "credential_expires_in": None if expires_at is None else expires_at - wall(),
        **_measure(cache.options.alias),
    }
    return cast("Stats", found)


def _measure(alias: str) -> Any:
    with meter.lock:
        readings = meter.read(alias)
        groups = readings.groups.items()
        return {
            "totals": _show(readings.totals),
            "verbs": {name: _show(sums) for name, sums in sorted(readings.verbs.items())},
            "groups": {name: _show(sums) for name, sums in sorted(groups)},
            "operations_per_second": _rates(readings),
            "largest_values": _top([(name, "bytes", sums.largest) for name, sums in groups]),
            "costliest_groups": _top([(name, "operations", sums.operations) for name, sums in groups]),
        }


def _rates(readings: Readings) -> dict[str, float]:
    return {str(seconds): readings.operations_per_second(seconds) for seconds in (1, 10, 60)}


def _top(figures: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    largest = sorted(figures, key=lambda figure: -figure[2])[:MAX_ENTRIES]
    return [{"group": name, unit: count} for name, unit, count in largest if count]


def _show(sums: Sums) -> Calls:
    looked_up = sums.hits + sums.misses
    return {
        "calls": sums.calls,
        "requests": sums.requests,
        "operations": sums.operations,
        "hits": sums.hits,
        "misses": sums.misses,
        "hit_rate": sums.hits / looked_up if looked_up else None,
        "errors": dict(sums.errors),
        "bytes_sent": sums.bytes_sent,
        "bytes_received": sums.bytes_received,
        "largest": sums.largest,
        "seconds": sums.seconds,
        "latency": {
            "p50": sums.percentile(0.5),
            "p95": sums.percentile(0.95),
            "p99": sums.percentile(0.99),
            "max": sums.slowest if sums.calls else None,
        },
    }
