"""A fork while a thread imports the SDK for its first call, whose import locks a child would inherit."""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from importlib.abc import MetaPathFinder

import django

from django_momento.client import fork_gate

django.setup()

from django.core.cache import cache  # noqa: E402 - once there are settings

# Seconds after which a child counts as hung.
CHILD_GUARD = 30

importing = threading.Event()


class Watch(MetaPathFinder):
    """Finds nothing, but notes when the SDK is looked for."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "momento":
            importing.set()


def use(key: str) -> None:
    cache.set(key, "value")
    assert cache.get(key) == "value"


def fork(act: Callable[[], None]) -> int:
    """Answer the exit status of a forked child that does something."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            faulthandler.dump_traceback_later(CHILD_GUARD, exit=True)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    # However busy the machine is, the fork waits for the import.
    fork_gate.MAX_WAIT = 60
    sys.meta_path.insert(0, Watch())
    assert "momento" not in sys.modules
    thread = threading.Thread(target=use, args=("parent",))
    thread.start()
    importing.wait()
    status = fork(lambda: use("child"))
    thread.join()
    use("parent")
    assert status == 0, f"the child ended with {status}"
