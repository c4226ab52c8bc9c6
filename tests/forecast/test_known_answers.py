"""Traces whose forecast is known: by a formula, by a model of a few lines, or by counting on fingers."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_momento.traces.format import Event
from tests.kit.tables import table
from tests.kit.traces import event, forecast_of, write_sample, write_trace

HOUR = 3600.0
NO_CONSTRAINT = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def what_if(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the row of a change."""
    return next(row for row in found["what_ifs"] if row["name"] == name)


def test_the_hit_rate_of_zipf_keys_is_that_of_the_formula(tmp_path: Path) -> None:
    """A cache that keeps nothing. With a TTL of T, a key read n times a second hits nT / (1 + nT)."""
    keys, rate, seconds, draw = 300, 40, 3000, random.Random(7)
    weights = [1 / rank for rank in range(1, keys + 1)]
    ttls = [5 + 13 * (key % 5) for key in range(keys)]
    cumulated = list(accumulate(weights))
    events, now = [], 0.0
    while now < seconds:
        now += draw.expovariate(rate)
        (key,) = draw.choices(range(keys), cum_weights=cumulated)
        events.append(event(now, "get", key, hit=0))
        events.append(event(now, "set", key, value_bytes=500, timeout=ttls[key]))

    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))["baseline"]

    rates = [rate * weight / cumulated[-1] for weight in weights]
    expected = sum(r * (r * ttl) / (1 + r * ttl) for r, ttl in zip(rates, ttls, strict=True)) / rate
    assert found["hit_rate"] == pytest.approx(expected, abs=0.01)
    # Each read is an operation, and each miss one more for the write.
    assert found["operations"] == found["reads"] + (found["reads"] - found["hits"])


VERBS = st.sampled_from(["get", "set", "add", "delete", "has_key", "touch", "incr"])
STEPS = st.lists(st.tuples(st.integers(1, 40), VERBS, st.integers(0, 3), st.integers(1, 60)), max_size=80)
SIZE = 3000


def model(steps: list[tuple[int, str, int, int]]) -> tuple[list[Event], int, int]:
    """Return a trace of a cache that keeps each item for its timeout, its hits, and Momento's operations."""
    events, ends, now, hits, operations = [], dict[int, int](), 0, 0, 0
    for pause, verb, key, timeout in steps:
        now += pause
        found = ends.get(key, 0) > now
        fields: dict[str, Any] = {"hit": int(found), "timeout": None}
        if verb == "get":
            hits += found
            operations += 3 if found else 1
        elif verb == "set" or (verb == "add" and not found):
            fields = {"hit": None if verb == "set" else 0, "timeout": timeout, "value_bytes": SIZE}
            ends[key] = now + timeout
            operations += 3
        elif verb == "add":
            fields = {"hit": 1, "timeout": timeout, "value_bytes": SIZE}
            operations += 3
        elif verb == "delete":
            ends.pop(key, None)
            operations += 2
        elif verb == "touch":
            fields["timeout"] = timeout
            if found:
                ends[key] = now + timeout
            operations += 1
        else:
            operations += 2 if verb == "incr" and found else 1
        events.append(event(now, verb, key, **fields))
    return events, hits, operations


@NO_CONSTRAINT
@given(steps=STEPS)
def test_a_cache_that_keeps_its_timeouts_has_the_same_hits_at_momento(
    steps: list[tuple[int, str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    events, hits, operations = model([(1, "get", 0, 1), *steps])
    found = forecast_of(write_trace(tmp_path_factory.mktemp("model") / "t.jsonl", events))
    assert found["baseline"]["hits"] == hits
    assert found["baseline"]["operations"] == operations
    assert found["keys"] == len(events)


def test_a_timeout_of_more_than_24_hours_is_cut_and_costs_a_miss(tmp_path: Path) -> None:
    """One key with a timeout of 48 hours, read each hour: one miss after 24 hours, and a write for it."""
    events = [event(0, "set", value_bytes=100, timeout=48 * HOUR)]
    events += [event(hour * HOUR, "get", hit=1) for hour in range(1, 47)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))
    base, longer = found["baseline"], what_if(found, "longer timeouts")
    assert (base["reads"], base["hits"], base["operations"]) == (46, 45, 1 + 46 + 1)
    assert (longer["hits"], longer["operations"]) == (46, 1 + 46)
    assert found["cut"] == 2
    assert "cut" in found["groups"][0]


def test_a_value_over_5_mib_is_never_there(tmp_path: Path) -> None:
    """Each read is a miss, and each write is a delete of one operation."""
    large = 5 * 1024 * 1024
    events = [event(0, "set", value_bytes=large, timeout=60), event(1, "get", hit=1), event(2, "get", hit=1)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))
    assert found["baseline"]["hits"] == 0
    assert found["baseline"]["operations"] == 1 + 2 + 2
    assert found["too_large"] == 3
    assert found["groups"][0]["too_large"] == 3


def test_items_beyond_the_storage_are_evicted_oldest_use_first(tmp_path: Path) -> None:
    """Room for two items of three: the one that was read stays, the others take turns."""
    events = [event(key, "set", key, value_bytes=1000, timeout=600) for key in (1, 2)]
    events += [event(3, "get", 1, hit=1), event(4, "set", 3, value_bytes=1000, timeout=600)]
    events += [event(5, "get", 1, hit=1), event(6, "get", 2, hit=1)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events), storage=2200)
    assert (found["baseline"]["reads"], found["baseline"]["hits"]) == (3, 2)
    assert found["peak_bytes"] == 2 * 1010


