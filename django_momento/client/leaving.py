"""The end of the process: threads that deliver results must have left gRPC then.

Python ends the threads that are left, which are daemons, when they next want to run. If that happens within
some functions of gRPC, which are C++, the process ends with SIGABRT. So the async calls in flight are
cancelled before, and the end of the process waits until the threads that deliver their ends have done so. It
takes milliseconds. A site's own daemon threads that wait for a call are left as they are.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from ..clock import polls
from .fork_gate import gate

# Seconds that the end of the process waits for the threads, if these can run meanwhile.
MAX_WAIT = 1.0
_POLL = 0.001

# The functions of gRPC's threads, of the threads that read streams, and of those that cancel calls.
_DELIVERING = {
    ("grpc._channel", "channel_spin"),
    (f"{__package__}.streams", "deliver"),
    (f"{__package__}.futures", "cancel"),
}


class _Process:
    is_ending = False


def hold_thread() -> None:
    """Let a daemon thread wait for the end of the process if that has begun.

    Otherwise it would go on with the error of a call that was cancelled for the end of the process.
    """
    while _Process.is_ending and threading.current_thread().daemon:
        time.sleep(MAX_WAIT)


@atexit.register
def leave() -> None:
    """Cancel the calls in flight that have a future, and wait until no thread delivers results any more."""
    if not _has_delivering_threads():
        return
    _Process.is_ending = True
    for pending in gate.pending_calls():
        with suppress(Exception):
            pending.cancel()
    for _ in polls(MAX_WAIT, _POLL):
        if not _has_delivering_threads():
            return


def _has_delivering_threads() -> bool:
    return any(map(_is_delivering, sys._current_frames().values()))  # noqa: SLF001 - it has no public name


def _is_delivering(frame: FrameType | None) -> bool:
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _DELIVERING:
            return True
        frame = frame.f_back
    return False
