"""The process of a soak that meets the faults: it calls the cache, and obeys commands from its input."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings

CLIENT_TIMEOUT = 1.1

# Seconds for a check of all verbs, and for a child to do its work.
CHECK_LIMIT = 90
CHILD_LIMIT = 30

settings.configure(SECRET_KEY="only-for-tests", USE_TZ=True)

from django_momento.cache import MomentoCache
from django_momento.client import rotation
from django_momento.client.fork_gate import gate
from tests.soak.verbs import Load, Record, ause, use

# A wrong secret is to be met many times in a soak, and not once a minute.
rotation.MAX_BACKOFF = 2.0


def make_cache() -> MomentoCache:
    options = {"CREDENTIALS": "tests.soak.secret.read", "CLIENT_TIMEOUT": CLIENT_TIMEOUT}
    return MomentoCache("tests", {"OPTIONS": options})


class Interrupted(BaseException):
    """As the time limit of a task queue, whose handler of a signal raises it."""


def check() -> dict[str, Any]:
    """Call every verb of both faces until all of them work.

    Return the seconds until the end of the last call that failed, and the seconds that all verbs took then.
    """
    cache, record, started = make_cache(), Record(), time.perf_counter()
    while True:
        began = time.perf_counter()
        problem = use(cache, record) or asyncio.run(ause(cache, record))
        now = time.perf_counter()
        if not problem or now - started > CHECK_LIMIT:
            return {
                "seconds": max(0.0, record.failed_at - started),
                "pass": now - began,
                "problem": problem,
                "record": record.as_dict(),
            }
        time.sleep(0.02)


def exhaust_threads(seconds: float) -> None:
    """Let no thread be started, as at a limit of processes."""

    # A Mock would keep the arguments of each call, and one error the frames of each raise: 100 MB in a fault.
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    # Where CPython starts a thread.
    name = "_start_new_thread" if sys.version_info < (3, 13) else "_start_joinable_thread"
    with mock.patch(f"threading.{name}", refuse):
        use(make_cache(), Record())
        time.sleep(seconds)


def interrupt(count: int) -> None:
    """Raise from the handler of a signal, wherever the main thread is in a call."""

    def handle(*_: object) -> None:
        raise Interrupted

    cache = make_cache()
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for _ in range(count):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.01))
                use(cache, Record())
                signal.setitimer(signal.ITIMER_REAL, 0)
            except (Interrupted, RuntimeError):
                continue
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call_from_handlers(seconds: float) -> None:
    """Use the cache from the handler of a signal, wherever the main thread is in a call."""
    cache, record = make_cache(), Record()

    def handle(*_: object) -> None:
        # Armed again at its end: handlers within handlers would only be a deep stack.
        use(cache, record)
        if time.perf_counter() < until:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.05))

    before = signal.signal(signal.SIGALRM, handle)
    until = time.perf_counter() + seconds
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        while time.perf_counter() < until:
            use(cache, record)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fork(count: int) -> None:
    """Fork children that use the cache, under load."""
    for _ in range(count):
        child = os.fork()
        if not child:
            signal.alarm(CHILD_LIMIT)
            os._exit(bool(use(make_cache(), Record())))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise AssertionError(f"a child ended with {status}")


def step_clock(offset: float, seconds: float) -> None:
    """Show another time, as to a test that travels through time."""
    real = time.time
    with mock.patch("time.time", lambda: real() + offset):  # noqa: PT008 - it goes on
        time.sleep(seconds)


def resources() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a directory of the kernel
        "threads": threading.active_count(),
        "rss_kb": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "in_flight": gate.in_flight,
    }


COMMANDS: dict[str, Callable[..., Any]] = {
    "check": check,
    "exhaust_threads": exhaust_threads,
    "interrupt": interrupt,
    "call_from_handlers": call_from_handlers,
    "fork": fork,
    "step_clock": step_clock,
    "resources": resources,
}


def main() -> None:
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # For everything else that prints.
    load = Load(make_cache, threads=3, tasks=10)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            result = load.take().as_dict() if name == "take" else COMMANDS[name](*arguments)
            answer = {"result": result}
        except Exception as error:  # noqa: BLE001 - the soak reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        output.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
