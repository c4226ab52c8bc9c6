"""Durations summed up."""

from __future__ import annotations

import pytest

from django_momento.diagnostics.latency import Bucket, Latency
from tests.kit.tables import table


def test_a_latency_is_its_percentiles() -> None:
    """Of 1 to 100 ms the median is in the middle."""
    latency = Latency.of([float(number) for number in range(100, 0, -1)])

    assert (100, 1, 100) == (latency.requests, latency.minimum, latency.maximum)
    assert latency.median == pytest.approx(50.5)
    assert latency.minimum < latency.median < latency.p90 < latency.p99 < latency.maximum


def test_a_single_request_is_every_percentile() -> None:
    """There is nothing else to say of it."""
    latency = Latency.of([7.0])

    assert {7.0} == {latency.minimum, latency.median, latency.p90, latency.p99, latency.maximum}
    assert (Bucket(10, 1),) == latency.histogram


def test_the_rate_is_what_fits_into_a_second() -> None:
    """One after the other, that is the inverse of the mean."""
    assert Latency.of([1.0, 3.0]).per_second == pytest.approx(500)


def test_no_time_at_all_is_a_rate_too() -> None:
    """A coarse clock may not have moved."""
    assert Latency.of([0.0]).per_second == pytest.approx(1_000_000)


@table(
    ("milliseconds", "histogram"),
    [
        ([0.3, 0.31, 0.5, 0.51], ((0.5, 3), (1, 1))),
        ([1, 2, 5, 10], ((1, 1), (2, 1), (5, 1), (10, 1))),
        ([40, 0.6], ((1, 1), (2, 0), (5, 0), (10, 0), (20, 0), (50, 1))),
        ([0.0], ((0.01, 1),)),
    ],
)
def test_the_histogram_goes_from_the_fastest_to_the_slowest(
    milliseconds: list[float], histogram: tuple[tuple[float, int], ...]
) -> None:
    """Its edges are always the same, so that two of them can be compared; empty ones between are kept."""
    assert tuple(Bucket(*bucket) for bucket in histogram) == Latency.of(milliseconds).histogram


def test_every_request_is_in_the_histogram() -> None:
    """None is lost at an edge."""
    milliseconds = [number / 7 for number in range(1, 2000)]
    latency = Latency.of(milliseconds)

    assert latency.requests == sum(bucket.requests for bucket in latency.histogram)
    assert latency.histogram[-1].up_to >= latency.maximum
