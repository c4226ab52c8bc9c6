"""Calls or forks, each interrupted by a signal whose handler raises, as many as the second argument says."""

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable

import django

from django_momento.client.fork_gate import gate

django.setup()

from django.core.cache import caches

# Not Django's proxy: asgiref's lock below it may stay locked when it is interrupted.
cache = caches["default"]

# Seconds. In each process of the test the program has this long for one call after all the interrupts.
CALL_GUARD = 60


class Interrupted(BaseException):
    """As SoftTimeLimitExceeded, but nobody's ``except Exception`` catches it."""


def interrupt(*_: object) -> None:
    raise Interrupted


def call() -> None:
    cache.get("key")


def batch() -> None:
    cache.delete_many(["key", "another"])


def fork() -> None:
    child = 0
    with contextlib.suppress(Interrupted):
        child = os.fork()
        if not child:
            os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child or -1, 0)


ACTS: dict[str, tuple[Callable[[], None], float]] = {
    "calls": (call, 0.001),
    "batches": (batch, 0.001),
    "forks": (fork, 0.0005),
}


def interrupt_many(act: Callable[[], None], count: int, longest: float) -> None:
    interrupted = 0
    while interrupted < count:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, longest))
            act()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            interrupted += 1
        else:
            # A fork prints the exception of a handler and goes on.
            interrupted += act is fork


def works() -> bool:
    """Return whether a call and a child's call go through."""
    done = threading.Event()
    cache.set("key", "value")
    threading.Thread(target=lambda: cache.get("key") == "value" and done.set(), daemon=True).start()
    child = os.fork()
    if not child:
        os._exit(cache.get("key") != "value")
    return done.wait(CALL_GUARD) and os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    cache.set("key", "value")
    signal.signal(signal.SIGALRM, interrupt)
    act, longest = ACTS[sys.argv[1]]
    interrupt_many(act, int(sys.argv[2]), longest)
    until = time.monotonic() + CALL_GUARD
    while gate.in_flight and time.monotonic() < until:
        time.sleep(0.01)
    print(json.dumps({"in_flight": gate.in_flight, "works": works()}))  # noqa: T201 - it is the result
