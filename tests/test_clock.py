"""The clocks of pauses and expiries, under the libraries with which tests freeze time."""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest

from django_momento import clock
from tests.kit.freezing import FREEZERS, FUTURE, PAST
from tests.kit.tables import table


@pytest.fixture(params=FREEZERS)
def freeze(request: pytest.FixtureRequest) -> object:
    return FREEZERS[request.param]


@pytest.mark.skipif(sys.platform != "linux", reason="needs the coarse clock of Linux")
@table("moment", [PAST, FUTURE])
def test_a_frozen_time_does_not_reach_the_clocks(freeze: Any, moment: datetime.datetime) -> None:
    """Each shows the real time, and goes on, while ``time.time`` stands still."""
    before = clock.monotonic(), clock.wall()
    frozen: AbstractContextManager[object] = freeze(moment)
    with frozen:
        assert time.time() == moment.timestamp()
        start = clock.monotonic(), clock.wall()
        while clock.monotonic() - start[0] < 0.02 or clock.wall() == start[1]:
            pass
        during = clock.monotonic(), clock.wall()
    after = clock.monotonic(), clock.wall()
    for clocks in zip(before, start, during, after, strict=True):
        assert sorted(clocks) == list(clocks)
        assert clocks[-1] - clocks[0] < 3600


def test_the_clocks_agree_with_the_real_ones() -> None:
    """Expiries are compared with the clocks of other machines, and pauses with those of the system."""
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=60)
    assert clock.wall() == pytest.approx(time.time(), abs=60)


def test_a_module_that_is_imported_under_a_frozen_time_has_the_real_clocks() -> None:
    """The first cache call of a process may be made in a test that froze its time."""
    program = (
        "import time, freezegun; real = time.time()\n"
        "with freezegun.freeze_time('2001-09-09'):\n"
        "    from django_momento import clock\n"
        "assert abs(clock.wall() - real) < 3600 and clock.monotonic() != clock.wall()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
