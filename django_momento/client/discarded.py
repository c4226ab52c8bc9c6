"""Channels that lost gRPC's own thread, which delivers the ends of calls: served to their end, and closed.

gRPC starts that thread with a channel's first call, and only then. If it cannot start, or a signal's handler
raises an exception meanwhile, no later call on the channel ends, and closing the channel waits for ever. So
each call of such a channel is delivered by a thread of this module, until none can be left.

gRPC has no public way to do this. If a version of it lacks one of its internal names that are used here, the
channel is kept until the process ends.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, get_ident
from typing import Any

from .. import forking
from ..clock import monotonic, wall
from ..interruption import is_interruption
from .fork_gate import deliveries

# Seconds after the deadlines of the calls on a channel. Another thread may be about to send a call yet.
GRACE = 2.0

# Seconds that the thread waits in gRPC before it looks whether the process forks. If it forks while a thread
# waits there, the child may crash, and so may the parent.
TURN = 0.1

# The names that ``_serve`` needs of gRPC: in its internal module, of a channel, and of the inner channel.
_NAMES = (
    ("ForkManagedThread", "ReceiveStatusOnClientOperation", "block_if_fork_in_progress"),
    ("_call_state", "_channel"),
    ("integrated_call", "next_call_event"),
)

# Channels that wait for a thread, each with the seconds that its calls may take.
_waiting: deque[tuple[Any, float]] = deque()
forking.register(after_in_child=_waiting.clear)


def discard(channel: Any, timeout: float) -> None:
    """Deliver the calls of a channel, which end within ``timeout`` seconds, and close it then.

    If no thread can start now, call ``serve_waiting`` later.
    """
    # The end of the last reference would close the channel at once. A module's own reference ends when the
    # process does.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(channel))
    if can_serve(channel):
        _waiting.append((channel, timeout))
        serve_waiting()


def can_serve(channel: Any) -> bool:
    """Return whether this version of gRPC has the names that are needed."""
    owners = (_internals(), channel, getattr(channel, "_channel", None))
    return all(hasattr(owner, name) for owner, names in zip(owners, _NAMES, strict=True) for name in names)


def _internals() -> Any:
    """Return gRPC's module of its threads and events, which every channel has loaded."""
    return sys.modules.get("grpc._cython.cygrpc")


def serve_waiting() -> None:
    """Start a thread for each channel that has none, unless no thread can start."""
    while _waiting:
        try:
            channel, timeout = _waiting.popleft()
        except IndexError:  # a signal's handler was faster
            return
        try:
            # gRPC's own class of threads, which it stops while the process forks.
            thread = _internals().ForkManagedThread(target=_serve, args=(channel, timeout))
            thread.setDaemon(True)
            thread.start()
        except Exception as error:  # threads fail to start in several ways
            _waiting.append((channel, timeout))
            if is_interruption(error):
                raise
            return


def _serve(channel: Any, timeout: float) -> None:
    """Deliver the ends of calls until none can be left, and close the channel."""
    if not _deliver(channel, timeout + GRACE):
        # gRPC's own thread, if there is one after all, still waits for events, and would print an error if
        # the channel were closed now. Nobody else waits for the next event, so that thread receives it.
        _deliver(channel, 0, pause=GRACE)
    channel.close()
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(channel))


def _deliver(channel: Any, seconds: float, pause: float = 0.0) -> bool:
    """Deliver the ends of calls for some seconds. Return whether a thread of gRPC's own was ended meanwhile.

    Begin after a pause in seconds, unless that thread has ended before.
    """
    calls, state = channel._channel, channel._call_state  # noqa: SLF001 - see _NAMES
    us, is_theirs, has_ended, until = get_ident(), Event(), Event(), monotonic() + seconds

    def end_turn(_: object) -> bool:
        if get_ident() == us:
            has_ended.set()
            return False
        # A thread of gRPC's own took the event, and this one waits for the next. The other ends after the
        # event that completes the last of its calls.
        _set_alarm(calls, 0, end_turn)
        state.managed_calls = 1
        is_theirs.set()
        return True

    left = seconds
    while True:
        has_ended.clear()
        _set_alarm(calls, min(TURN, left), end_turn)
        is_theirs.wait(pause)
        while not has_ended.is_set():
            _internals().block_if_fork_in_progress(state)
            # An event of a call that was interrupted while it began has no handler, which is an error.
            with suppress(Exception):
                with deliveries.enter():
                    event = calls.next_call_event()
                event.tag(event)
        if not left:
            return is_theirs.is_set()
        left = max(0.0, until - monotonic())


def _set_alarm(calls: Any, seconds: float, handle: Callable[[Any], bool]) -> None:
    """Let an event of that channel come after some seconds, because waiting for an event has no timeout.

    The call is not sent. Its deadline ends it.
    """
    operations = (_internals().ReceiveStatusOnClientOperation(0),)
    calls.integrated_call(0, b"/", None, wall() + seconds, None, None, ((operations, handle),), None, None)
