"""The clock of the server, which counts how long items stay."""

from __future__ import annotations

import freezegun

from django_momento.local.clock import monotonic_ms


def test_the_clock_counts_whole_milliseconds_and_never_goes_back() -> None:
    """Everything is on one integer grid."""
    first, second = monotonic_ms(), monotonic_ms()
    assert (int, True) == (type(first), first <= second)


def test_the_clock_goes_on_under_a_frozen_time_and_follows_it() -> None:
    """So an item of a short TTL ends in any case, and a test can let one of a long TTL end."""
    before = monotonic_ms()
    with freezegun.freeze_time("2026-01-01") as frozen:
        started = monotonic_ms()
        while monotonic_ms() == started:
            pass
        frozen.tick(3600)
        moved = monotonic_ms()
    after = monotonic_ms()

    assert before <= started < moved <= after
    assert 3_600_000 <= moved - started < 7_200_000
    assert after - moved < 3_600_000
