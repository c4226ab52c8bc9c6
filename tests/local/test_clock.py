"""The clock of the server, which counts how long items stay."""

from __future__ import annotations

from typing import Any

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


def test_readings_do_not_differ_by_the_module_that_reads() -> None:
    """freezegun leaves modules alone: their readings would be real, and those of others frozen."""
    left_alone: dict[str, Any] = {"__name__": "asyncio.events", "read": monotonic_ms}
    exec("def read_there(): return read()", left_alone)
    with freezegun.freeze_time("2037-01-01", ignore=["asyncio"]):
        first = monotonic_ms()
        readings = [left_alone["read_there"](), monotonic_ms(), left_alone["read_there"](), monotonic_ms()]
    assert readings[-1] - first < 3_600_000
