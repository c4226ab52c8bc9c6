"""Random walks of several processes that share tags: no value outlives its invalidation by more than is said.

Time is simulated. A process that crashes forgets all that it knew. Momento loses keys, lets them expire, and
reads lag behind. The walks are then made with the recipe that the documentation once had, and find its fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol
from unittest.mock import patch

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from django_momento.policies import versions as module
from django_momento.policies.versions import versions
from tests.conftest import local_options
from tests.kit.clock import Clock
from tests.kit.raw import find_memory
from tests.kit.tables import table

TAG_SECONDS = 1.0
# Seconds that a value and a version live.
MAX_TTL = 60.0
KEYS = [f"key{number}" for number in range(4)]
TAGS = ["red", "green", "blue"]
# Stands for all tags, as a clear() does.
ALL = "*"
# Of each key, always the same.
TAGS_OF = {key: TAGS[: 1 + number % 3] for number, key in enumerate(KEYS)}
STEPS = 150
SEEDS = range(3)


class Stale(AssertionError):
    """A value was served later after its invalidation than is said."""


class Process(Protocol):
    """One process with its memory."""

    def get_many(self, keys: list[str]) -> dict[str, Any]: ...
    def fill(self, key: str, compute: Callable[[], Any]) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...
    def invalidate(self, tag: str) -> None: ...
    def crash(self) -> None: ...


class TaggedProcess:
    """A process that uses tags."""

    options: ClassVar[dict[str, Any]] = {}
    scopes = TAGS

    def __init__(self, cache: MomentoCache) -> None:
        self._cache = cache

    def get_many(self, keys: list[str]) -> dict[str, Any]:
        if len(keys) == 1:
            value = self._cache.get(keys[0])
            return {} if value is None else {keys[0]: value}
        return self._cache.get_many(keys)

    def fill(self, key: str, compute: Callable[[], Any]) -> Any:
        return self._cache.get_or_set(key, compute, tags=TAGS_OF[key])

    def set(self, key: str, value: Any) -> None:
        self._cache.set(key, value, tags=TAGS_OF[key])

    def invalidate(self, tag: str) -> None:
        self._cache.invalidate_tags(tag)

    def crash(self) -> None:
        versions.get(self._cache.options).forget()


class PrefixedProcess(TaggedProcess):
    """A process that uses tags, and clears the prefix of all processes."""

    options: ClassVar[dict[str, Any]] = {"CLEAR": "prefix"}
    scopes = [*TAGS, ALL]

    def invalidate(self, tag: str) -> None:
        if tag == ALL:
            self._cache.clear()
        else:
            super().invalidate(tag)


class NearProcess(PrefixedProcess):
    """A process that keeps values in its memory, too, for much longer than TAG_SECONDS."""

    options: ClassVar[dict[str, Any]] = {"CLEAR": "prefix", "NEAR_SECONDS": 3600}

    def crash(self) -> None:
        super().crash()
        find_memory(self._cache).forget()


class CountingProcess:
    """A process with a counter in each key, as the guide from django-redis once recommended."""

    options: ClassVar[dict[str, Any]] = {}
    scopes = TAGS

    def __init__(self, cache: MomentoCache) -> None:
        self._cache = cache

    def _key(self, key: str) -> str:
        counters = [str(self._cache.get_or_set(f"generation:{tag}", 1)) for tag in TAGS_OF[key]]
        return ":".join([key, *counters])

    def get_many(self, keys: list[str]) -> dict[str, Any]:
        names = {self._key(key): key for key in keys}
        return {names[name]: value for name, value in self._cache.get_many(names).items()}

    def fill(self, key: str, compute: Callable[[], Any]) -> Any:
        return self._cache.get_or_set(self._key(key), compute)

    def set(self, key: str, value: Any) -> None:
        self._cache.set(self._key(key), value)

    def invalidate(self, tag: str) -> None:
        try:
            self._cache.incr(f"generation:{tag}")
        except ValueError:
            self._cache.set(f"generation:{tag}", 1)

    def crash(self) -> None:
        pass


class World:
    """The processes, the time, and the truth: which value was computed before which invalidation."""

    def __init__(self, seed: int, kind: type[Any], lag: float, evict: float) -> None:
        self.random = random.Random(seed)
        self.clock, self.wall = Clock(), Clock()
        self.lag = lag
        self._invalidated: dict[str, float] = dict.fromkeys([*TAGS, ALL], float("-inf"))
        self._begun: list[dict[str, float]] = []
        self._depth = 0
        self.hits = 0
        self._server = LocalServer(
            caches=["tests"], replica_lag=round(lag * 1000), evict=evict, clock=self.clock.milliseconds
        )
        self._kind = kind
        self.processes: list[Process] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        with (
            self._server as server,
            patch.object(module, "monotonic", self.clock),
            patch.object(module, "wall", self.wall),
        ):
            for number in range(3):
                # Another timeout makes it another client, with a memory of its own.
                options = local_options(
                    server,
                    CLIENT_TIMEOUT=30 + number,
                    TAG_SECONDS=TAG_SECONDS,
                    MAX_TTL=MAX_TTL,
                    **self._kind.options,
                )
                cache = MomentoCache("tests", {"OPTIONS": options, "TIMEOUT": MAX_TTL})
                self.processes.append(self._kind(cache))
            try:
                yield
            finally:
                clients.close()
                versions.forget()

    def compute(self) -> int:
        """Return a new value, which holds the data of this moment."""
        self._begun.append(dict(self._invalidated))
        return len(self._begun) - 1

    def check(self, key: str, value: int) -> None:
        """Raise Stale if a value is older than an invalidation that all must have seen."""
        self.hits += 1
        for tag in [*TAGS_OF[key], ALL]:
            at = self._invalidated[tag]
            late = self.clock.now - at
            if self._begun[value][tag] < at and late > TAG_SECONDS + self.lag:
                raise Stale(f"{key} has a value from before {tag} was invalidated {late:g} s ago")

    def step(self) -> None:
        """Do one thing that may happen."""
        draw, process = self.random, self.random.choice(self.processes)
        key, tag = draw.choice(KEYS), draw.choice(self._kind.scopes)
        action = draw.choices(
            ["get", "get_many", "fill", "set", "invalidate", "tick", "wait", "crash", "wall"],
            [8, 4, 6, 1, 4, 8, 1, 1, 1],
        )[0]
        if action == "get":
            self.check_all(process.get_many([key]))
        elif action == "get_many":
            self.check_all(process.get_many(KEYS))
        elif action == "fill" and self._depth < 3:
            begun = len(self._begun)
            value = process.fill(key, self.compute_slowly)
            # A caller always gets the value that it has computed itself, however long that took.
            if value < begun:
                self.check(key, value)
        elif action == "set":
            process.set(key, self.compute())
        elif action == "invalidate":
            process.invalidate(tag)
            self._invalidated[tag] = self.clock.now
        elif action == "tick":
            self.pass_time(draw.random())
        elif action == "wait":
            self.pass_time(draw.choice([2.0, MAX_TTL / 2, MAX_TTL + 1]))
        elif action == "crash":
            process.crash()
        elif action == "wall":
            self.wall.advance(draw.choice([-3600.0, -0.5, 0.5, 3600.0]))

    def check_all(self, found: dict[str, int]) -> None:
        for key, value in found.items():
            self.check(key, value)

    def compute_slowly(self) -> int:
        """Read the data, and let other things happen before the value is stored."""
        value = self.compute()
        self._depth += 1
        for _ in range(self.random.choice([0, 0, 1, 5])):
            self.step()
        self._depth -= 1
        return value

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.wall.advance(seconds)


def walk(seed: int, kind: type[Any], lag: float, evict: float, steps: int = STEPS) -> int:
    """Take the steps of one world, and return the number of values that were served."""
    world = World(seed, kind, lag, evict)
    with world.running():
        for _ in range(steps):
            world.step()
            world.pass_time(0.001)
    return world.hits


@table("kind", [TaggedProcess, PrefixedProcess, NearProcess])
@table(("lag", "evict"), [(0.0, 0.0), (0.0, 0.1), (0.4, 0.0), (2.5, 0.05)])
def test_no_value_outlives_its_invalidation_by_more_than_is_said(
    kind: type[Any], lag: float, evict: float
) -> None:
    """For TAG_SECONDS and the lag of the replicas, whatever is lost, late, or set back."""
    hits = 0
    for seed in range(30):
        hits += walk(seed, kind, lag, evict)
        if seed >= SEEDS[-1] and hits > 20:  # chance decides what is evicted
            break
    assert hits > 20


@table("evict", [0.0, 0.1])
def test_the_same_walks_find_the_fault_of_a_counter_in_the_key(evict: float) -> None:
    """A counter that expires or is evicted starts again, and brings back what was forgotten."""

    def is_stale(seed: int) -> bool:
        try:
            walk(seed, CountingProcess, 0.0, evict, steps=1000)
        except Stale:
            return True
        return False

    assert any(map(is_stale, range(50)))
