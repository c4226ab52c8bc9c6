"""Interrupts the first call of the process when a module is imported, which the first argument names."""

import json
import signal
import sys
import threading
from importlib.abc import MetaPathFinder
from typing import Any

import django

django.setup()

from django.core.cache import caches

from tests.kit.interrupting import Stop

# Not Django's proxy: asgiref's lock below it may stay locked when it is interrupted.
cache = caches["default"]

# Seconds.
HANG_GUARD = 60


class Interrupter(MetaPathFinder):
    """Sends a signal to the main thread when a module is imported for the first time."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == self.name:
            self.name = ""
            signal.pthread_kill(main_ident, signal.SIGALRM)


def stop(*_: object) -> None:
    raise Stop


def call() -> str:
    try:
        cache.set("key", "value")
        return str(cache.get("key"))
    except Stop:
        return "interrupted"
    except Exception as error:  # noqa: BLE001 - it is reported
        return repr(error)


if __name__ == "__main__":
    main_ident = threading.get_ident()
    sys.meta_path.insert(0, Interrupter(sys.argv[1]))
    signal.signal(signal.SIGALRM, stop)
    outcomes = [call()]
    other = threading.Thread(target=lambda: outcomes.append(call()), daemon=True)
    other.start()
    other.join(HANG_GUARD)
    outcomes.append(call())
    print(json.dumps(outcomes))  # noqa: T201 - it is the result
