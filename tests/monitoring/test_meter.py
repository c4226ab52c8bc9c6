"""The sums of ``stats``: exact, bounded, and of the time that they name."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading

import pytest

from django_momento.events import CallEvent
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.monitoring import meter as meters
from django_momento.monitoring import stats
from django_momento.monitoring.meter import Meter, meter
from tests.conftest import MakeCache

BIG = b"x" * 3000


def test_the_figures_equal_an_independent_count_at_the_server(
    make_cache: MakeCache, momento: LocalServer
) -> None:
    """With eight threads and fifty tasks at once, some of which fail."""
    cache = make_cache()
    momento.reset_calls()

    def thread(number: int) -> None:
        for round_ in range(30):
            cache.set(f"thread:{number}", BIG)
            cache.get(f"thread:{round_ % 10}")
        cache.set_many({"text": "x"})
        with pytest.raises(TypeError):
            cache.incr("text")

    async def task(number: int) -> None:
        for round_ in range(10):
            await cache.aget(f"thread:{(number + round_) % 12}")
        await cache.aset_many({f"task:{number}": BIG, f"task:{number + 1}": 1})

    async def tasks() -> None:
        await asyncio.gather(*map(task, range(50)))

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    asyncio.run(tasks())
    for each in threads:
        each.join()

    figures = stats()
    totals = figures["totals"]
    assert totals["requests"] == momento.calls.total()
    assert totals["operations"] == momento.operations.total()
    assert {verb: each["calls"] for verb, each in figures["verbs"].items()} == {
        "get": 8 * 30 + 500,
        "set": 8 * 30,
        "set_many": 50 + 8,
        "incr": 8,
    }
    assert figures["verbs"]["incr"]["errors"] == {"TypeError": 8}
    assert totals["hits"] + totals["misses"] == 8 * 30 + 500
    for part in ("verbs", "groups"):
        for name in ("calls", "requests", "operations", "hits", "bytes_sent", "bytes_received"):
            assert sum(each[name] for each in figures[part].values()) == totals[name]
    assert set(figures["groups"]) == {"thread", "task", "text"}
    assert figures["costliest_groups"][0]["group"] == "thread"
    assert figures["largest_values"][0]["bytes"] >= len(BIG)
    json.dumps(figures)


def test_errors_are_counted_by_kind(make_cache: MakeCache) -> None:
    cache = make_cache("nowhere", alias="lost")
    for _ in range(2):
        with pytest.raises(MomentoCacheError):
            cache.get("a:1")
    assert stats("lost")["totals"]["errors"] == {"CacheNotFound": 2}
    assert stats("lost")["totals"]["hit_rate"] is None


def test_aliases_are_counted_apart(make_cache: MakeCache) -> None:
    make_cache(alias="one").get("k")
    assert stats("one")["totals"]["calls"] == 1
    make_cache(alias="two")
    assert stats("two")["totals"]["calls"] == 0


def test_a_rate_is_that_of_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(meters, "monotonic", lambda: now)
    counted = Meter()
    for second, operations in ((0.5, 10), (5, 100), (50, 1000), (500, 10_000)):
        counted.observe(CallEvent("a", "get", finished_at=now - second, operations=operations))

    rates = [counted.read("a").operations_per_second(seconds) for seconds in (1, 10, 60)]

    assert rates == [10, 11, 18.5]


def test_a_rate_keeps_only_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the process lives."""
    counted = Meter()
    for second in range(10_000):
        counted.observe(CallEvent("a", "get", finished_at=float(second), operations=1))
    monkeypatch.setattr("django_momento.monitoring.meter.monotonic", lambda: 10_000.0)
    assert 59 <= round(counted.read("a").operations_per_second(10_001) * 10_001) <= 62


def test_percentiles_are_exact_to_five_per_cent() -> None:
    counted = Meter()
    for number in range(1, 1001):
        counted.observe(CallEvent("a", "get", seconds=number / 1000))
    sums = counted.read("a").totals
    assert sums.percentile(0.5) == pytest.approx(0.5, rel=0.05)
    assert sums.percentile(0.95) == pytest.approx(0.95, rel=0.05)
    assert sums.percentile(0.99) == pytest.approx(0.99, rel=0.05)
    assert sums.percentile(1) == 1.0


def test_calls_are_counted_by_doublings_of_their_latency() -> None:
    """Doublings without calls between others are there, and a limit belongs to the calls above it."""
    counted = Meter()
    assert {} == counted.read("a").totals.count_by_doubling()
    for seconds in (0.3, 0.49, 0.5, 3.0):
        counted.observe(CallEvent("a", "get", seconds=seconds))
    assert {-1: 2, 0: 1, 1: 0, 2: 1} == counted.read("a").totals.count_by_doubling()


def test_a_forked_child_counts_from_zero() -> None:
    meter.observe(CallEvent("a", "get"))
    child = os.fork()
    if not child:
        os._exit(int(meter.read("a").totals.calls))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert meter.read("a").totals.calls == 1


def test_a_process_that_does_not_ask_for_stats_measures_nothing() -> None:
    """Importing the package of observers, or any of the cache's modules, adds no observer."""
    code = (
        "import django_momento.monitoring, django_momento.cache\n"
        "from django_momento.events import observers\n"
        "assert observers == []\n"
        "from django_momento.monitoring import stats\n"
        "assert len(observers) == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import django_momento.monitoring

    with pytest.raises(AttributeError, match="nothing"):
        django_momento.monitoring.nothing  # noqa: B018 - reading it is the test
