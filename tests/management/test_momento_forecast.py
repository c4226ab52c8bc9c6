"""``manage.py momento_forecast``: its text, its verdicts, and its errors."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command

from django_momento.traces.format import Event
from tests.kit.processes import ROOT
from tests.kit.tables import table
from tests.kit.traces import event, forecast_of, recording, write_trace

HOUR = 3600


def run(*arguments: str, **options: Any) -> str:
    """Run the command and return its output."""
    out = io.StringIO()
    call_command("momento_forecast", *arguments, stdout=out, **options)
    return out.getvalue()


def traffic(hours: float = 2, each: float = 1, hit: int = 1, **fields: Any) -> list[Event]:
    """Return the events of a key that is read each second and written first."""
    write = {"value_bytes": 500, "timeout": 86400.0, **fields}
    events = [event(0, "set", **write)]
    events += [event(1 + number * each, "get", hit=hit) for number in range(round(hours * HOUR / each))]
    return events


def test_the_text_has_every_figure(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", many_keys(losses=10_000), sample=0.5)
    found = run(str(trace), price_per_million=0.5)
    for line in (
        "Trace of 1.0 hours from 2025-11-24 16:00 UTC: 7,400 events of 1 process in 1 file, 50.0 % of the",
        "hit rate                   100.0 % (the recorded cache: 100.0 %)",
        "a second        mean 4.0, p50 4, p99 8, max 8",
        "over 100 a second          0 of 61 minutes, 0 operations",
        "COMPRESSOR = zlib",
        "Switch: the traffic fits as it is.",
    ):
        assert line in found


def many_keys(losses: int) -> list[Event]:
    """Return the traffic of 200 keys for an hour, of whose reads one in so many is a miss."""
    stored = {"value_bytes": 500, "timeout": 86400.0}
    events = [event(number / 4, "set", number, **stored) for number in range(200)]
    for number in range(7200):
        hit = int((number + 1) % losses > 0)
        events.append(event(60 + number / 2, "get", number % 200, hit=hit))
        if not hit:
            events.append(event(60.1 + number / 2, "set", number % 200, **stored))
    return events


def verdict_of(path: Path, events: list[Event], **options: Any) -> tuple[str, str]:
    """Return the decision and the first reason."""
    found = forecast_of(write_trace(path / "t.jsonl", events), **options)["verdict"]
    return found["decision"], found["reasons"][0]


PRICES = {"price_per_million": 1.0, "ecpu_price_per_million": 0.1, "gb_hour_price": 0.001}


@table(
    ("events", "options", "decision", "reason"),
    [
        (traffic(), {}, "switch", "100.0 % of the reads find a value."),
        (traffic(0.1), {}, "record more", "The trace covers only 6.0 minutes."),
        (traffic(each=20), {}, "record more", "The trace has only 360 reads."),
        (traffic(hit=0)[1:], {}, "do not switch", "Only 0.0 % of the reads find a value."),
        (traffic(), PRICES, "do not switch", "A month costs 2.63 at Momento and 0.34"),
        (traffic(), {"limit": 0.5}, "do not switch", "121 minutes of 121 exceed the limit of 0.5 operations"),
        (
            traffic(value_bytes=150_000, compressed_bytes=50_000),
            {},
            "switch with changes",
            "This change keeps the traffic under the limit: COMPRESSOR = zlib",
        ),
        (traffic(value_bytes=6_000_000, timeout=60), {"limit": 1e6}, "do not switch", "Only 0.0 %"),
    ],
    afresh=True,
)
def test_the_verdict_follows_from_the_figures(
    tmp_path: Path, events: list[Event], options: dict[str, Any], decision: str, reason: str
) -> None:
    found = verdict_of(tmp_path, events, **options)
    assert found[0] == decision
    assert reason in found[1]


def test_a_cache_that_lost_items_early_is_a_reason_to_look_twice(tmp_path: Path) -> None:
    found = forecast_of(write_trace(tmp_path / "t.jsonl", many_keys(losses=5)))
    assert found["baseline"]["hit_rate"] == 1
    assert found["verdict"]["decision"] == "switch"
    assert "The recorded cache found only 80.0 %: it lost items" in found["verdict"]["reasons"][1]


def test_a_sample_of_few_keys_decides_nothing(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", traffic(), sample=0.5)
    found = forecast_of(trace)["verdict"]
    assert found["decision"] == "record more"
    assert found["reasons"][0] == "The sample has only 1 key. Record with a larger SAMPLE."


def test_timeouts_that_are_cut_speak_against_it_if_they_matter(tmp_path: Path) -> None:
    """Twenty keys of a week, each read every 25 hours: the cut makes every read a miss."""
    week = 7 * 24 * HOUR
    events = [event(key, "set", key, value_bytes=100, timeout=week) for key in range(20)]
    events += [event(day * 25 * HOUR + key, "get", key, hit=1) for day in range(1, 6) for key in range(20)]
    events += [event(number, "get", 99, hit=1) for number in range(1200)]
    decision, reason = verdict_of(tmp_path, sorted(events))
    assert decision == "do not switch"
    assert "This costs 7.7 points of the hit rate." in reason


@table(
    ("arguments", "text"),
    [
        (["nothing.jsonl"], "There is no trace nothing.jsonl. Give the files of a trace, their folder,"),
        (["{empty}"], "The trace has no event in it. Record some traffic first, and check SAMPLE."),
        (["{trace}", "--limit", "0"], "'0' is not a number greater than 0."),
        (["{trace}", "--near", "nan"], "'nan' is not a number greater than 0."),
        (["{trace}", "--price-per-million", "-1"], "'-1' is not a price."),
        (["{trace}", "--price-per-million", "5$"], "Give a number of at least 0, without a currency."),
        (["{trace}", "--storage", "much"], "'much' is not a size greater than 0"),
        (["{trace}", "--gb-hour-price", "1"], "Give both --ecpu-price-per-million and --gb-hour-price."),
        (["{trace}", "--html", "/no/such/folder/page.html"], "cannot be written (No such file or directory)"),
    ],
    afresh=True,
)
def test_a_wrong_argument_is_an_error_that_says_what_to_do(
    tmp_path: Path, arguments: list[str], text: str
) -> None:
    names = {
        "trace": write_trace(tmp_path / "t.jsonl", traffic(0.1)),
        "empty": write_trace(tmp_path / "empty.jsonl", []),
    }
    with pytest.raises(CommandError) as raised:
        run(*(each.format(**names) for each in arguments))
    assert text in str(raised.value)


def test_a_reader_that_leaves_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", traffic(0.1))
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "django", "momento_forecast", str(trace)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_calls_that_this_process_has_just_recorded_are_in_the_forecast(settings: Any, tmp_path: Path) -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"memory": memory, "default": recording("memory", tmp_path / "t.jsonl.zst")}
    caches["default"].set("k", 1)
    assert forecast_of(tmp_path / "t.jsonl.zst")["keys"] == 1


def test_skipped_and_lost_lines_are_said(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "t.jsonl", traffic(0.1))
    trace.write_text(trace.read_text() + '{"lost": 3}\n[176400000')
    found = run(str(trace))
    assert "Skipped 1 line that is no event, or is cut short as by a killed process." in found
    assert "The recorder lost 3 events. The figures are too low by these." in found
