"""Threads and tasks that read while another thread invalidates: no value is served after it was forgotten."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest
from django.core.cache import caches

from tests.conftest import MakeCache

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


@pytest.mark.parametrize("near", [0, 60])
@pytest.mark.parametrize("seconds", [0, 1])
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
