"""Flights whose leaders and waiters are interrupted at any moment, by signals, cancellations and errors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.policies.flights import flights
from tests.conftest import MakeCache

# An exception on any line may leave the lock of the coverage measurement locked, and the tests would hang.
pytestmark = pytest.mark.no_cover

KEYS = 3
INTERRUPTIONS = 300
CALLS = 60


class Stop(Exception):
    """Raised by the handler of a signal."""


class Failure(Exception):
    """Raised by a default."""


def compute(chance: random.Random) -> list[int]:
    time.sleep(chance.random() * 0.003)
    if chance.random() < 0.1:
        raise Failure
    return [1]


async def acompute(chance: random.Random) -> list[int]:
    await asyncio.sleep(chance.random() * 0.005)
    if chance.random() < 0.1:
        raise Failure
    return [1]


def options(chance: random.Random) -> dict[str, Any]:
    return {
        "timeout": chance.choice([0.01, 0.03]),
        "stale": chance.choice([0, 0, 0.03]),
        "lease": chance.choice([0, 0, 0, 1]),
        "wait": 30,
    }


def call_often(cache: MomentoCache, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(CALLS):
        try:
            key = f"key{chance.randrange(KEYS)}"
            assert cache.get_or_set(key, lambda: compute(chance), **options(chance)) == [1]
        except Failure:
            pass


async def call_and_cancel(cache: MomentoCache, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(CALLS):
        key = f"key{chance.randrange(KEYS)}"
        task = asyncio.create_task(cache.aget_or_set(key, lambda: acompute(chance), **options(chance)))
        if chance.random() < 0.3:
            asyncio.get_running_loop().call_later(chance.random() * 0.01, task.cancel)
        with contextlib.suppress(Failure, asyncio.CancelledError):
            assert await task == [1]


def run_tasks(cache: MomentoCache, seed: int) -> None:
    async def main() -> None:
        await asyncio.gather(*(call_and_cancel(cache, 100 * seed + number) for number in range(4)))

    asyncio.run(main())


def test_every_caller_gets_the_value_or_its_own_failure(make_cache: MakeCache) -> None:
    """Threads and two event loops whose tasks are cancelled at random moments; and no flight is left."""
    cache = make_cache()
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(call_often, cache, seed) for seed in range(4)]
        running += [pool.submit(run_tasks, cache, seed) for seed in range(2)]
        for each in running:
            each.result()
    gc.collect()

    assert len(flights) == 0


def is_interruptible(frame: FrameType | None) -> bool:
    """Return whether an exception would reach the caller: neither Python nor pytest swallows it."""
    while frame is not None:
        if frame.f_code.co_name in ("__del__", "unraisable_hook"):
            return False
        frame = frame.f_back
    return True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a callback of gc
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of the system")
def test_an_exception_of_a_signals_handler_on_any_line_leaves_no_flight(make_cache: MakeCache) -> None:
    """Neither other threads nor later calls wait for the caller that was interrupted."""
    cache = make_cache()
    # The first call imports modules. An exception in an import can leave Python's own lock of it locked.
    cache.get_or_set("key", lambda: [1], 0.01, lease=1)
    chance = random.Random(99)
    is_armed = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        if is_armed and is_interruptible(frame):
            raise Stop

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(call_often, cache, seed) for seed in range(3)]
            stopped = 0
            while stopped < INTERRUPTIONS:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + chance.random() * 0.004)
                is_armed = True
                try:
                    try:
                        cache.get_or_set(f"key{chance.randrange(KEYS)}", lambda: compute(chance), 0.01)
                    finally:
                        is_armed = False
                except Stop:
                    stopped += 1
                except Failure:
                    pass
            for each in running:
                each.result()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()

    assert threading.current_thread() is threading.main_thread()
    assert len(flights) == 0
