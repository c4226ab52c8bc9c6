"""Tests for Django's own runner, which forks a process for each of these classes.

The module is imported before the fork, and uses the cache then, as a site's own modules may. At each step the
two processes wait for each other, so that each has done its part before either looks.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from django.core.cache import cache
from django.test import SimpleTestCase

MEETING = Path(os.environ["MEETING"])
HANG_GUARD = 60

cache.set("parent", "value")


def meet(step: str) -> None:
    """Return when both processes have come to a step."""
    (MEETING / f"{step}-{os.getpid()}").touch()
    deadline = time.monotonic() + HANG_GUARD
    while len(list(MEETING.glob(f"{step}-*"))) < 2:
        assert time.monotonic() < deadline, f"alone at {step}"
        time.sleep(0.01)


class Each:
    """The steps of both classes, which are equal and therefore write the same keys."""

    def test_no_other_process_sees_or_clears_its_keys(self) -> None:
        me = os.getpid()
        assert cache.get("parent") is None
        cache.set("owner", me)
        meet("set")
        assert cache.get("owner") == me
        assert cache.incr("owner", 1) == me + 1
        meet("counted")
        if me == min(int(path.name.rpartition("-")[2]) for path in MEETING.glob("set-*")):
            cache.clear()
            assert cache.get("owner") is None
            meet("cleared")
        else:
            meet("cleared")
            assert cache.get("owner") == me + 1


class FirstTests(Each, SimpleTestCase):
    pass


class SecondTests(Each, SimpleTestCase):
    pass
