"""``monitoring.stats``: what it counts, and that it makes no client."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.client.breaker import FAILURE_THRESHOLD
from django_momento.client.registry import clients
from django_momento.exceptions import ConfigurationError, MomentoCacheError
from django_momento.local import LocalServer
from django_momento.monitoring import stats
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit.ports import unserved
from tests.kit.waiting import HANG_GUARD

KEY = "the-key-of-the-server"
NO_CALLS = {
    **dict.fromkeys(("calls", "requests", "operations", "hits", "misses"), 0),
    **dict.fromkeys(("bytes_sent", "bytes_received", "largest"), 0),
    "hit_rate": None,
    "errors": {},
    "seconds": 0.0,
    "latency": dict.fromkeys(("p50", "p95", "p99", "max")),
}


def test_a_cache_that_was_never_used_has_counts_of_zero(make_cache: MakeCache) -> None:
    """And asking makes no client."""
    # A timeout of its own, because no other test may have made a client with these options.
    cache = make_cache(alias="pages", OPTIONS={"CLIENT_TIMEOUT": 7.125})

    assert {
        "alias": "pages",
        "cache": CACHE_NAME,
        "endpoint": None,
        "events": {},
        "circuit_open": False,
        "circuit_openings": 0,
        "keys_replaced": 0,
        "background_requests": 0,
        "background_operations": 0,
        "credential_source": None,
        "credential_kind": None,
        "credential_age": None,
        "credential_expires_in": None,
        "totals": NO_CALLS,
        "verbs": {},
        "groups": {},
        "operations_per_second": {"1": 0.0, "10": 0.0, "60": 0.0},
        "largest_values": [],
        "costliest_groups": [],
    } == stats("pages")
    assert clients.peek(cache.options.connection) is None


def test_events_are_counted_by_kind(make_cache: MakeCache) -> None:
    """Each with every time that it happened, whether it was logged or not."""
    cache = make_cache(OPTIONS={"SERIALIZER": "json", "IGNORE_EXCEPTIONS": True, "MAX_TTL": 60})
    cache.set("other", [1])
    for _ in range(2):
        cache.set_many({"large": "x" * 6_000_000, "small": 1})
        cache.set("large", "x" * 6_000_000)
        cache.touch("other", None)
    make_cache().get("other")

    assert {
        "partial_failures": 2,
        "ignored_exceptions": 2,
        "cut_timeouts": 2,
        "unreadable_values": 1,
    } == stats()["events"]


def test_the_credential_is_described_and_not_shown(settings: Any, tmp_path: Path) -> None:
    """Its source and age, and how often it was replaced."""
    file = tmp_path / "key"
    file.write_text(KEY)
    with LocalServer(api_keys=[KEY, "another-key"], caches=[CACHE_NAME]) as server:
        options: dict[str, Any] = {"CREDENTIALS": "file", "API_KEY_FILE": str(file)}
        options |= {"ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        backend = "django_momento.cache.MomentoCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        before = time.time()
        caches["default"].set("key", "value")
        found = stats()
        age = found["credential_age"]

        assert str(file) in str(found["credential_source"])
        assert "opaque" == found["credential_kind"]
        assert server.address == found["endpoint"]
        assert age is not None
        assert 0 <= age <= time.time() - before + 1
        assert KEY not in json.dumps(found)


def test_openings_of_the_breaker_are_counted(settings: Any) -> None:
    """Once an outage, and not once a call."""
    with unserved() as port:
        options = {"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{port}"}
        backend = "django_momento.cache.MomentoCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        for _ in range(FAILURE_THRESHOLD + 5):
            with pytest.raises(MomentoCacheError):
                caches["default"].touch("key")

    assert 1 == stats()["circuit_openings"]


def test_an_alias_of_another_backend_is_refused(settings: Any) -> None:
    """By name."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    with pytest.raises(ConfigurationError, match=r"CACHES\['default'\] uses DummyCache"):
        stats()
