"""Find out whether a thread waits for another one, directly or through further threads.

A callable that fetches the API key may start a thread that uses the cache, and wait for it. A handler of log
lines may hold its lock while it uses the cache, when the thread that fetches the key wants to write a line.
The stacks of the threads show it if a thread waits by ``Thread.join``, for the future of an executor (also in
an event loop), or for the lock of a handler of log lines. A site's own events, queues and locks do not show.
"""

from __future__ import annotations

import logging
import sys
import threading
from asyncio import AbstractEventLoop
from asyncio.base_events import BaseEventLoop
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.thread import _WorkItem
from types import FrameType
from typing import Any

from ..credentials import boundary

_WAITS = (
    threading.Thread.join.__code__,
    Future.result.__code__,
    Future.exception.__code__,
    BaseEventLoop.run_forever.__code__,
)
_WORK = _WorkItem.run.__code__
_HANDLE = logging.Handler.handle.__code__
_ACQUIRE = logging.Handler.acquire.__code__
_FETCH = boundary.run_source.__code__


def is_waiting_for(waiting: int, thread: int) -> bool:
    """Return whether the thread of the first identifier waits for that of the second."""
    needs: dict[int, list[object]] = {}
    holders: dict[int, list[int]] = defaultdict(list)
    kept: list[object] = []  # An identity is unique for as long as its object lives.
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - there is no public name for it
        held, needed = _held_and_needed(frame)
        kept += held
        needs[ident] = needed
        for each in held:
            holders[id(each)].append(ident)
    for each in threading.enumerate():
        if each.ident is not None:
            holders[id(each)].append(each.ident)
    seen: set[int] = set()
    to_see = [waiting]
    while to_see:
        ident = to_see.pop()
        if ident == thread:
            return True
        if ident not in seen:
            seen.add(ident)
            for each in needs.get(ident, ()):
                to_see += holders.get(id(each), ())
    return False


def _held_and_needed(innermost: FrameType) -> tuple[list[object], list[object]]:
    """Return the objects that a thread holds for others, and those that it waits for."""
    held: list[object] = []
    needed: list[object] = []
    is_waiting_for_handler = innermost.f_code is _ACQUIRE
    for frame in _outwards(innermost):
        code = frame.f_code
        if code is _HANDLE:
            # Python 3.13 takes the lock in this very method.
            waits = is_waiting_for_handler or frame is innermost
            is_waiting_for_handler = False
            (needed if waits else held).append(frame.f_locals.get("self"))
        elif code is _WORK:
            future = getattr(frame.f_locals.get("self"), "future", None)
            held += [future, *_loops_that_await(future)]
        elif code in _WAITS:
            needed.append(frame.f_locals.get("self"))
        elif code is _FETCH:
            needed.append(getattr(frame.f_locals.get("fetch"), "thread", None))
    return held, needed


def _loops_that_await(future: Any) -> list[object]:
    """Return the event loops that an executor's future tells of its end: it hands them to its callbacks."""
    callbacks = getattr(future, "_done_callbacks", ())
    cells = [cell for each in callbacks for cell in getattr(each, "__closure__", None) or ()]
    return [cell.cell_contents for cell in cells if isinstance(cell.cell_contents, AbstractEventLoop)]


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
