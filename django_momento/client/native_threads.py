"""Wait for the threads of gRPC, which end a moment after the last connection is closed.

Until then gRPC keeps descriptors of its own. A child that is forked meanwhile inherits them, and hangs or is
aborted if it closes them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..clock import polls

# Linux cuts the names of threads to 15 characters.
_NAMES = ("event_engine", "grpc_", "lifeguard", "default-executo", "resolver-execut")
_TASKS = Path("/proc/self/task")
_POLL = 0.005
# A system without /proc does not show the threads. They end within a few milliseconds.
_BLIND_WAIT = 0.1


def wait_until_grpc_ends(timeout: float = 1.0) -> None:
    """Return when gRPC has no thread left, or after ``timeout`` seconds.

    gRPC keeps its threads if other code of this process has channels or a server of gRPC.
    """
    if "grpc" not in sys.modules:
        return
    if not _TASKS.is_dir():
        time.sleep(_BLIND_WAIT)
        return
    for _ in polls(timeout, _POLL):
        if not _has_threads():
            return


def _has_threads() -> bool:
    return any(_name(task).startswith(_NAMES) for task in _TASKS.iterdir())


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text().strip()
    except OSError:  # the thread has ended meanwhile
        return ""
