"""Write the events of a process to its trace, in a thread of its own.

A call pays for an append to a list. The thread measures the values, writes the lines, and rests again. A disk
that is full or refuses the file costs events of the trace, and never a call.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from math import isfinite
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from .. import forking
from ..clock import monotonic, wall
from .files import TraceFiles
from .format import LOST, Header
from .sizes import SizeMeter

logger = logging.getLogger("django_momento")

# Events that wait for the thread. More are not recorded, and counted as lost.
MAX_WAITING = 50_000
# If so many wait, the thread does not rest to the end of its pause.
_MANY = 2000
# Seconds between two rounds of the thread, and after an error of the disk.
PAUSE = 0.25
PAUSE_AFTER_ERROR = 10.0
# Seconds between two warnings of one trace.
WARNING_PAUSE = 60.0

UNMEASURED = object()
"""Stands in an event for a value that must not be measured."""


class KeyEntry:
    """The facts about a key that events repeat. ``size`` is None until a value of the key was measured."""

    __slots__ = ("group", "hashed", "key_bytes", "size")

    def __init__(self, hashed: str, group: str, key_bytes: int) -> None:
        self.hashed = hashed
        self.group = group
        self.key_bytes = key_bytes
        self.size: int | None = None


OTHERS = KeyEntry("", "", 0)
"""Stands for each key outside the sample."""
OTHERS.size = 0


class Recorded(NamedTuple):
    """An event that waits to be written. Both times are in seconds since the epoch."""

    started: float
    ended: float
    verb: str
    entry: KeyEntry
    value: Any
    timeout: Any
    hit: int | None
    batch: int


class TraceWriter:
    """The trace of one process. Any thread may call it."""

    def __init__(self, path: Path, sample: float, max_bytes: int) -> None:
        self.path = path
        self._sample = sample
        self._max_bytes = max_bytes
        self._warned_at = -WARNING_PAUSE
        self._sizes = SizeMeter()
        self._start()

    def _start(self) -> None:
        """Begin anew: with no event, no thread, and no file."""
        self.waiting: deque[Any] = deque()
        # SimpleQueue, because a signal's handler may call a cache while its thread is inside put().
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_awake = False
        self._has_thread = False
        self._lock = threading.RLock()
        self._files: TraceFiles | None = None
        self._lost = 0
        self._retry_at = 0.0

    def append(self, recorded: tuple[Any, ...]) -> None:
        """Add an event, of the fields of ``Recorded``. Drop it if too many wait."""
        count = len(self.waiting)
        if count >= MAX_WAITING:
            self._lost += 1
            return
        self.waiting.append(recorded)
        if count == _MANY:
            self._bell.put(None)
        if not self._is_awake:
            self._is_awake = True
            self._bell.put(None)
            if not self._has_thread:
                self._start_thread()

    def flush(self) -> None:
        """Write all events that wait. Raises nothing."""
        with self._lock:
            try:
                self._write()
            except OSError as error:
                self._handle(error)

    def close(self) -> None:
        """Write all events that wait, and end the file."""
        self.flush()
        with self._lock:
            try:
                if self._files is not None:
                    self._files.close()
            except OSError as error:
                self._handle(error)

    def restart_in_child(self) -> None:
        """Leave the parent's events and file to the parent. The child writes a file of its own."""
        files = self._files
        self._start()
        if files is not None:
            files.abandon()

    def _start_thread(self) -> None:
        with self._lock:
            if self._has_thread:
                return
            self._has_thread = True  # before the start, which a signal's handler may interrupt
            thread = threading.Thread(target=self._run, name="momento-trace", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, or there are too many threads
                self._has_thread = self._is_awake = False
                return
            # A child of multiprocessing ends without the handlers of atexit.
            if util := sys.modules.get("multiprocessing.util"):
                util.Finalize(None, self.close, exitpriority=0)

    def _run(self) -> None:
        while True:
            self._bell.get()
            with suppress(Empty):
                self._bell.get(timeout=PAUSE)
            self._is_awake = False
            self.flush()

    def _write(self) -> None:
        lines = self._take_lines()
        if not lines:
            return
        if monotonic() < self._retry_at:
            self._lost += len(lines)
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            lines.append(json.dumps({LOST: lost}))
        try:
            self._open_files().write(("\n".join(lines) + "\n").encode())
        except OSError:
            self._lost += len(lines)
            raise

    def _take_lines(self) -> list[str]:
        lines = []
        # Of the keys outside the sample: the first start and the number, by second, verb, outcome and batch.
        others: dict[tuple[int, str, int | None, int], list[float]] = {}
        for _ in range(len(self.waiting)):
            recorded = self.waiting.popleft()
            if recorded[3] is not OTHERS:
                lines.append(self._line(*recorded))
                continue
            started, _, verb, _, _, _, hit, batch = recorded
            counted = others.setdefault((int(started), verb, hit, batch), [started, 0])
            counted[1] += 1
        for (_, verb, hit, batch), (started, count) in others.items():
            line = self._line(started, started, verb, OTHERS, UNMEASURED, None, hit, batch, int(count))
            lines.append(line)
        return lines

    def _line(
        self,
        started: float,
        ended: float,
        verb: str,
        entry: KeyEntry,
        value: Any,
        timeout: Any,
        hit: int | None,
        batch: int,
        count: int = 1,
    ) -> str:
        size = packed = None
        if value is not UNMEASURED:
            size, packed = self._sizes.measure(value)
            entry.size = size or entry.size or 0
        return (
            f'[{started * 1000:.0f},{max(0.0, ended - started) * 1000:.0f},"{verb}","{entry.hashed}",'
            f"{_quote(entry.group)},{entry.key_bytes},"
            f"{_json(size)},{_json(packed)},{_seconds(timeout)},{_json(hit)},{batch},{count}]"
        )

    def _open_files(self) -> TraceFiles:
        if self._files is None:
            started = int(wall() * 1000)
            # A container's process may have the same identifier each time, so the start is in the name too.
            header = Header(self._sample, f"{os.getpid()}-{started}", started)
            line = json.dumps(header.as_dict()) + "\n"
            self._files = TraceFiles(self.path, header.process, line.encode(), self._max_bytes)
        return self._files

    def _handle(self, error: OSError) -> None:
        now = monotonic()
        self._retry_at = now + PAUSE_AFTER_ERROR
        if self._files is not None:
            # Its last line may be half written.
            self._files.abandon()
        if now - self._warned_at >= WARNING_PAUSE:
            self._warned_at = now
            logger.warning(
                "The trace %s cannot be written (%s: %s), so cache calls are not recorded. They work as "
                "before. Make room or let this process write there. Recording goes on by itself.",
                self.path,
                type(error).__name__,
                error.strerror or error,
            )


# There are at most 100 groups of an alias.
_quote = lru_cache(maxsize=1000)(json.dumps)


def _json(number: int | None) -> str:
    return "null" if number is None else str(number)


def _seconds(timeout: Any) -> str:
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    try:
        return f"{float(timeout):.12g}" if isfinite(timeout) else "null"
    except (TypeError, ValueError, OverflowError):
        return "null"


_writers: dict[tuple[Path, float, int], TraceWriter] = {}
# Reentrant: the handler of a signal may make a cache.
_writers_lock = threading.RLock()


def find_writer(path: Path, sample: float, max_bytes: int) -> TraceWriter:
    """Return the writer of a trace, one for each process."""
    with _writers_lock:
        writer = _writers.get((path, sample, max_bytes))
        if writer is None:
            writer = _writers[path, sample, max_bytes] = TraceWriter(path, sample, max_bytes)
        return writer


def flush_all() -> None:
    """Write all events of this process that wait."""
    for writer in tuple(_writers.values()):
        writer.flush()


def _close_all() -> None:
    for writer in tuple(_writers.values()):
        writer.close()


def _restart_in_child() -> None:
    global _writers_lock  # noqa: PLW0603 - a thread that does not exist in the child may hold the lock
    _writers_lock = threading.RLock()
    for writer in tuple(_writers.values()):
        writer.restart_in_child()


atexit.register(_close_all)
forking.register(after_in_child=_restart_in_child)
