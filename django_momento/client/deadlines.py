"""Deadlines that hold while a test has frozen the time.

gRPC makes a deadline of ``time.time()`` and the timeout, and keeps it by the system's clock. Under a time
frozen in the past, every call would time out at once. Under one in the future, no call would ever time out.
"""

from __future__ import annotations

import time
from types import FunctionType

from ..clock import wall

# Seconds. A larger difference is no inaccuracy of the clocks.
MAX_DIFFERENCE = 0.05


def _time() -> float:
    return time.time()


# The clock by which gRPC makes deadlines. freezegun decides by the calling module's name whether it shows
# the real time, and a test may have told it to do so for gRPC alone.
grpc_clock = FunctionType(_time.__code__, {"__name__": "grpc._channel", "time": time})


def timeout_for_grpc(seconds: float) -> float:
    """Return the timeout to give to gRPC for a call that may take so many real seconds."""
    difference = wall() - grpc_clock()
    return seconds if -MAX_DIFFERENCE < difference < MAX_DIFFERENCE else seconds + difference
