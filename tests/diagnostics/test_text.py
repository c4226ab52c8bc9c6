"""The report as text: complete at any width, and coloured only where it was asked for."""

from __future__ import annotations

import re

from django.core.checks import Error, Warning  # noqa: A004 - Django's name for it
from django.core.management.color import color_style, no_style

from django_momento.diagnostics.examination import Step
from django_momento.diagnostics.latency import Latency
from django_momento.diagnostics.limits import Measurement
from django_momento.diagnostics.text import TextReport
from tests.kit.tables import table

FOUND = Step("connection", 0.0123, "cache.cell.example accepts the key")
FAILED = Step(
    "cache", 0.5, error="CacheNotFound", cause="There is no cache named 'a'.", fix="Create it with --create."
)
MEASURED = Step("latency", 0.1, "20 gets", latency=Latency.of([0.3] * 15 + [0.6] * 4 + [9.0]))
COMPARED = Step(
    "limits",
    0.001,
    "compared",
    facts=(Measurement("a", 1, "as it should be"), Measurement("b", 2), Measurement("c", 3, "odd", ok=False)),
)


def lines(step: Step, width: int | None = None) -> list[str]:
    return list(TextReport(no_style(), width).step(step))


def test_a_step_is_one_line_with_what_it_found() -> None:
    """Mark, name, time, and the finding."""
    assert ["  ok    connection      12 ms  cache.cell.example accepts the key"] == lines(FOUND)


def test_a_step_that_failed_has_a_line_for_its_fix() -> None:
    """The fix stands under the cause."""
    assert [
        "  FAIL  cache          500 ms  There is no cache named 'a'.",
        "        fix                    Create it with --create.",
    ] == lines(FAILED)


def test_a_cause_of_several_lines_keeps_them() -> None:
    """An alias may have several problems, each on a line of its own."""
    step = Step("options", 0, error="ConfigurationError", cause="It has 2 problems:\n1. One.\n2. Two.")
    assert [
        "  FAIL  options          0 ms  It has 2 problems:",
        "                               1. One.",
        "                               2. Two.",
    ] == lines(step)


def test_a_latency_has_a_histogram() -> None:
    """A bar for each edge from the fastest to the slowest; empty ones keep their place."""
    assert [
        "                               up to 0.5 ms    ############################## 15",
        "                               up to 1 ms      ######## 4",
        "                               up to 2 ms",
        "                               up to 5 ms",
        "                               up to 10 ms     ## 1",
    ] == lines(MEASURED)[1:]


def test_facts_are_said_and_those_that_are_odd_marked() -> None:
    """What is for machines only is left out."""
    assert [
        "                               as it should be",
        "  note                         odd",
    ] == lines(COMPARED)[1:]


@table("width", [40, 60, 61, 80, 200])
@table("step", [FOUND, FAILED, MEASURED, COMPARED])
def test_no_line_is_longer_than_the_terminal_and_no_word_is_lost(step: Step, width: int) -> None:
    """What does not fit goes on below."""
    broken = lines(step, width)

    assert max(map(len, broken)) <= width
    assert sorted(" ".join(lines(step)).replace("#", "").split()) == sorted(
        " ".join(broken).replace("#", "").split()
    )


def test_a_narrow_terminal_has_its_details_below() -> None:
    """Beside the columns there would be no room for more than a word."""
    assert [
        "  FAIL  cache          500 ms",
        "        There is no cache named 'a'.",
        "        fix",
        "        Create it with --create.",
    ] == lines(FAILED, 40)


def test_a_word_longer_than_the_line_is_not_broken() -> None:
    """An ARN or a path must be fit to be copied."""
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:momento-AbCdEf"
    assert any(arn in line for line in lines(Step("credentials", 0, f"v2 key: {arn}"), 40))


def test_colours_take_no_room() -> None:
    """A coloured report without its colours is the plain one."""
    for step in (FOUND, FAILED, MEASURED, COMPARED):
        coloured = list(TextReport(color_style(force_color=True), 60).step(step))
        assert "\x1b[" in "".join(coloured)
        assert lines(step, 60) == [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured]


def test_system_checks_have_their_id_and_hint() -> None:
    """As one would silence them; errors are marked as what failed."""
    messages = [
        Error("A is wrong.", hint="Mend it.", id="django_momento.E003"),
        Warning("B is odd.", id="a.W1"),
    ]

    assert [
        "  FAIL  django_momento.E003    A is wrong.",
        "        fix                    Mend it.",
        "  note  a.W1                   B is odd.",
    ] == list(TextReport(no_style()).checks(messages))


def test_silent_system_checks_are_said_to_be() -> None:
    """Who asked for them wants to know that they ran."""
    assert ["  ok    all                    no remarks"] == list(TextReport(no_style()).checks([]))


def test_a_round_is_one_line() -> None:
    """The time, the alias, and how fast it was; or what failed, said in full only once."""
    report = TextReport(no_style())
    good, bad = [FOUND, MEASURED], [FOUND, FAILED]

    assert [f"  ok    12:00:00  pages  {MEASURED.latency}"] == list(
        report.round("12:00:00", "pages", good, bad)
    )
    assert ["  FAIL  12:00:05  pages  cache: There is no cache named 'a'. Create it with --create."] == list(
        report.round("12:00:05", "pages", bad, good)
    )
    assert ["  FAIL  12:00:10  pages  cache: CacheNotFound, as before"] == list(
        report.round("12:00:10", "pages", bad, bad)
    )
