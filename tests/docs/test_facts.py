"""The figures in tables and sentences are true, compared with the code or with the calls that it sends."""

from __future__ import annotations

import asyncio
import pickle
import re
import runpy
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_momento import events
from django_momento.cache import MomentoCache
from django_momento.client import (
    batching,
    breaker,
    calls,
    channel,
    fork_gate,
    operations,
    rotation,
)
from django_momento.client.sdk import configuration
from django_momento.client.transport import PROBE_TIMEOUT
from django_momento.conf.options import CREDENTIAL_SOURCES, OPTIONS, ConnectionOptions
from django_momento.credentials import agent, boundary, secrets_manager
from django_momento.env import Env
from django_momento.local import LocalServer
from django_momento.local.admin import Admin
from django_momento.local.limits import ON_DEMAND
from django_momento.monitoring import opentelemetry, stats
from django_momento.monitoring.prometheus import COUNTERS, MomentoCollector
from django_momento.monitoring.statistics import Calls, Stats
from tests.docs.conftest import Apply
from tests.docs.pages import PAGES, ROOT, table
from tests.kit import telemetry as fixtures

exporter = fixtures.exporter

MIB = 1024 * 1024

# Pages, each with a sentence that it must contain according to the code.
SENTENCES = [
    ("how-to/async-views.md", f"one call for up to {batching.MAX_BATCHED_KEYS} keys"),
    ("how-to/async-views.md", f"up to {operations.MAX_CHUNK_KEYS:,} in a call"),
    ("how-to/celery.md", f"a fork waits ({fork_gate.MAX_WAIT:g} seconds at most)"),
    ("how-to/servers.md", f"{fork_gate.MAX_WAIT:g} seconds at most"),
    ("how-to/choose-a-credential-source.md", f"`localhost:{agent.DEFAULT_PORT}`"),
    ("how-to/choose-a-credential-source.md", f"`{agent.PORT_VARIABLE}`"),
    ("how-to/choose-a-credential-source.md", f"`{agent.TOKEN_FILE}`"),
    ("how-to/fail-open.md", f"a\nprobe every {breaker.INITIAL_BACKOFF:g} to {breaker.MAX_BACKOFF:g} seconds"),
    ("how-to/fail-open.md", f"at most one in {events.PAUSE:g} seconds"),
    ("how-to/monitor.md", f"at most every {events.PAUSE:g} seconds"),
    ("how-to/rotate-keys.md", f"which doubles up to {rotation.MAX_BACKOFF:g} seconds"),
    ("explanation/failures.md", f"every {breaker.INITIAL_BACKOFF:g} to {breaker.MAX_BACKOFF:g} seconds"),
    ("explanation/failures.md", f"idle for {channel.MAX_IDLE:g} seconds"),
    ("explanation/failures.md", f"every {events.PAUSE:g} seconds for each cache"),
    (
        "reference/methods.md",
        f"up to {operations.MAX_CHUNK_KEYS:,} keys or {operations.MAX_CHUNK_BYTES // MIB} MiB",
    ),
    ("reference/methods.md", f"up to {operations.MAX_CONCURRENT_CALLS} in flight"),
    ("reference/methods.md", f"over {calls.MAX_ITEM_BYTES // MIB} MiB with its key"),
    ("how-to/rate-limiting.md", "half a second at most" if breaker.MAX_BACKOFF == 0.5 else "?"),
    ("explanation/cost.md", f"| {ON_DEMAND.operations_per_second} a second |"),
]


@pytest.mark.parametrize(("page", "sentence"), SENTENCES)
def test_a_figure_in_a_sentence_is_the_codes(page: str, sentence: str) -> None:
    """Prose has figures where readers need them, and they are these."""
    assert " ".join(sentence.split()) in " ".join(PAGES[f"docs/{page}"].read_text().split())


