"""Forked children of the programs of ``tests.processes``, which must never run on in their parent's code."""

from __future__ import annotations

import faulthandler
import os
import traceback
from collections.abc import Callable

# Seconds after which a child counts as hung: less than its parent's own HANG_GUARD.
CHILD_GUARD = 60


def start_child(act: Callable[[], object]) -> int:
    """Fork a child that does something. Return its process identifier.

    The child ends with status 0. If it fails or hangs, it ends with another one, and prints the reason.
    """
    pid = os.fork()
    if not pid:
        status = 1
        try:
            faulthandler.dump_traceback_later(CHILD_GUARD, exit=True)
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must end here
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def wait_for_child(pid: int) -> int:
    """Return the exit status of a child when it has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_in_child(act: Callable[[], object]) -> int:
    """Fork a child that does something. Return its exit status when it has ended."""
    return wait_for_child(start_child(act))