def test_a_key_that_was_there_before_the_trace_is_there_at_momento(tmp_path: Path) -> None:
    """Its end is not known, so that the trace decides: a hit, a hit, a miss, and the write after it."""
    events = [event(1, "get", value_bytes=2500, hit=1), event(60, "get", hit=1), event(120, "get", hit=0)]
    events += [event(120, "set", value_bytes=2500, timeout=60)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))["baseline"]
    assert (found["hits"], found["operations"]) == (2, 3 + 3 + 1 + 3)


def test_a_near_cache_saves_the_reads_of_the_same_process(tmp_path: Path) -> None:
    """Two processes read a key each second. Each asks Momento once in 5 seconds, and sees a change late."""
    first = [event(0, "set", value_bytes=2000, compressed_bytes=500, timeout=600)]
    first += [event(second, "get", hit=1) for second in range(1, 20)]
    second = [event(10.5, "set", value_bytes=2000, compressed_bytes=500, timeout=600)]
    traces = [
        write_trace(tmp_path / "a-1.jsonl", first, process="1"),
        write_trace(tmp_path / "b-1.jsonl", second, process="2"),
    ]
    found = forecast_of(*traces, near=5)
    near = what_if(found, "near cache")
    # Read at 5, 10 and 15, and from memory at all other times.
    assert found["baseline"]["operations"] - near["operations"] == 16 * 2
    both, compression = (what_if(found, name) for name in ("compression and near cache", "compression"))
    assert compression["operations"] - both["operations"] == 16
    assert near["note"].startswith("16 reads come from memory. 4 of them get a value")
    assert found["trace"]["processes"] == 2


def test_stale_values_serve_the_reads_after_the_end(tmp_path: Path) -> None:
    """A read within 60 seconds after the end is a hit. A later one is not, and none after a delete."""
    events = []
    for second in (0, 100, 300):
        events += [event(second, "get", hit=0), event(second + 1, "set", value_bytes=100, timeout=50)]
    events += [event(302, "delete", hit=1), event(303, "get", hit=0)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events), stale=60)
    assert found["baseline"]["hits"] == 0
    assert what_if(found, "stale values")["hits"] == 1


def test_compression_takes_the_measured_sizes_and_those_of_the_group(tmp_path: Path) -> None:
    """4,000 bytes become 1,000, measured once: the second value of the group shrinks as the first."""
    events = [event(0, "set", 1, value_bytes=4000, compressed_bytes=1000, timeout=60)]
    events += [
        event(1, "set", 2, value_bytes=8000, timeout=60),
        event(2, "set", 3, value_bytes=900, timeout=60),
    ]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))
    assert found["baseline"]["operations"] == 4 + 8 + 1
    assert what_if(found, "compression")["operations"] == 1 + 2 + 1


