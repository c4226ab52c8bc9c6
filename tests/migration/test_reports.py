"""The reports of the processes, the verdict on them, and the command that shows both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from math import nan
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command

from django_momento.migration import reports, state
from django_momento.migration.figures import WINDOW
from django_momento.migration.state import NEW, OLD
from tests.kit.clock import Clock
from tests.kit.processes import ROOT
from tests.migration.backends import Interrupted, New

BACKENDS = "tests.migration.backends"
# The time of maintenance and of reports, which goes on when a test says so.
clock = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(state, "monotonic", clock)


@pytest.fixture(autouse=True)
def _fewer_calls(monkeypatch):
    monkeypatch.setattr("django_momento.migration.verdict.MIN_COMPARED", 100)


@pytest.fixture
def cache(make_dual):
    return make_dual()


def report(cache: Any) -> None:
    """Let this process write its report now, as it does every few seconds."""
    assert cache.migration  # so that its time has begun
    clock.advance(reports.PAUSE)
    cache.get("any")


def ask(**options: Any) -> tuple[dict[str, Any], int]:
    """Return what the command prints as JSON, and its exit status."""
    output = StringIO()
    status = 0
    try:
        call_command("momento_migration", json=True, stdout=output, **options)
    except SystemExit as end:
        status = int(str(end.code))
    return json.loads(output.getvalue()), status


def fill(cache: Any, reads: int = 120) -> None:
    cache.set_many({f"key{n}": f"value{n}" for n in range(100)})
    for n in range(reads):
        cache.get(f"key{n % 100}")
    report(cache)


def test_shadow_is_safe_to_leave_when_enough_values_were_compared_and_are_equal(cache):
    fill(cache)
    verdict, status = ask()

    assert (0, True, "shadow", "dual", []) == (
        status,
        *(verdict[name] for name in ("safe", "phase", "next", "reasons")),
    )
    figures = verdict["figures"]
    assert (120, 0, 1.0) == (figures["compared"], figures["different"], figures["share_of_new"])
    assert figures["operations"] >= 120
    for side in (OLD, NEW):
        for kind in ("reads", "writes"):
            assert 0 < figures["latency"][side][kind]["p50"] <= figures["latency"][side][kind]["p99"]


def test_dual_is_safe_to_leave_when_new_serves(cache, phases):
    caches["old"].set("only-in-old", "value")
    phases.switch("dual")
    fill(cache)
    cache.get("only-in-old")
    report(cache)
    verdict, status = ask()

    assert (0, "done") == (status, verdict["next"])
    assert 1 == verdict["figures"]["copied"]
    assert "Counters and locks are in OLD alone. In 'done' they begin anew." in verdict["notes"]


def spoil_few(cache: Any) -> None:
    cache.set("key", "value")
    cache.get("key")
    report(cache)


def spoil_difference(cache: Any) -> None:
    cache.set_many({"key": "value", "key1": "1"})
    caches["new"].set("key", "other")
    cache.get("key")
    fill(cache)


def spoil_missing(cache: Any) -> None:
    caches["old"].set_many({f"old{n}": "value" for n in range(10)})
    for n in range(10):
        cache.get(f"old{n}")
    fill(cache)


def spoil_refused(cache: Any) -> None:
    caches["new"].clear()
    with suppress(ValueError):
        cache.set("key", "value", timeout=nan)
    fill(cache)


def spoil_silence(cache: Any) -> None:
    """Make no call."""


def spoil_unsettled(cache: Any) -> None:
    cache.migration.ledger.mark(NEW, [("key", 1)])
    fill(cache)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_few, "There were 1 compared reads in the last minutes. A verdict needs 100."),
        (spoil_difference, "1 of 121 compared values differ"),
        (spoil_missing, "NEW has 92.3% of the values of OLD, and 95% are needed"),
        (spoil_refused, "NEW has refused 1 values that OLD takes"),
        (spoil_silence, "No process has reported in the last hour"),
        (spoil_unsettled, "1 keys may have an outdated value in NEW"),
    ],
)
def test_each_reason_not_to_go_on_is_named(cache, spoil, reason):
    spoil(cache)
    verdict, status = ask()

    assert (1, False) == (status, verdict["safe"])
    assert reason in " ".join(verdict["reasons"])


def test_a_side_that_cannot_be_reached_is_named(make_dual, phases, tmp_path):
    cache = make_dual(
        {"BACKEND": f"{BACKENDS}.Interrupted", "LOCATION": f"{tmp_path}-old"},
        {"BACKEND": f"{BACKENDS}.New", "LOCATION": f"{tmp_path}-new"},
    )
    phases.switch("dual")
    fill(cache)
    Interrupted.is_out = True
    try:
        for _ in range(5):
            cache.delete("key")
        report(cache)
        verdict, status = ask()
    finally:
        Interrupted.is_out = New.is_out = False

    assert 1 == status
    assert {
        "OLD cannot be reached by some processes.",
        "OLD cannot be read: ConnectionError: no server for get",
    } <= {*verdict["reasons"]}


def test_a_process_that_has_not_seen_the_phase_is_waited_for(cache, phases):
    fill(cache)
    phases.switch("dual")
    verdict, _ = ask()

    assert "1 of 1 processes have not reported the phase 'dual' yet" in verdict["reasons"][0]


def test_an_old_cache_that_is_out_of_date_since_done_is_named(cache, phases):
    caches["old"].set("django_momento.migration:default:left", "done")
    phases.switch("dual")
    verdict, status = ask()

    assert 1 == status
    assert "OLD is out of date since 'done', and NEW serves alone. Empty OLD" in verdict["reasons"][0]


def test_done_has_nothing_to_wait_for(cache, phases):
    phases.switch("done")
    verdict, status = ask()

    assert (0, None, True) == (status, verdict["next"], verdict["safe"])


OTHER = """
import django
django.setup()
from django.conf import settings
settings.CACHES = {caches!r}
from django.core.cache import cache
from django_momento.migration import reports, state
cache.set("key", "value")
monotonic = state.monotonic
state.monotonic = lambda: monotonic() + reports.PAUSE
cache.get("key")
"""


def test_the_figures_of_other_processes_are_added_up(make_dual, phases, redis_server, settings):
    """They come through the cache, and need no directory that processes share."""
    cache = make_dual(redis_server.settings())
    report(cache)
    program = OTHER.format(caches=settings.CACHES)
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            check=True,
            timeout=120,
        )
    verdict, _ = ask()

    assert (3, 3) == (verdict["processes"], verdict["figures"]["lookups"])


def test_a_process_keeps_its_place_and_finds_another_after_a_clear(cache):
    for _ in range(3):
        report(cache)
    assert 1 == ask()[0]["processes"]
    slot = cache.migration.slot
    cache.clear()
    foreign = json.dumps({**reports.show(cache.migration, "shadow"), "process": "another"})
    caches["old"].set(reports.report_key("default", slot), foreign)
    report(cache)

    assert 2 == ask()[0]["processes"]


def test_only_the_last_minutes_count(cache, monkeypatch):
    monkeypatch.setattr("django_momento.migration.figures.monotonic", clock)
    cache.migration.figures.__init__()
    cache.get("a")
    clock.advance(WINDOW)
    cache.get("b")
    assert 2 == cache.migration.figures.show()["counts"]["lookups"]
    clock.advance(WINDOW)
    cache.get("c")
    assert 2 == cache.migration.figures.show()["counts"]["lookups"]
    clock.advance(10 * WINDOW)
    assert {} == cache.migration.figures.show()["counts"]


def test_the_text_says_the_same(cache):
    fill(cache)
    output = StringIO()
    call_command("momento_migration", stdout=output)

    assert "from old (OLD) to new (NEW), phase shadow, 1 process\n" in output.getvalue()
    assert "compared     120 values, of which 0 differ\n" in output.getvalue()
    assert "It is safe to go on to 'dual'.\n" in output.getvalue()


def test_a_wrong_alias_is_named(cache):
    with pytest.raises(CommandError, match=r"CACHES\['old'\] is no DualCache.*there is 'default'"):
        call_command("momento_migration", alias="old")
