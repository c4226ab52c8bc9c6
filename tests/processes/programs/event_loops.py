"""Hundreds of event loops, one after the other; prints what the process has after every hundred."""

import asyncio
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

import django
from asgiref.sync import async_to_sync

django.setup()

from django.core.cache import cache

LOOPS = 500
WARM_UP = 100


async def use(number: int) -> None:
    key = f"loop-{number}"
    await cache.aset(key, number)
    results = await asyncio.gather(cache.aget(key), cache.aget_many([key, "none"]), cache.ahas_key(key))
    assert results == [number, {key: number}, True]
    assert await cache.aincr(key) == number + 1
    assert await cache.adelete(key)


def count_threads() -> int:
    """Return the number of Python's threads but those that wait some seconds for the next batch."""
    return sum(not thread.name.startswith("momento-reader") for thread in threading.enumerate())


def now() -> dict[str, int]:
    # Threads of gRPC's that have nothing to do any more end a moment later. Only the main thread stays.
    gc.collect()
    for _ in range(6000):
        if count_threads() == 1:
            break
        time.sleep(0.01)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a count, of what pathlib may open
        "python_threads": count_threads(),
        "threads": int(status["Threads"]),
        "kilobytes": int(status["VmRSS"].split()[0]),
    }


if __name__ == "__main__":
    seen = []
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else LOOPS):
        if number % WARM_UP == 0:
            seen.append(now())
        if number % 2:
            async_to_sync(use)(number)
        else:
            asyncio.run(use(number))
    seen.append(now())
    json.dump(seen, sys.stdout)
