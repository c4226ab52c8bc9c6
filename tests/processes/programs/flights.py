"""Interrupts get_or_set on any line by a signal, as often as the first argument says, while threads call too.

In a process of its own: raised within the measurement of coverage, an exception leaves its lock locked.
"""

import gc
import json
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import django

django.setup()

from django.core.cache import caches

from django_momento.policies.flights import flights

# Not Django's proxy: asgiref's lock below it may stay locked when it is interrupted.
cache: Any = caches["default"]

KEYS = 3


class Stop(Exception):
    """Raised by the handler of a signal."""


class Failure(Exception):
    """Raised by a default."""


def is_interruptible(frame: FrameType | None) -> bool:
    """Return whether an exception would reach the caller: Python swallows those of destructors."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return False
        frame = frame.f_back
    return True


def compute(chance: random.Random) -> list[int]:
    time.sleep(chance.random() * 0.003)
    if chance.random() < 0.1:
        raise Failure
    return [1]


def get(chance: random.Random) -> list[int]:
    key = f"key{chance.randrange(KEYS)}"
    value: list[int] = cache.get_or_set(key, lambda: compute(chance), chance.choice([0.01, 0.03]), wait=30)
    return value


def call_often(seed: int, calls: int) -> int:
    """Return how many calls got their value: all that did not get their own failure."""
    chance = random.Random(seed)
    got = 0
    for _ in range(calls):
        try:
            got += get(chance) == [1]
        except Failure:
            got += 1
    return got


def interrupt_often(count: int) -> None:
    chance = random.Random(99)
    is_armed = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        if is_armed and is_interruptible(frame):
            raise Stop

    signal.signal(signal.SIGALRM, interrupt)
    stopped = 0
    while stopped < count:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + chance.random() * 0.004)
        is_armed = True
        try:
            try:
                get(chance)
            finally:
                is_armed = False
        except Stop:
            stopped += 1
        except Failure:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    # The first call imports modules. An exception in an import can leave Python's own lock of it locked.
    cache.get_or_set("key", lambda: [1], 0.01, lease=1)
    interruptions, calls = map(int, sys.argv[1:])
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(call_often, seed, calls) for seed in range(3)]
        interrupt_often(interruptions)
        answered = [each.result() for each in running]
    gc.collect()
    print(json.dumps({"answered": answered, "flights": len(flights)}))  # noqa: T201 - it is the result
