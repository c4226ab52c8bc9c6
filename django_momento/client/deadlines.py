"""Deadlines that hold while a test has frozen the time.

gRPC makes a deadline of ``time.time()`` and the timeout, and keeps it by the system's clock. Under a time
frozen in the past, every call would time out at once. Under one in the future, no call would ever time out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import grpc._channel

from ..clock import wall

# Seconds. A larger difference is no inaccuracy of the clocks.
MAX_DIFFERENCE = 0.05


def _grpc_clock() -> Callable[[], float]:
    """Return the clock by which gRPC makes deadlines, which may be real where other modules' is frozen."""
    make_deadline = getattr(grpc._channel, "_deadline", None)  # noqa: SLF001 - there is no public way to ask
    return time.time if make_deadline is None else partial(make_deadline, 0.0)


grpc_clock = _grpc_clock()


def timeout_for_grpc(seconds: float) -> float:
    """Return the timeout to give to gRPC for a call that may take so many real seconds."""
    difference = wall() - grpc_clock()
    return seconds if -MAX_DIFFERENCE < difference < MAX_DIFFERENCE else seconds + difference
