"""The forecast beside the truth: the same traffic on a server with the limits of Momento."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.client.registry import clients
from django_momento.local import LocalServer
from django_momento.local.limits import ON_DEMAND
from django_momento.monitoring import stats
from tests.conftest import local_options
from tests.kit.traces import forecast_of, recording

# 90 requests a second would need the whole limit of 100 operations, misses and large values included.
SECONDS, REQUESTS_A_SECOND = 10, 20
KEYS = 40
WEIGHTS = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
MISSING = object()


@pytest.fixture
def on_demand() -> Iterator[LocalServer]:
    with LocalServer(caches=["traffic"], limits=ON_DEMAND) as server:
        yield server
        clients.close(wait=True)


def momento(server: LocalServer) -> dict[str, Any]:
    options = local_options(server, CLIENT_TIMEOUT=15)
    return {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "traffic", "OPTIONS": options}


class Clock:
    """A clock for a server, which takes milliseconds, and for a cache in memory, which takes seconds."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))  # the header of the trace has the real time

    def __call__(self) -> int:
        return round(self.now * 1000)

    def time(self) -> float:
        return self.now


def serve(requests: Iterator[int], cache: Any, clock: Clock) -> None:
    """Ask for a key, and store the value after a miss: sizes and timeouts depend on the key."""
    for key in requests:
        clock.now += 1 / REQUESTS_A_SECOND
        if cache.get(f"page:{key}", MISSING) is MISSING:
            cache.set(f"page:{key}", "x" * (100 + key * 53), 0.5 + key % 4)


def zipf_requests(seed: int) -> Iterator[int]:
    draw = random.Random(seed)
    return iter(draw.choices(range(KEYS), cum_weights=WEIGHTS, k=SECONDS * REQUESTS_A_SECOND))


def test_the_operations_of_recorded_traffic_are_those_that_momento_counts(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zipf's keys with short timeouts on Momento itself: equal operations, hits and misses.

    Ten seconds pass on the clocks of the server and of the recorder.
    """
    clock, trace = Clock(), tmp_path / "trace.jsonl"
    monkeypatch.setattr("django_momento.recorder.wall", clock.time)
    with LocalServer(caches=["traffic"], limits=ON_DEMAND, clock=clock) as server:
        settings.CACHES = {"momento": momento(server), "default": recording("momento", trace)}
        stats("momento")

        serve(zipf_requests(1), caches["default"], clock)

        counted, found = stats("momento")["totals"], forecast_of(trace)
        clients.close(wait=True)
    assert counted["operations"] == found["baseline"]["operations"]
    assert counted["hits"] == found["baseline"]["hits"]
    assert counted["hits"] + counted["misses"] == found["baseline"]["reads"]
    assert found["verdict"]["decision"] == "record more"


def test_the_trace_of_another_cache_forecasts_the_traffic_at_momento(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same requests to a cache in memory, which is recorded, and to Momento: equal hits and operations.

    An hour passes on the clock of both.
    """
    clock, trace, draw = Clock(), tmp_path / "trace.jsonl.gz", random.Random(3)
    monkeypatch.setattr("django.core.cache.backends.locmem.time", clock)
    monkeypatch.setattr("django_momento.recorder.wall", clock.time)
    with LocalServer(caches=["traffic"], limits=ON_DEMAND, clock=clock) as server:
        settings.CACHES = {
            "momento": momento(server),
            "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "simulated"},
            "default": recording("memory", trace),
        }
        stats("momento")
        for key in draw.choices(range(KEYS), cum_weights=WEIGHTS, k=1500):
            clock.now += draw.expovariate(1500 / 3600)
            for cache in (caches["default"], caches["momento"]):
                if cache.get(f"page:{key}", MISSING) is MISSING:
                    cache.set(f"page:{key}", "x" * (100 + key * 53), 15 + 40 * (key % 4))

        counted, found = stats("momento")["totals"], forecast_of(trace)
        clients.close(wait=True)
    assert counted["hits"] == found["baseline"]["hits"]
    assert counted["misses"] == found["baseline"]["reads"] - found["baseline"]["hits"]
    assert counted["operations"] == found["baseline"]["operations"]
    assert 0.3 < found["baseline"]["hit_rate"] < 0.95


ANY_VALUE = {"a": ["list", 1.5], "b": None}
LARGE = "x" * 5000


def traffic_of_all_verbs(cache: Any) -> None:
    """Call each verb with a hit and a miss, with small and large values, and with odd timeouts."""
    cache.set("small", 1)
    cache.set("large", LARGE, None)
    cache.set("bytes", b"\0" * 2000, 60)
    cache.set("object", ANY_VALUE, 0.5)
    for key in ("small", "large", "bytes", "object", "missing"):
        cache.get(key)
        cache.has_key(key)
    cache.get_many(["small", "large", "missing", "other"])
    cache.set_many({"one": 1, "two": LARGE, "three": ANY_VALUE}, 60)
    cache.delete_many(["one", "two", "nothing"])
    cache.add("small", 2)
    cache.add("added", LARGE, 30)
    cache.incr("small")
    cache.decr("small", 3)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("missing")
    cache.touch("large", 30)
    cache.touch("missing", 30)
    cache.touch("bytes", 0)
    cache.get("bytes")
    cache.set("gone", 1, -1)
    cache.delete("large")
    cache.delete("missing")
    cache.get("large")
    cache.get_or_set("computed", lambda: LARGE, 60)
    cache.get_or_set("computed", lambda: LARGE, 60)
    cache.get("x" * 240)


def test_each_verb_costs_what_momento_counts_for_it(
    on_demand: LocalServer, settings: Any, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    options = {**momento(on_demand), "TIMEOUT": 60}
    settings.CACHES = {"momento": options, "default": recording("momento", trace)}
    stats("momento")

    traffic_of_all_verbs(caches["default"])

    counted, found = stats("momento"), forecast_of(trace)
    forecast = {row["name"]: row["operations"] for row in found["verbs"]}
    # A get_or_set may be counted as a get and an add.
    apart = ("get", "add", "get_or_set")
    real = {name: verb["operations"] for name, verb in counted["verbs"].items()}
    assert sum(real.get(name, 0) for name in apart) == sum(forecast.get(name, 0) for name in apart)
    assert {name: real[name] for name in real if name not in apart} == {
        name: forecast[name] for name in forecast if name not in apart
    }