def test_gets_in_a_row_could_be_one_call(tmp_path: Path) -> None:
    """Three gets within milliseconds are one get_many. A pause or another verb ends the row."""
    events = [event(number / 1000, "get", number, hit=0) for number in (0, 2, 4)]
    events += [event(1, "get", 5, hit=0), event(1.001, "delete", 5), event(1.002, "get", 5, hit=0)]
    events += [event(2, "get_many", 6, hit=0, batch=2), event(2, "get_many", 7, hit=0, batch=2)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", events))
    assert found["calls"] == 7
    assert what_if(found, "batching")["note"].startswith("5 calls instead of 7,")


def test_load_and_minutes_over_the_limit_are_those_of_the_seconds(tmp_path: Path) -> None:
    """Three minutes: 150 operations in one second of the second minute, and one a second otherwise."""
    events = [event(second, "get", 1, hit=0) for second in range(180)]
    events += [event(90, "get", number, hit=0) for number in range(149)]
    found = forecast_of(write_trace(tmp_path / "t.jsonl", sorted(events)))
    assert found["baseline"]["per_second"] == {"p50": 1, "p99": 1, "max": 150}
    assert (found["baseline"]["minutes_over"], found["minutes"]) == (1, 3)
    assert found["baseline"]["over_limit"] == 50
    assert forecast_of(tmp_path / "t.jsonl", limit=150.0)["baseline"]["minutes_over"] == 0


def test_costs_are_those_of_730_hours_by_the_given_prices(tmp_path: Path) -> None:
    """A read of 2 KiB each second of an hour: units and operations alike, and storage of at least 0.1 GB."""
    events = [event(0, "set", value_bytes=2000, timeout=None)]
    events += [event(second, "get", hit=1) for second in range(1, 3601)]
    trace = write_trace(tmp_path / "t.jsonl", events)
    found = forecast_of(trace, price_per_million=2.0, ecpu_price_per_million=1.0, gb_hour_price=0.1)
    operations = 3601 * 2 * 730
    assert found["baseline"]["cost"] == pytest.approx(operations / 1e6 * 2)
    assert found["groups"][0]["cost"] == pytest.approx(operations / 1e6 * 2)
    assert found["elasticache"]["cost"] == pytest.approx(operations / 1e6 + 0.1 * 0.1 * 730)
    assert forecast_of(trace)["elasticache"]["cost"] is None


def zipf_traffic(seed: int, losses: float) -> list[Event]:
    """Return traffic of keys with Zipf's weights, whose cache loses a share of its items early."""
    draw = random.Random(seed)
    hashes = [draw.getrandbits(64) for _ in range(3000)]
    weights = list(accumulate(1 / rank for rank in range(1, 3001)))
    ends: dict[int, float] = {}
    events = []
    for number in range(15_000):
        now = number / 10
        (key,) = draw.choices(hashes, cum_weights=weights)
        hit = ends.get(key, 0) > now and draw.random() > losses
        events.append(event(now, "get", key, hit=int(hit)))
        if not hit:
            ends[key] = now + 200
            events.append(event(now + 0.05, "set", key, value_bytes=key % 5000, timeout=200))
    return events


@table("losses", [0.0, 0.1], afresh=True)
@table("seed", range(3), afresh=True)
def test_a_tenth_of_the_keys_is_enough(tmp_path: Path, seed: int, losses: float) -> None:
    """The hit rate is within 1 % of that of all keys, and both figures are within their error bars."""
    events = zipf_traffic(seed, losses)
    everything = forecast_of(write_trace(tmp_path / "all.jsonl", events))
    sample = forecast_of(write_sample(tmp_path / "part.jsonl", events, 0.1))

    for name in ("keys", "calls"):
        assert sample[name] == pytest.approx(everything[name])
    assert sample["trace"]["recorded_hit_rate"] == everything["trace"]["recorded_hit_rate"]
    rate = everything["baseline"]["hit_rate"] - sample["baseline"]["hit_rate"]
    operations = everything["baseline"]["operations"] - sample["baseline"]["operations"]
    assert everything["hit_rate_error"] == everything["operations_error"] == 0
    # Twice the error, because one interval of 95 % in twenty is missed.
    assert abs(rate) <= max(0.01, 2 * sample["hit_rate_error"])
    assert abs(operations) <= 2 * sample["operations_error"] < everything["baseline"]["operations"] / 2
    mean = everything["baseline"]["per_second"]["p50"]
    assert sample["baseline"]["per_second"]["p50"] == pytest.approx(mean, rel=0.5)


def test_a_sample_without_counts_of_the_other_keys_stands_for_all_keys(tmp_path: Path) -> None:
    """Of 4,000 keys with different hit rates and sizes, a tenth is in the trace, and no more."""
    draw = random.Random(5)
    events = []
    for key in [draw.getrandbits(64) for _ in range(4000)]:
        share, size = draw.random(), draw.randrange(100, 5000)
        events += [
            event(draw.uniform(0, 7000), "get", key, value_bytes=size, hit=int(draw.random() < share))
            for _ in range(draw.randrange(1, 9))
        ]
    events.sort()
    everything = forecast_of(write_trace(tmp_path / "all.jsonl", events))
    part = [each for each in events if int(each.key, 16) < 2**64 // 10]
    sample = forecast_of(write_trace(tmp_path / "part.jsonl", part, sample=0.1))

    rate = everything["baseline"]["hit_rate"] - sample["baseline"]["hit_rate"]
    operations = everything["baseline"]["operations"] - sample["baseline"]["operations"]
    assert abs(rate) < 2 * sample["hit_rate_error"] < 0.2
    assert abs(operations) < 2 * sample["operations_error"] < everything["baseline"]["operations"]


@table("later", [25 * HOUR, 390 * 24 * HOUR], afresh=True)
def test_a_pause_of_more_than_a_day_stretches_no_rate(tmp_path: Path, later: float) -> None:
    """A clock was set, or two days were recorded: rates are those of the seconds with a recording."""
    before = [event(second, "get", hit=1) for second in range(100)]
    after = [event(later + second, "get", hit=1) for second in range(100)]

    found = forecast_of(write_trace(tmp_path / "t.jsonl", before + after))

    assert found["trace"]["seconds"] + found["trace"]["paused_seconds"] == later + 99
    assert found["mean_per_second"] == pytest.approx(1, abs=0.1)
    assert found["minutes"] == 4
