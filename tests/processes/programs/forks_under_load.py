"""Children forked a few at a time while threads and tasks of their parent are calling; prints the outcome."""

import asyncio
import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from typing import Any

import django

django.setup()

from django.core.cache import caches

from django_momento.client import fork_gate

CHILDREN, AT_ONCE, THREADS, TASKS = 200, 4, 4, 20
# Seconds after which a child counts as hung.
CHILD_GUARD = 60

# One instance for all, because caches[alias] takes a lock of asgiref's, which a child may inherit locked.
cache = caches["default"]
stop = threading.Event()
failures: Counter[str] = Counter()
rounds: Counter[str] = Counter()


def sync_load(name: str) -> None:
    while not stop.is_set():
        try:
            cache.set(name, rounds[name])
            assert cache.get(name) == rounds[name]
            assert cache.get_many([name, "none"]) == {name: rounds[name]}
            assert cache.touch(name)
        except Exception as error:  # noqa: BLE001 - counted, whatever it is
            failures[f"{name}: {error!r}"] += 1
        rounds[name] += 1


async def async_load(name: str) -> None:
    while not stop.is_set():
        try:
            await cache.aset(name, rounds[name])
            assert await cache.aget(name) == rounds[name]
            assert await cache.aget_many([name, "none"]) == {name: rounds[name]}
            assert await cache.aincr(name) == rounds[name] + 1
        except Exception as error:  # noqa: BLE001 - counted, whatever it is
            failures[f"{name}: {error!r}"] += 1
        rounds[name] += 1


async def tasks() -> None:
    await asyncio.gather(*(async_load(f"task-{number}") for number in range(TASKS)))


def child() -> None:
    status = 1
    try:
        key = f"child-{os.getpid()}"
        cache.set(key, key)
        status = 0 if cache.get(key) == key else 2
    except BaseException:  # noqa: BLE001 - a child must end here, whatever happens
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(children: dict[int, float]) -> dict[int, Any]:
    """Return the exit statuses of the children that have ended, and end those that hang."""
    statuses = {}
    for pid, started in children.items():
        hung = time.monotonic() - started > CHILD_GUARD
        if hung:
            os.kill(pid, signal.SIGABRT)
        waited, status = os.waitpid(pid, 0 if hung else os.WNOHANG)
        if waited:
            statuses[pid] = "hung" if hung else os.waitstatus_to_exitcode(status)
    return statuses


def main() -> None:
    load = [threading.Thread(target=sync_load, args=(f"thread-{number}",)) for number in range(THREADS)]
    load.append(threading.Thread(target=asyncio.run, args=(tasks(),)))
    for thread in load:
        thread.start()
    while len(rounds) < THREADS + TASKS:
        time.sleep(0.01)

    statuses: Counter[Any] = Counter()
    children: dict[int, float] = {}
    started = 0
    while started < CHILDREN or children:
        while started < CHILDREN and len(children) < AT_ONCE:
            pid = os.fork()
            if not pid:
                child()
            children[pid] = time.monotonic()
            started += 1
        for pid, status in ended(children).items():
            statuses[status] += 1
            del children[pid]
        time.sleep(0.002)

    stop.set()
    for thread in load:
        thread.join()
    json.dump({"statuses": list(statuses.items()), "failures": failures}, sys.stdout)


if __name__ == "__main__":
    # However busy the machine is, a fork waits for the calls, and a call for the fork.
    fork_gate.MAX_WAIT = fork_gate.MAX_HOLD = CHILD_GUARD
    faulthandler.enable()
    main()
