"""Counts of one cache in this process, and the API key that it uses."""

from __future__ import annotations

from typing import Any, TypedDict, cast

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
    """Sums of finished calls. Times are in seconds.

    ``calls`` counts the calls of the cache's methods, ``requests`` the requests to Momento for them, and
    ``operations`` what Momento counts for these. ``hit_rate`` is between 0 and 1, or None before the first
    lookup. ``errors`` has a count for each exception by name. ``latency`` has the percentiles ``p50``,
    ``p95`` and ``p99``, exact to 5 %, and ``max``. Each is None if there are no calls. ``largest`` is the
    size of the largest value in bytes.
    """

    calls: int
    requests: int
    operations: int
    hits: int
    misses: int
    hit_rate: float | None
    errors: dict[str, int]
    bytes_sent: int
    bytes_received: int
    largest: int
    seconds: float
    latency: dict[str, float | None]


class Stats(TypedDict):
    """Counts of one cache since the process started. The names are stable, and all values are JSON.

    ``events`` has a count for each kind of event that has happened, such as ``ignored_exceptions``,
    ``unreadable_values``, ``partial_failures`` and ``cut_timeouts``. ``circuit_openings`` and
    ``keys_replaced`` count for the client, which aliases with the same connection options share. So do
    ``background_requests`` and ``background_operations``: no cache call made these requests, and the sums of
    calls do not include them. They are the probes of an outage and the first request with a new API key.

    ``credential_source`` is the place of the API key in words, ``credential_kind`` the kind of the key,
    ``credential_age`` the seconds since it was fetched, and ``credential_expires_in`` the seconds until it
    ends, or None if it has no expiry. These and ``endpoint`` are None until the first cache call. No value
    holds a part of the key.

    ``totals``, ``verbs`` and ``groups`` sum up the calls since this module was imported: all of them, by
    method and by key group. When there are 100 key groups, further ones count as ``other``.
    ``operations_per_second`` has the means over the last ``"1"``, ``"10"`` and ``"60"`` seconds.
    ``largest_values`` and ``costliest_groups`` name up to ten key groups, the largest first.
    """

    alias: str
    cache: str
    endpoint: str | None
    events: dict[str, int]
    circuit_open: bool
    circuit_openings: int
    keys_replaced: int
    background_requests: int
    background_operations: int
    credential_source: str | None
    credential_kind: str | None
    credential_age: float | None
    credential_expires_in: float | None
    totals: Calls
    verbs: dict[str, Calls]
    groups: dict[str, Calls]
    operations_per_second: dict[str, float]
    largest_values: list[dict[str, Any]]
    costliest_groups: list[dict[str, Any]]


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