def test_figures_in_words_are_the_codes() -> None:
    """Written out, where a sentence reads better so."""
    assert (breaker.FAILURE_THRESHOLD, rotation.INITIAL_BACKOFF, rotation.LOOK_EVERY, PROBE_TIMEOUT) == (
        20,
        1,
        1,
        1,
    )
    assert channel.MAX_IDLE == 4 * 60
    unreachable = secrets_manager.ATTEMPTS * secrets_manager.CONNECT_TIMEOUT + 1 + 2
    assert (boundary.FETCH_TIMEOUT, unreachable) == (15, 9)


# How each method is called where the key exists, and once where it does not.
METHODS: dict[str, Callable[[MomentoCache], object]] = {
    "get": lambda cache: cache.get("stored"),
    "set": lambda cache: cache.set("new", 1),
    "add": lambda cache: cache.add("new", 1),
    "touch": lambda cache: cache.touch("stored"),
    "delete": lambda cache: cache.delete("stored"),
    "has_key": lambda cache: cache.has_key("stored"),
    "incr": lambda cache: cache.incr("stored"),
    "decr": lambda cache: cache.decr("stored"),
    "get_many": lambda cache: cache.get_many(["stored", "new"]),
    "set_many": lambda cache: cache.set_many({"new": 1, "newer": 2}),
    "delete_many": lambda cache: cache.delete_many(["stored"]),
    "get_or_set": lambda cache: cache.get_or_set("new", 1),
    "incr_version": lambda cache: cache.incr_version("stored"),
    "decr_version": lambda cache: cache.decr_version("stored"),
    "ttl": lambda cache: cache.ttl("stored"),
    "expire": lambda cache: cache.expire("stored", 60),
    "rate_limit": lambda cache: cache.rate_limit("new", 5, 60),
    "run_once": lambda cache: cache.run_once("new", 60),
    "invalidate_tags": lambda cache: cache.invalidate_tags("tag"),
    "delete_on_commit": lambda cache: cache.delete_on_commit("stored"),
    "clear": lambda cache: cache.clear(),
    "close": lambda cache: cache.close(),
}


def test_every_method_sends_the_calls_in_its_row(apply: Apply, momento: LocalServer) -> None:
    """Counted by the server, for sync and for async."""
    rows = {re.sub("`", "", method): calls for method, calls, _ in table("reference/methods.md", "method")}
    assert {name for name in vars(MomentoCache) if f"a{name}" in vars(MomentoCache)} <= METHODS.keys()
    assert METHODS.keys() == rows.keys()
    for method, row in rows.items():
        expected = dict.fromkeys(row.split(", "), 1) if row != "none" else {}
        assert expected == calls_of(METHODS[method], momento), method
        assert expected == calls_of(Async(method), momento), f"a{method}"


class Async:
    """Calls the async twin as METHODS calls the method."""

    def __init__(self, method: str) -> None:
        self._method = method

    def __call__(self, cache: MomentoCache) -> object:
        class Twins:
            def __getattr__(self, name: str) -> Callable[..., object]:
                return lambda *arguments: asyncio.run(getattr(cache, f"a{name}")(*arguments))

        return METHODS[self._method](Twins())  # type: ignore[arg-type]  # stands in for a cache


def calls_of(method: Callable[[MomentoCache], object], momento: LocalServer) -> dict[str, int]:
    cache.clear()
    cache.set("stored", 1)
    momento.reset_calls()
    method(cache)  # type: ignore[arg-type]  # a proxy of it
    return dict(momento.calls)


TEN_KEYS = [f"{number}" for number in range(10)]

