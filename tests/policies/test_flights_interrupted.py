"""Flights whose leaders and waiters are cancelled, or fail, at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django_momento.cache import MomentoCache
from django_momento.policies.flights import flights
from tests.conftest import MakeCache

KEYS = 3
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
