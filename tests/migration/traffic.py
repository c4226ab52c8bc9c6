"""Traffic of threads on one cache, and the proof that each value that they read is right.

Each value holds its key, its number and the time of its end. A write of a key waits for the write before. So
a read may find no number below the last one that was written before the read began, and none above the last
one that was begun before the read ended.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

KEYS = 300
SHORT, LONG = 3, 600
# Seconds by which a value may be seen after its end, beside the time for which a call is held up: Redis' and
# this process's clocks, and the call itself.
TOLERANCE = 1.0


@dataclass
class Entry:
    """One key: the numbers of its writes, and the write that holds.

    A call that is held up may store a value late, and the value then ends as late. ``running`` holds the
    start of each call that goes on, ``slowest`` the longest duration of one since the last write began, and
    ``slowest_before`` that of the write before.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    written: int = 0
    # The number of the newest write if that was a deletion.
    deleted: int = 0
    ends_at: float = 0.0
    running: list[float] = field(default_factory=list)
    slowest: float = 0.0
    slowest_before: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Note the duration of a call of this key."""
        self.running.append(began := time.monotonic())
        try:
            yield
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.running.remove(began)

    @property
    def delay(self) -> float:
        """The seconds for which a call of this key may have been held up."""
        now = time.monotonic()
        return max(self.slowest, self.slowest_before, *(now - began for began in self.running.copy()))


class Traffic:
    """Threads that read, write and delete until they are stopped."""

    def __init__(self, cache: Any, threads: int = 8, seed: int = 1) -> None:
        self._cache = cache
        self._entries = [Entry() for _ in range(KEYS)]
        self._weights = [1 / (rank + 10) for rank in range(KEYS)]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._local = threading.local()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(seed + n,)) for n in range(threads)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def run(self, calls: int, until: Callable[[], object] = lambda: True) -> float:
        """Wait for so many calls, and until a condition holds; return the share of reads that were hits."""
        with self._lock:
            before = self.counts.copy()
        deadline = time.monotonic() + 300
        while self.counts["calls"] - before["calls"] < calls or not until():
            assert time.monotonic() < deadline, f"stuck: {self.counts}"
            time.sleep(0.02)
        with self._lock:
            made = self.counts - before
        return made["hits"] / max(1, made["hits"] + made["misses"])

    def _do(self, verb: str, *args: Any) -> Any:
        """Call a verb, in every fourth thread the async one, in the thread's own event loop."""
        run = getattr(self._local, "run", None)
        if run is None:
            return getattr(self._cache, verb)(*args)
        return run(getattr(self._cache, f"a{verb}")(*args))

    def _work(self, seed: int) -> None:
        if seed % 4:
            self._make_calls(seed)
            return
        loop = asyncio.new_event_loop()
        self._local.run = loop.run_until_complete
        try:
            self._make_calls(seed)
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    def _make_calls(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._stopping.is_set():
            number = chance.choices(range(KEYS), self._weights)[0]
            try:
                self._call(chance, number)
            except Exception as error:  # noqa: BLE001 - no call may fail
                with self._lock:
                    self.failed.append(f"{type(error).__name__}: {error}")
            with self._lock:
                self.counts["calls"] += 1

    def _call(self, chance: random.Random, number: int) -> None:
        dice = chance.random()
        if dice < 0.80:
            self._read(chance, number)
        elif dice < 0.84:
            numbers = {number, *chance.sample(range(KEYS), 4)}
            self._read_many(sorted(numbers))
        elif dice < 0.97:
            self._write(chance, number)
        else:
            self._delete(number)

    def _read(self, chance: random.Random, number: int) -> None:
        entry = self._entries[number]
        floor, should_be = entry.written, self._should_be(entry)
        began = time.time()
        with entry.timed():
            value = self._do("get", f"key:{number}")
        self._check(number, floor, began, value)
        self._count(value, should_be)
        if value is None:
            self._write(chance, number)

    def _read_many(self, numbers: list[int]) -> None:
        before = {
            number: (self._entries[number].written, self._should_be(self._entries[number]))
            for number in numbers
        }
        began = time.time()
        with ExitStack() as stack:
            for number in numbers:
                stack.enter_context(self._entries[number].timed())
            found = self._do("get_many", [f"key:{number}" for number in numbers])
        for number in numbers:
            value = found.get(f"key:{number}")
            self._check(number, before[number][0], began, value)
            self._count(value, before[number][1])

    def _should_be(self, entry: Entry) -> bool:
        return entry.written == entry.begun != entry.deleted and entry.ends_at > time.time() + 2 * TOLERANCE

    def _count(self, value: object, should_be: bool) -> None:
        if should_be:
            with self._lock:
                self.counts["misses" if value is None else "hits"] += 1

    def _check(self, number: int, floor: int, began: float, value: Any) -> None:
        entry = self._entries[number]
        ceiling = entry.begun
        if value is None:
            return
        key, count, ends_at = value
        problem = ""
        if key != number:
            problem = "is of another key"
        elif not floor <= count <= ceiling:
            problem = f"is not between {floor} and {ceiling}"
        elif count == floor == entry.deleted:
            problem = "was deleted"
        elif ends_at + TOLERANCE + entry.delay < began:
            problem = f"ended {began - ends_at:.1f} s before"
        if problem:
            with self._lock:
                self.wrong.append(f"key {number}: value {count} {problem}")

    def _write(self, chance: random.Random, number: int) -> None:
        entry = self._entries[number]
        with entry.lock, entry.timed():
            entry.begun = count = entry.begun + 1
            entry.slowest, entry.slowest_before = 0.0, entry.slowest
            timeout = SHORT if number % 10 == 0 else LONG
            ends_at = time.time() + timeout
            if chance.random() < 0.8:
                self._do("set", f"key:{number}", (number, count, ends_at), timeout)
            else:
                self._do("set_many", {f"key:{number}": (number, count, ends_at)}, timeout)
            entry.ends_at = ends_at
            entry.written = count

    def _delete(self, number: int) -> None:
        entry = self._entries[number]
        with entry.lock:
            entry.begun = count = entry.begun + 1
            self._do("delete", f"key:{number}")
            entry.deleted = count
            entry.written = count