# The methods of each row of the table of costs, with a value to store. The keys ``hit`` and 0 to 9 have it.
COSTS: dict[str, list[Callable[[Any, str], object]]] = {
    "get, a hit": [lambda cache, value: cache.get("hit")],
    "get, a miss": [lambda cache, value: cache.get("miss")],
    "set, add": [lambda cache, value: cache.set("new", value), lambda cache, value: cache.add("new", value)],
    "touch, expire, has_key, ttl": [
        lambda cache, value: cache.touch("hit"),
        lambda cache, value: cache.expire("hit", 60),
        lambda cache, value: cache.has_key("hit"),
        lambda cache, value: cache.ttl("hit"),
    ],
    "delete": [lambda cache, value: cache.delete("hit"), lambda cache, value: cache.delete("miss")],
    "incr, decr": [lambda cache, value: cache.incr("number"), lambda cache, value: cache.decr("number")],
    "get_or_set, a hit": [lambda cache, value: cache.get_or_set("hit", value)],
    "get_or_set, a miss": [lambda cache, value: cache.get_or_set("miss", value)],
    "get_many of ten keys": [lambda cache, value: cache.get_many(TEN_KEYS)],
    "set_many of ten keys": [lambda cache, value: cache.set_many(dict.fromkeys(TEN_KEYS, value))],
    "delete_many of ten keys": [lambda cache, value: cache.delete_many(TEN_KEYS)],
    "incr_version": [lambda cache, value: cache.incr_version("hit")],
    "rate_limit": [lambda cache, value: cache.rate_limit("limit", 5, 60)],
    "run_once, and each attempt to acquire a lock": [
        lambda cache, value: cache.run_once("job", 60),
        lambda cache, value: cache.lock("lock", 60).acquire(),
    ],
    "invalidate_tags of one tag": [lambda cache, value: cache.invalidate_tags("shop")],
}


def test_the_table_of_costs_agrees_with_the_count_of_the_server(momento: LocalServer, apply: Apply) -> None:
    """For a small and a large value, by the rule that --on-demand applies to the messages on the wire."""
    apply({"CACHES": settings.CACHES})
    written = runpy.run_path(str(ROOT / "docs/_ext/code_reference.py"))
    rows = {name.replace("`", ""): verbs for name, verbs in written["COSTS"]}
    assert rows.keys() == COSTS.keys()
    surprises = []
    for size in (written["SMALL"], written["LARGE"]):
        # The serializer and the signature need the rest.
        value = "x" * (size - 200)
        for name, methods in COSTS.items():
            expected = sum(written["cost"](verb, bytes(size)) for verb in rows[name](bytes(size)))
            for method in methods:
                cache.clear()
                cache.set_many({**dict.fromkeys([*TEN_KEYS, "hit"], value), "number": 1})
                momento.reset_calls()
                method(cache, value)
                if (counted := sum(momento.operations.values())) != expected:
                    surprises.append((name, size, expected, counted))
    assert surprises == []


# The result of each method with IGNORE_EXCEPTIONS, by the words of the table.
NEUTRAL: dict[str, Callable[[Any], bool]] = {
    "the default": lambda result: result == "the default",
    "`{}`": lambda result: result == {},
    "the default that you gave, computed": lambda result: result == 1,
    "`False`": lambda result: result is False,
    "`None`, as always": lambda result: result is None,
    "allowed, unless `on_outage` says otherwise": lambda result: result.allowed and not result.is_counted,
    "`None`, as for a missing key": lambda result: result is None,
    "all of its keys: none was stored": lambda result: result == ["new", "newer"],
    "raise `ValueError`, as for a missing key": lambda result: isinstance(result, ValueError),
}


def test_every_method_returns_the_result_in_its_row_when_open(apply: Apply, momento: LocalServer) -> None:
    """With the server down, for sync and for async."""
    config = settings.CACHES["default"]
    config["OPTIONS"]["IGNORE_EXCEPTIONS"] = True
    apply({"CACHES": {"default": config}})
    momento.stop()
    calls = METHODS | {"get": lambda cache: cache.get("stored", "the default")}
    checked = set()
    for methods, words in table("how-to/fail-open.md", "method"):
        for method in re.findall("`(.*?)`", methods):
            assert NEUTRAL[words](result_of(calls[method])), method
            checked.add(method)
    assert METHODS.keys() - {"close"} == checked


def result_of(method: Callable[[Any], object]) -> object:
    try:
        return method(cache)
    except ValueError as error:
        return error


def test_timeouts_are_the_configurations() -> None:
    """The table has every configuration, and the deadline that the SDK's preset has."""
    rows = {
        name.strip("`"): float(seconds) for name, seconds in table("reference/figures.md", "`CONFIGURATION`")
    }
    presets = set(re.findall(r"'([\w-]+)'", OPTIONS["CONFIGURATION"].type.allowed)) - {"auto"}
    assert presets == rows.keys()
    for name, seconds in rows.items():
        configured = configuration(ConnectionOptions("local", configuration=name))
        deadline = configured.get_transport_strategy().get_grpc_configuration().get_deadline()
        assert seconds == deadline.total_seconds()


