"""Threads and tasks that use a cache all the time, and note what becomes of every call."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import TracebackType
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from tests.kit.waiting import patience

THREADS, TASKS = 8, 50

# Seconds between the calls of a thread or task: so that many can call without wearing the machine out.
PAUSE = 0.01


class Load:
    """``calls`` were answered, ``errors`` raised; ``went_back`` are counters that lost what they had counted.

    A counter that is missing may have been lost with the server, and starts again; in an outage it cannot be
    told from one that cannot be asked for, and is left alone. So with a cache that fails open as well.
    """

    def __init__(self, cache: MomentoCache, threads: int = THREADS, tasks: int = TASKS) -> None:
        self.cache = cache
        self.calls = 0
        self.errors: Counter[type[BaseException]] = Counter()
        self.went_back: list[tuple[str, int, int]] = []
        self.rounds: Counter[str] = Counter()
        self._workers = threads + tasks
        self._stop = Event()
        self._counted: dict[str, int] = {}
        self._threads = [Thread(target=self._thread, args=(f"thread-{number}",)) for number in range(threads)]
        self._threads.append(Thread(target=lambda: asyncio.run(self._tasks(tasks))))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.go_round()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_round(self, times: int = 1) -> None:
        """Wait until every thread and task has made each of its calls that often, however they ended."""
        before = dict(self.rounds)
        self.wait(
            lambda: (
                len(self.rounds) == self._workers
                and all(count - before.get(name, 0) > times for name, count in self.rounds.items())
            )
        )

    def recover(self) -> None:
        """Wait until every thread and task has counted on, which no failure and no neutral answer lets it.

        The counts are of calls that began after this, however long a response was on its way before.
        """
        self.go_round()
        before = dict(self._counted)
        self.wait(
            lambda: (
                len(self._counted) == self._workers
                and all(count != before.get(name) for name, count in self._counted.items())
            )
        )

    def wait(self, holds: Callable[[], bool]) -> None:
        for _ in patience():
            if holds():
                return
        pytest.fail(f"it did not come to that: {self.errors}, {self.rounds}")

    def forget_counters(self) -> None:
        """Expect that they begin again: the server has lost them."""
        self._counted = {}

    def _thread(self, name: str) -> None:
        cache = self.cache
        verbs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (cache.set, (name, name)),
            (cache.get, (name,)),
            (cache.get_many, ([name, "none"],)),
            (cache.touch, (name,)),
            (cache.delete_many, (["none", "neither"],)),
            (cache.add, (f"{name}-count", 0, None)),
            (cache.incr, (f"{name}-count",)),
        ]
        for verb, args in itertools.cycle(verbs):
            if self._stop.wait(PAUSE):
                return
            with self._noted(name, verb == cache.incr):
                self._answered(name, verb.__name__, verb(*args))

    async def _tasks(self, tasks: int) -> None:
        await asyncio.gather(*(self._task(f"task-{number}") for number in range(tasks)))

    async def _task(self, name: str) -> None:
        cache = self.cache
        verbs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (cache.aset, (name, name)),
            (cache.aget, (name,)),
            (cache.aget_many, ([name, "none"],)),
            (cache.ahas_key, (name,)),
            (cache.adelete_many, (["none", "neither"],)),
            (cache.aadd, (f"{name}-count", 0, None)),
            (cache.aincr, (f"{name}-count",)),
        ]
        for verb, args in itertools.cycle(verbs):
            if self._stop.is_set():
                return
            with self._noted(name, verb == cache.aincr):
                self._answered(name, verb.__name__, await verb(*args))
            await asyncio.sleep(2 * PAUSE)

    @contextmanager
    def _noted(self, name: str, is_last: bool) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - noted, whatever it is
            # What Django promises for a counter that is missing, and for one that cannot be asked for.
            if not (type(error) is ValueError and "not found" in str(error)):
                self.errors[type(error)] += 1
        if is_last:
            self.rounds[name] += 1

    def _answered(self, name: str, verb: str, answer: Any) -> None:
        self.calls += 1
        if verb.endswith("incr"):
            if answer <= self._counted.get(name, 0):
                self.went_back.append((name, self._counted[name], answer))
            self._counted[name] = answer
