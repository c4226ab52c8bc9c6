"""Counts of one cache in this process, and the API key that it uses."""

from __future__ import annotations

from typing import TypedDict

from django.core.cache import caches

from ..cache import MomentoCache
from ..client.registry import clients
from ..clock import wall
from ..events import events
from ..exceptions import ConfigurationError


class Stats(TypedDict):
    """Counts of one cache since the process started. The names are stable, and all values are JSON.

    ``events`` has a count for each kind of event that has happened, such as ``ignored_exceptions``,
    ``unreadable_values``, ``partial_failures`` and ``cut_timeouts``. ``circuit_openings`` and
    ``keys_replaced`` count for the client, which aliases with the same connection options share.

    ``credential_source`` is the place of the API key in words, ``credential_age`` the seconds since it was
    fetched, and ``credential_expires_in`` the seconds until it ends, or None if it has no expiry. These and
    ``endpoint`` are None before the first cache call. No value holds a part of the key.
    """

    alias: str
    cache: str
    endpoint: str | None
    events: dict[str, int]
    circuit_openings: int
    keys_replaced: int
    credential_source: str | None
    credential_age: float | None
    credential_expires_in: float | None


def stats(alias: str = "default") -> Stats:
    """Return the counts of an alias of CACHES in this process. Makes no client and no call.

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
    return {
        "alias": alias,
        "cache": cache.options.cache_name,
        "endpoint": None if credential is None else credential.endpoint,
        "events": events.counts(cache.options.alias),
        "circuit_openings": counts.get("circuit_openings", 0),
        "keys_replaced": counts.get("keys_replaced", 0),
        "credential_source": None if credential is None else credential.source,
        "credential_age": None if credential is None else max(0.0, wall() - credential.fetched_at),
        "credential_expires_in": None if expires_at is None else expires_at - wall(),
    }
