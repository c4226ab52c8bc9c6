"""Threads and tasks that invalidate and read at once: no value is served after it was forgotten."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client.calls import Operation
from django_momento.local import LocalServer
from django_momento.policies import versions as module
from django_momento.policies.versions import Versions, tag_key, versions
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.faces import EACH_FACE, call
from tests.kit.raw import find_client
from tests.kit.tables import table

KEYS = ["a", "b", "c"]
INVALIDATIONS = 60


class Site:
    """Data that change, and a cache of them. The data change before each invalidation."""

    def __init__(self) -> None:
        self.data = 0
        # The data of the last invalidation that has ended.
        self.invalidated = 0
        self.is_over = False
        self.hits = 0
        self.stale: list[tuple[int, int]] = []

    def check(self, value: int | None, before: int) -> None:
        if value is not None:
            self.hits += 1
            if value < before:
                self.stale.append((value, before))

    def invalidate(self) -> None:
        cache: Any = caches["default"]
        for _ in range(INVALIDATIONS):
            time.sleep(random.random() * 0.02)
            self.data += 1
            if random.random() < 0.3:
                cache.clear()
            else:
                cache.invalidate_tags("tag")
            self.invalidated = self.data
        self.is_over = True

    def compute(self) -> int:
        data = self.data
        time.sleep(random.random() * 0.01)
        return data

    def read(self) -> None:
        cache: Any = caches["default"]
        while not self.is_over:
            before, key, draw = self.invalidated, random.choice(KEYS), random.random()
            if draw < 0.4:
                value = cache.get_or_set(key, self.compute, 60, tags=["tag"])
            else:
                value = cache.get(key) if draw < 0.7 else cache.get_many([key, "x"]).get(key)
            self.check(value, before)

    def read_in_a_loop(self) -> None:
        async def compute() -> int:
            data = self.data
            await asyncio.sleep(random.random() * 0.01)
            return data

        async def read() -> None:
            cache: Any = caches["default"]
            while not self.is_over:
                before, key, draw = self.invalidated, random.choice(KEYS), random.random()
                if draw < 0.4:
                    value = await cache.aget_or_set(key, compute, 60, tags=["tag"])
                else:
                    found = await cache.aget_many([key, "x"])
                    value = await cache.aget(key) if draw < 0.7 else found.get(key)
                self.check(value, before)

        async def read_at_once() -> None:
            await asyncio.gather(*(read() for _ in range(4)))

        asyncio.run(read_at_once())


@table("near", [0, 60], afresh=True)
@table("seconds", [0, 1], afresh=True)
def test_a_process_serves_no_value_from_before_its_own_invalidation(
    make_cache: MakeCache, seconds: int, near: int
) -> None:
    options = {"CLEAR": "prefix", "TAG_SECONDS": seconds, "NEAR_SECONDS": near}
    make_cache(OPTIONS={name: value for name, value in options.items() if value or name != "NEAR_SECONDS"})
    site = Site()
    targets = [site.read, site.read, site.read, site.read_in_a_loop, site.invalidate]
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert site.stale == []
    assert site.hits


@EACH_FACE
def test_a_version_that_a_thread_learns_between_two_steps_of_another_is_not_asked_for_again(
    make_cache: MakeCache, momento: LocalServer, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    cache = make_cache(OPTIONS={"TAG_SECONDS": 600})
    cache.set("k", 1, tags=["t"])
    versions.forget()
    momento.reset_calls()
    recall = Versions.recall

    def recall_slowly(known: Versions, key: bytes, seconds: float) -> Any:
        found = recall(known, key, seconds)
        monkeypatch.setattr(Versions, "recall", recall)
        assert at_once(1, lambda: cache.get("k")) == [1]
        return found

    monkeypatch.setattr(Versions, "recall", recall_slowly)
    assert call(cache, face, "get", "k") == 1
    assert momento.calls == {"Get": 2 + 1}


@pytest.fixture
def elsewhere(momento: LocalServer) -> MomentoCache:
    """The cache in another process, which asks for versions with each read."""
    options = local_options(momento, CLIENT_TIMEOUT=31, TAG_SECONDS=0)
    return MomentoCache(CACHE_NAME, {"OPTIONS": options})


class Slow:
    """An operation whose call has reached Momento, and whose response has not come back yet."""

    def __init__(self, cache: Any, operation: Operation[Any]) -> None:
        self._operation = operation
        self._response = find_client(cache).run(CACHE_NAME, self._send(next(operation)))

    def _send(self, request: Any) -> Operation[Any]:
        return (yield request)

    def end(self) -> None:
        with pytest.raises(StopIteration):
            self._operation.send(self._response)


@EACH_FACE
def test_of_two_invalidations_at_once_neither_brings_back_the_values_between_them(
    make_cache: MakeCache, elsewhere: MomentoCache, face: str
) -> None:
    """Whichever response comes last, and that of a question which was sent before them."""
    cache = make_cache(OPTIONS={"TAG_SECONDS": 60})
    known, key = versions.get(cache.options), tag_key("", "t")
    for is_first_last in (True, False):
        elsewhere.set("k", 1, tags=["t"])
        question = Slow(cache, known.ask([key], 0))
        first = Slow(cache, known.replace([key], 60_000))
        elsewhere.set("k", 2, tags=["t"])
        second = Slow(cache, known.replace([key], 60_000))
        for each in (second, first) if is_first_last else (first, second):
            each.end()
        question.end()
        assert call(cache, face, "get", "k") is None
        assert call(cache, face, "get_many", ["k"]) == {}


@EACH_FACE
def test_a_version_counts_from_when_its_invalidation_was_sent(
    make_cache: MakeCache, elsewhere: MomentoCache, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """Another process may have invalidated the tag again before the response comes."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "wall", clock)
    cache = make_cache()
    slow = Slow(cache, versions.get(cache.options).replace([tag_key("", "t")], 60_000))
    elsewhere.set("k", 1, tags=["t"])
    elsewhere.invalidate_tags("t")
    clock.advance(1.1)
    slow.end()
    assert call(cache, face, "get", "k") is None
