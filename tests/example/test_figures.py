"""The figures of the status page, and where its chart puts them."""

from __future__ import annotations

import pytest

from example_project.activity import Activity, CacheCall, Totals
from example_project.figures import BOTTOM, SLOTS, TOP, Chart, Figures


def activity_of(*calls: CacheCall) -> Activity:
    activity = Activity()
    for call in calls:
        activity.record(call)
    return activity


def test_no_activity_has_no_figures():
    """Before anything happened there is no rate, no percentile and no chart."""
    snapshot = Activity().snapshot()

    assert Figures(
        totals=Totals(0, 0, 0, 0, 0), hit_rate=None, median=None, p95=None, verbs=[]
    ) == Figures.of(snapshot)
    assert Chart.of(snapshot.latest) is None


def test_sums_go_over_all_verbs():
    """The figures add up the verbs, each of which has its own; a failure is counted, but its time is none."""
    figures = Figures.of(
        activity_of(
            CacheCall(1, "set", 4.0),
            CacheCall(2, "get", 1.0, hits=1),
            CacheCall(3, "get_many", 3.0, hits=2, misses=1),
            CacheCall(4, "get", 1100.0, error="CallTimedOut"),
        ).snapshot()
    )

    assert (4, 3, 1, 1, 1) == figures.totals
    assert (75.0, 3.0) == (figures.hit_rate, figures.median)
    assert [("get", 2, 1.0), ("get_many", 1, 3.0), ("set", 1, 4.0)] == [
        (verb.name, verb.totals.calls, verb.median) for verb in figures.verbs
    ]


def test_one_call_is_its_own_percentile():
    """A single time is the median and the 95th percentile."""
    figures = Figures.of(activity_of(CacheCall(1, "get", 7.0)).snapshot())

    assert (7.0, 7.0) == (figures.median, figures.p95)


def test_the_95th_percentile_leaves_five_of_a_hundred_out():
    """Of the times 1 to 101 exactly five are longer than it."""
    figures = Figures.of(activity_of(*(CacheCall(1, "get", n) for n in range(1, 102))).snapshot())

    assert figures.p95 == 96


def test_a_decade_is_as_high_as_the_next():
    """The scale is logarithmic: from 0.1 ms at the bottom to the decade of the slowest at the top."""
    chart = Chart.of([CacheCall(1, "get", milliseconds) for milliseconds in (0.1, 1, 10, 100)])

    heights, step = [mark.y for mark in chart.marks], (BOTTOM - TOP) / 3
    assert [BOTTOM, BOTTOM - step, BOTTOM - 2 * step, TOP] == pytest.approx(heights)
    assert heights == [tick.y for tick in chart.ticks]
    assert ["0.1 ms", "1 ms", "10 ms", "100 ms"] == [tick.label for tick in chart.ticks]


def test_failures_have_no_median():
    """If every call failed, there is no median."""
    failed = [CacheCall(1, "get", 1100.0, error="CallTimedOut")]

    assert Figures.of(activity_of(*failed).snapshot()).median is None
    assert Chart.of(failed).median is None
    assert [mark.outcome for mark in Chart.of(failed).marks] == ["error"]


def test_no_time_is_drawn_outside_of_the_chart():
    """An operation of no time at all, and one of a minute, both stand between bottom and top."""
    chart = Chart.of([CacheCall(1, "get", 0.0), CacheCall(2, "get", 60_000.0)])

    assert all(TOP <= mark.y <= BOTTOM for mark in chart.marks)
    assert [BOTTOM] == [mark.y for mark in Chart.of([CacheCall(1, "get", 0.0)]).marks]


def test_few_calls_are_not_stretched():
    """The marks go from left to right at the same distance, which few do not make wider."""
    chart = Chart.of([CacheCall(1, "get", 1.0, misses=1), CacheCall(2, "get", 1.0, hits=1)])

    assert [("miss", 0.5 * 100 / SLOTS), ("hit", 1.5 * 100 / SLOTS)] == [
        (mark.outcome, mark.x) for mark in chart.marks
    ]
    assert Chart.of([CacheCall(1, "get", 1.0)] * 50).marks[-1].x == 99
