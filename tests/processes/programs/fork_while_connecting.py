"""A fork while a thread imports the SDK for its first call, whose import locks a child would inherit."""

import sys
import threading
from importlib.abc import MetaPathFinder

import django

from django_momento.client import fork_gate
from tests.kit.children import run_in_child

django.setup()

from django.core.cache import cache

importing = threading.Event()


class Watch(MetaPathFinder):
    """Finds nothing, but notes when the SDK is looked for."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "momento":
            importing.set()


def use(key: str) -> None:
    cache.set(key, "value")
    assert cache.get(key) == "value"


if __name__ == "__main__":
    # However busy the machine is, the fork waits for the import.
    fork_gate.MAX_WAIT = 60
    sys.meta_path.insert(0, Watch())
    assert "momento" not in sys.modules
    thread = threading.Thread(target=use, args=("parent",))
    thread.start()
    importing.wait()
    status = run_in_child(lambda: use("child"))
    thread.join()
    use("parent")
    assert status == 0, f"the child ended with {status}"
