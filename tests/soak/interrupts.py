"""``python -m tests.soak.interrupts --count 100000``: exceptions from the handler of a signal, anywhere.

The main thread calls every verb of the sync face, and is interrupted at random moments. Other threads and an
event loop use the same client meanwhile. The command fails if a thread gets stuck, if a verb does not work at
the end, or if a call stays in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from tests.processes.momento import Momento
from tests.soak.verbs import VERBS, Record, ause, use

settings.configure(SECRET_KEY="only-for-tests", USE_TZ=True)

from django_momento.cache import MomentoCache
from django_momento.client.fork_gate import gate

CLIENT_TIMEOUT = 1.1

# Seconds without the end of a call after which a thread counts as stuck. A verb has at most three calls.
STUCK = 3 * CLIENT_TIMEOUT + 2.0

# Seconds until an interrupt: about as long as a verb takes.
MAX_DELAY = 0.003

SAY_EVERY = 20.0


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is a command


class Interrupted(BaseException):
    """As KeyboardInterrupt, which no ``except Exception`` catches."""


class TimeLimit(Exception):
    """As the soft time limit of a task queue."""


class Watch:
    """Ends the process with the stacks of all threads if one of them does not get on."""

    def __init__(self) -> None:
        self.is_over = False
        self.longest: dict[str, float] = {}
        self._last: dict[str, float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def record(self, who: str) -> None:
        now = time.monotonic()
        self.longest[who] = max(self.longest.get(who, 0.0), round(now - self._last.get(who, now), 2))
        self._last[who] = now

    def _look(self) -> None:
        while not self.is_over:
            time.sleep(0.5)
            now = time.monotonic()
            for who, last in list(self._last.items()):
                if now - last > STUCK and not self.is_over:
                    say(f"{who} is stuck")
                    faulthandler.dump_traceback(all_threads=True)
                    os._exit(1)


def call_all(cache: MomentoCache, watch: Watch, record: Record, name: str) -> None:
    while not watch.is_over:
        use(cache, record)
        watch.record(name)
        time.sleep(0.01)


async def acall_all(cache: MomentoCache, watch: Watch, record: Record) -> None:
    while not watch.is_over:
        await ause(cache, record)
        watch.record("tasks")
        await asyncio.sleep(0.01)


class Interrupts:
    """Interrupts so far: raised by the handler, come out of a verb, and the errors in their place."""

    def __init__(self) -> None:
        self.raised = 0
        self.come_out = 0
        self.errors: Counter[str] = Counter()

    def __str__(self) -> str:
        lost = self.raised - self.come_out
        return f"{self.come_out} interrupts came out of a verb, {lost} did not; errors: {dict(self.errors)}"

    def handle(self, *_: object) -> None:
        self.raised += 1
        raise random.choice((Interrupted, TimeLimit))

    def run(self, cache: MomentoCache, watch: Watch, count: int, kept: int) -> None:
        """Interrupt that many calls, and keep the last exceptions, as a tracker of errors does."""
        exceptions: list[BaseException | None] = [None] * kept
        said = time.monotonic()
        while self.raised < count:
            key = uuid4().hex
            for verb, (arguments, _) in VERBS.items():
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, MAX_DELAY))
                        getattr(cache, verb)(*arguments(key))
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except (Interrupted, TimeLimit) as error:
                    self.come_out += 1
                    exceptions[self.come_out % kept] = error
                except ValueError:  # of incr, for a key whose set was interrupted
                    pass
                except Exception as error:  # noqa: BLE001 - it is counted
                    self.errors[f"{verb}: {type(error).__name__}: {error}"[:200]] += 1
                watch.record("main thread")
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                say(f"{self}; {gate.in_flight} calls in flight; {megabytes} MB; longest {watch.longest}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.interrupts", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--keep", type=int, default=50, help="exceptions that are kept, with their frames")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Momento(Path(name)) as momento:
        options: dict[str, Any] = {
            "CREDENTIALS": "local",
            "ENDPOINT": momento.address,
            "CLIENT_TIMEOUT": CLIENT_TIMEOUT,
        }
        cache, watch, record, interrupts = (
            MomentoCache("tests", {"OPTIONS": options}),
            Watch(),
            Record(),
            Interrupts(),
        )
        cache.set("k", 1)
        others = [
            threading.Thread(target=call_all, args=(cache, watch, record, f"thread {number}"), daemon=True)
            for number in range(2)
        ]
        others.append(
            threading.Thread(target=lambda: asyncio.run(acall_all(cache, watch, record)), daemon=True)
        )
        for thread in others:
            thread.start()
        signal.signal(signal.SIGALRM, interrupts.handle)
        interrupts.run(cache, watch, arguments.count, arguments.keep)
        watch.is_over = True
        for thread in others:
            thread.join(STUCK)
        final = Record()
        problem = use(cache, final) or asyncio.run(ause(cache, final))
        until = time.monotonic() + STUCK
        while gate.in_flight and time.monotonic() < until:
            time.sleep(0.1)
    say(f"{interrupts}; the longest took {watch.longest} s")
    say(f"other threads: {record.calls} calls; errors {dict(record.errors)}; {dict(record.foreign)}")
    say(f"at the end {problem or 'every verb works'}, and {gate.in_flight} calls are in flight")
    return bool(problem or gate.in_flight)


if __name__ == "__main__":
    sys.exit(main())
