"""Waiting for something that another thread, task or process does: as long as it takes, unless it hangs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType

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


def is_inside(ident: int, code: CodeType) -> bool:
    """Return whether a thread is in a function, or in one of C that this function has called."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - there is no public name for it
    return frame is not None and frame.f_code is code


@contextmanager
def once_it_waits(
    act: Callable[[], object], code: CodeType = threading.Condition.wait.__code__
) -> Iterator[None]:
    """Act on another thread as soon as this one waits, within the block, in a function.

    By default that is the wait for an event, for a condition or for a future.
    """
    us, has_begun = threading.get_ident(), threading.Event()

    def watch() -> None:
        # This thread waits for the start of that one, too.
        eventually(lambda: has_begun.is_set() and is_inside(us, code))
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    has_begun.set()
    try:
        yield
    finally:
        thread.join()