def test_the_admin_commands_are_all_there() -> None:
    """In the reference, each path has a row."""
    documented = {
        path for cell, _ in table("reference/commands.md", "path") for path in re.findall("`(/.*?)`", cell)
    }
    assert {*Admin(None, None).actions} == documented  # type: ignore[arg-type]  # only its names are read


def test_every_credential_source_has_a_place_to_be_chosen() -> None:
    """A source that no reader is told of is of no use."""
    text = "".join(row[1] for row in table("how-to/choose-a-credential-source.md", "you run on"))
    assert [] == [source for source in CREDENTIAL_SOURCES if f"`{source}`" not in text]


def test_every_option_that_a_page_names_exists() -> None:
    """Options are referred to by their name in the reference."""
    named = {name for path in PAGES.values() for name in re.findall(r"\{confval\}`(\w+)`", path.read_text())}
    assert named <= OPTIONS.keys()
    assert named


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeout=none", {"TIMEOUT": None}),
        ("timeout=1h30m", {"TIMEOUT": 5400}),
        ("Timeout=10m&key_prefix=a%2Bb", {"TIMEOUT": 600, "KEY_PREFIX": "a+b"}),
        ("max_ttl=2d", {"OPTIONS": {"MAX_TTL": 172800}}),
        ("compress_min_length=64k", {"OPTIONS": {"COMPRESS_MIN_LENGTH": 65536}}),
        ("ignore_exceptions=yes&sign=off", {"OPTIONS": {"IGNORE_EXCEPTIONS": True, "SIGN": False}}),
    ],
)
def test_a_url_may_be_written_as_the_page_says(text: str, expected: dict[str, object]) -> None:
    """Names in any case, times and sizes with units, switches in words."""
    config = Env.cache_url_config(f"momento://my-cache?{text}")
    assert expected == {name: config[name] for name in expected}


@pytest.mark.usefixtures("apply")
def test_a_figure_that_is_documented_is_one_that_stats_returns() -> None:
    """Of the cache, and of its calls."""
    figures = stats("default")
    assert figures.keys() == Stats.__annotations__.keys()
    assert figures["totals"].keys() == Calls.__annotations__.keys()


@pytest.mark.usefixtures("apply")
def test_a_metric_that_is_documented_is_one_that_is_scraped() -> None:
    """By name and labels, and there is no other."""
    cache.get("page:1")
    events.events.record("default", "unreadable_values")
    samples = [sample for metric in MomentoCollector().collect() for sample in metric.samples]
    scraped = {(sample.name, *sorted(sample.labels)) for sample in samples if sample.name.endswith("_total")}
    expected = {(f"momento_cache_{name}_total", "alias", "verb") for name in COUNTERS}
    expected |= {(f"momento_cache_group_{name}_total", "alias", "key_group") for name in COUNTERS}
    expected.add(("momento_cache_events_total", "alias", "event"))
    assert scraped - {("momento_cache_errors_total", "alias", "error", "verb")} == expected


def test_the_attributes_of_a_span_are_those_of_the_table(exporter: InMemorySpanExporter) -> None:
    """Of a batch that failed, which has all of them."""
    opentelemetry.observe(events.CallEvent("default", "get_many", "page", keys=2, error="CallTimedOut"))
    (span,) = exporter.get_finished_spans()
    documented = [name.strip("`") for name, _ in table("reference/monitoring.md", "span attribute")]
    assert sorted(documented) == sorted(span.attributes or {})


def test_a_throttle_of_a_thousand_an_hour_has_the_size_that_is_said() -> None:
    """Nine KiB begun, with key and signature."""
    value = len(pickle.dumps([1234567890.123456 + it for it in range(1000)])) + 17 + 60
    assert -(-value // 1024) == 9
    assert "about 9 KB, which is nine operations" in PAGES["docs/how-to/rate-limiting.md"].read_text()
