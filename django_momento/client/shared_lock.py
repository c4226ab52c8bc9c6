"""gRPC's one lock for all calls of the process, and handlers of signals that interrupt its owner.

Such a handler may call the cache. Another thread may have the lock of a channel, which that call needs, and
wait for the shared lock: both would wait for ever. So the shared lock is given away during the call. gRPC
guards only the reading of one variable by it, so the interrupted code does not notice.

This needs internal names of gRPC. If a version of it lacks one of them, nothing is given away.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_REENTRANT = type(threading.RLock())


class SharedLock:
    """The lock, which is known once gRPC has been loaded."""

    __slots__ = ("_lock", "is_owned")

    def __init__(self) -> None:
        self._lock: Any = None
        self.is_owned: Callable[[], bool] = bool
        """Return whether this thread has the lock. Written in C, because every call asks."""

    def find(self) -> None:
        """Find the lock in gRPC, which has been loaded."""
        lock: Any = getattr(sys.modules.get("grpc._observability"), "_plugin_lock", None)
        if isinstance(lock, _REENTRANT):
            self._lock = lock
            self.is_owned = self._lock._is_owned  # noqa: SLF001 - as Condition does

    @contextmanager
    def given_away(self) -> Iterator[None]:
        """Let other threads have the lock inside a ``with``. This thread must have it."""
        count = self._lock._release_save()  # noqa: SLF001 - as Condition does
        try:
            yield
        finally:
            self._lock._acquire_restore(count)  # noqa: SLF001 - as Condition does


shared_lock = SharedLock()
