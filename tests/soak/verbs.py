"""Every verb of both faces, each with a check of its result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django_momento.cache import MomentoCache
from django_momento.exceptions import MomentoCacheError

# Arguments and results, in an order that makes the results follow.
VERBS: dict[str, tuple[Callable[[str], tuple[Any, ...]], Callable[[str], Any]]] = {
    "set": (lambda key: (key, 1, 60), lambda key: None),
    "get": (lambda key: (key,), lambda key: 1),
    "add": (lambda key: (key, 2), lambda key: False),
    "incr": (lambda key: (key, 2), lambda key: 3),
    "touch": (lambda key: (key, 60), lambda key: True),
    "has_key": (lambda key: (key,), lambda key: True),
    "set_many": (lambda key: ({f"{key}1": 1, f"{key}2": 2},), lambda key: []),
    "get_many": (lambda key: ([f"{key}1", f"{key}2"],), lambda key: {f"{key}1": 1, f"{key}2": 2}),
    "get_or_set": (lambda key: (f"{key}3", 3), lambda key: 3),
    "delete_many": (lambda key: ([f"{key}1", f"{key}2"],), lambda key: None),
    "delete": (lambda key: (key,), lambda key: True),
}


class Record:
    """The outcomes of calls since the last ``take``: errors, wrong results and the longest call."""

    def __init__(self) -> None:
        self.calls = 0
        self.longest = 0.0
        self.longest_verb = ""
        # The end of the last call that failed, by time.perf_counter().
        self.failed_at = 0.0
        self.errors: Counter[str] = Counter()
        self.foreign: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def add(self, verb: str, seconds: float, error: BaseException | None) -> None:
        self.calls += 1
        if seconds > self.longest:
            self.longest, self.longest_verb = seconds, verb
        if error is not None:
            self.failed_at = time.perf_counter()
        if isinstance(error, MomentoCacheError):
            self.errors[type(error).__name__] += 1
        elif error is not None:
            self.foreign[f"{verb}: {type(error).__name__}: {error}"[:300]] += 1

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self)}


def use(cache: MomentoCache, record: Record) -> str:
    """Call every verb; return the text of the last error, or an empty text if all went well."""
    problem, key = "", uuid4().hex
    for verb, (arguments, expected) in VERBS.items():
        started, error = time.perf_counter(), None
        try:
            result = getattr(cache, verb)(*arguments(key))
        except Exception as raised:  # noqa: BLE001 - it is recorded
            error = raised
        problem = _finish(record, verb, started, error, problem) if error else problem
        if error is None:
            record.add(verb, time.perf_counter() - started, None)
            if not problem and result != expected(key):
                problem = f"{verb} returned {result!r}"
                record.wrong[problem[:200]] += 1
    return problem


async def ause(cache: MomentoCache, record: Record) -> str:
    """See ``use``; of the async face."""
    problem, key = "", uuid4().hex
    for verb, (arguments, expected) in VERBS.items():
        started, error = time.perf_counter(), None
        try:
            result = await getattr(cache, f"a{verb}")(*arguments(key))
        except Exception as raised:  # noqa: BLE001 - it is recorded
            error = raised
        problem = _finish(record, f"a{verb}", started, error, problem) if error else problem
        if error is None:
            record.add(f"a{verb}", time.perf_counter() - started, None)
            if not problem and result != expected(key):
                problem = f"a{verb} returned {result!r}"
                record.wrong[problem[:200]] += 1
    return problem


def _finish(record: Record, verb: str, started: float, error: Exception, problem: str) -> str:
    # After an error the results of later verbs prove nothing: an item may be missing for it.
    expected_of_a_missing_item = isinstance(error, ValueError) and bool(problem)
    record.add(verb, time.perf_counter() - started, None if expected_of_a_missing_item else error)
    return f"{verb}: {type(error).__name__}: {error}"


class Load:
    """Threads and tasks that call every verb for ever; ``take`` returns their record so far."""

    def __init__(self, make_cache: Callable[[], MomentoCache], threads: int, tasks: int) -> None:
        self._make_cache = make_cache
        self.record = Record()
        for _ in range(threads):
            threading.Thread(target=self._call, daemon=True).start()
        threading.Thread(target=lambda: asyncio.run(self._acall(tasks)), daemon=True).start()

    def take(self) -> Record:
        record, self.record = self.record, Record()
        return record

    def _call(self) -> None:
        cache = self._make_cache()
        while True:
            use(cache, self.record)
            time.sleep(0.005)

    async def _acall(self, tasks: int) -> None:
        async def call() -> None:
            cache = self._make_cache()
            while True:
                await ause(cache, self.record)
                await asyncio.sleep(0.005)

        await asyncio.gather(*(call() for _ in range(tasks)))
