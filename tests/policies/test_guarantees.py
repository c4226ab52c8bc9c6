"""No read is older than the documentation says, whatever processes, replicas, outages and evictions do."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest

from django_momento.cache import MomentoCache
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.policies.near import Near
from tests.conftest import CACHE_NAME, local_options
from tests.kit.raw import find_client
from tests.kit.waiting import eventually

KEYS = ["a", "b", "c"]
# In seconds.
LAG = 0.05
NEAR = 0.2
STALE = 60.0
STEPS = 400
NOBODY = -1


class Written(NamedTuple):
    """A value, or None for a delete, and the process that wrote it. The write had ended at ``ended``.

    Other processes see one that ``may_have_failed`` only after its repair.
    """

    value: int | None
    process: int
    ended: float
    may_have_failed: bool


class Before(NamedTuple):
    """The state of a process before a call. Its writes of the keys in ``failed`` are not repaired."""

    began: float
    is_shielded: bool
    failed: set[str]


class World:
    """Some processes with memories of their own, one server, and all writes in their order."""

    def __init__(self, server: LocalServer, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = server
        self.loop = asyncio.new_event_loop()
        # Clients with different options share nothing, as processes do.
        options = [
            {"NEAR_SECONDS": NEAR, "STALE_IF_ERROR": STALE},
            {"NEAR_SECONDS": NEAR, "STALE_IF_ERROR": STALE, "NEAR_BYTES": 1500},
            {"STALE_IF_ERROR": STALE, "IGNORE_EXCEPTIONS": True, "LOG_IGNORED_EXCEPTIONS": False},
            {"NEAR_SECONDS": NEAR},
            {},
        ]
        self.caches = [
            MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server, CONNECT_TIMEOUT=5 + number, **each)})
            for number, each in enumerate(options)
        ]
        self.history: dict[str, list[Written]] = defaultdict(list)
        self.values = iter(range(1, 10**6))
        self.is_out = False

    def call(self, process: int, verb: str, *arguments: Any) -> Any:
        """Call a verb through one of both faces. Return the error if it fails."""
        cache = self.caches[process]
        try:
            if self.random.random() < 0.5:
                return getattr(cache, verb)(*arguments)
            return self.loop.run_until_complete(getattr(cache, f"a{verb}")(*arguments))
        except MomentoCacheError as error:
            return error

    def write(self, process: int, key: str, value: int | None, verb: str, *arguments: Any) -> None:
        is_doubtful = self.is_shielded(process)
        result = self.call(process, verb, *arguments)
        if isinstance(result, MomentoCacheError) and not self.caches[process].options.stale_if_error:
            return  # Nothing was written, and nothing is promised.
        is_doubtful = is_doubtful or isinstance(result, MomentoCacheError)
        self.history[key].append(Written(value, process, monotonic(), is_doubtful))

    def look(self, process: int) -> Before:
        """Return the state of a process before a call."""
        near = find_client(self.caches[process]).memory
        repairs = near.repairs if isinstance(near, Near) else None
        failed = {key for key in KEYS if repairs and repairs.covers((CACHE_NAME, f":1:{key}".encode()))}
        return Before(monotonic(), self.is_shielded(process), failed)

    def is_shielded(self, process: int) -> bool:
        """Return whether a process knows, or may soon know, that Momento cannot answer."""
        return self.is_out or find_client(self.caches[process]).is_circuit_open

    def check(self, process: int, key: str, value: Any, before: Before) -> None:
        """Check that a value that a read has returned was not replaced too long before the read began."""
        began, is_shielded = before.began, before.is_shielded
        if value is None or isinstance(value, MomentoCacheError):
            return  # Evicted, expired or deleted: a miss is never too old.
        options = self.caches[process].options
        history = self.history[key]
        (place,) = [place for place, written in enumerate(history) if written.value == value]
        later = history[place + 1 :]
        seen = [written for written in later if not written.may_have_failed]
        # A value of its own that Momento does not have is served until it is repaired.
        is_stale = is_shielded or key in before.failed
        bound = max(options.near_seconds, options.stale_if_error if is_stale else 0.0) + LAG
        assert not seen or seen[0].ended >= began - bound, (process, key, value, seen, began)
        own = [written for written in later if written.process == process]
        if key not in before.failed:  # Those that failed were repaired meanwhile, perhaps just now.
            own = [written for written in own if not written.may_have_failed]
        assert not own or own[0].ended >= began - LAG, (process, key, value, own, began)

    def act(self) -> None:
        process = self.random.randrange(len(self.caches))
        key = self.random.choice(KEYS)
        before = self.look(process)
        match self.random.choices(
            ["get", "get_many", "get_or_set", "set", "set_many", "delete", "touch", "sleep", "outage"],
            [40, 20, 8, 8, 4, 8, 2, 8, 1],
        )[0]:
            case "get":
                self.check(process, key, self.call(process, "get", key), before)
            case "get_many":
                found = self.call(process, "get_many", KEYS)
                if isinstance(found, dict):
                    for name, value in found.items():
                        self.check(process, name, value, before)
            case "get_or_set":
                value = next(self.values)
                found = self.call(process, "get_or_set", key, value, 50)
                if found == value:
                    # It may not be stored: a replica can miss a value that keeps add() from storing.
                    self.history[key].append(Written(value, NOBODY, monotonic(), may_have_failed=True))
                else:
                    self.check(process, key, found, before)
            case "set":
                value = next(self.values)
                self.write(process, key, value, "set", key, value, 50)
            case "set_many":
                value = next(self.values)
                self.write(process, key, value, "set_many", {key: value}, 50)
            case "delete":
                self.write(process, key, None, self.random.choice(["delete", "delete_many"]), key)
            case "touch":
                self.call(process, "touch", key, 50)
            case "sleep":
                sleep(self.random.choice([0.01, LAG, NEAR]))
            case "outage":
                self.is_out = not self.is_out
                self.server.fail(self.random.choice(["unavailable", "resource-exhausted"]) * self.is_out)

    def last_values(self, key: str) -> set[int | None]:
        """Return the values that may be there at the end. One of get_or_set() may not have been stored."""
        last: set[int | None] = {None}
        for written in reversed(self.history[key]):
            last.add(written.value)
            if written.process != NOBODY:
                break
        return last

    def settle(self) -> None:
        """End the outage, and wait until all processes have noticed and have repaired their keys."""
        self.server.fail("")
        for cache in self.caches:
            eventually(partial(_is_repaired, cache))
        self.is_out = False
        sleep(LAG)


def _is_repaired(cache: MomentoCache) -> bool:
    try:
        cache.set("probe", 1)
        cache.touch("probe", 50)
    except MomentoCacheError:
        return False
    client = find_client(cache)
    near = client.memory
    return not client.is_circuit_open and not (isinstance(near, Near) and near.repairs)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(caches=[CACHE_NAME], replica_lag=int(LAG * 1000), evict=0.02) as server:
        yield server


@pytest.mark.parametrize("seed", range(3))
def test_no_read_is_older_than_the_guarantees(server: LocalServer, seed: int) -> None:
    """Not even of a process whose memory evicts, and none is lost when Momento is back."""
    world = World(server, seed)
    try:
        for _ in range(STEPS):
            world.act()
        world.settle()
        sleep(NEAR)
        for process, cache in enumerate(world.caches):
            for key in KEYS:
                assert cache.get(key) in world.last_values(key), (process, key)
    finally:
        world.loop.close()
