"""Waiting for something that another thread, task or process does: as long as it takes, unless it hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

# Seconds. Only a hang takes so long: generous, for machines that are busy.
HANG_GUARD = 120

PAUSE = 0.02


def patience() -> Iterator[None]:
    """Go round a loop that waits for something, until it takes too long."""
    deadline = time.monotonic() + HANG_GUARD
    while time.monotonic() < deadline:
        yield
        time.sleep(PAUSE)


def eventually(holds: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises AssertionError if it never does."""
    for _ in patience():
        if holds():
            return
    raise AssertionError(f"{holds} did not come to hold within {HANG_GUARD} s")


async def aeventually(holds: Callable[[], object]) -> None:
    """Wait as ``eventually`` does, and let other tasks run meanwhile."""
    deadline = time.monotonic() + HANG_GUARD
    while not holds():
        assert time.monotonic() < deadline, f"{holds} did not come to hold within {HANG_GUARD} s"
        await asyncio.sleep(PAUSE)
