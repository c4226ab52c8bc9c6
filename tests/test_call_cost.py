"""The number of calls inside this package that a cache call takes: what a plain get may cost."""

from __future__ import annotations

import asyncio
import gc
import sys
from types import FrameType
from typing import Any

import pytest

from django_momento import events
from tests.conftest import MakeCache

MAX_CALLS_OF_GET = 14
MAX_CALLS_OF_SET = 20
MAX_CALLS_OF_AGET = 30


class CallCounter:
    """Count the calls of functions of this package on this thread, inside a ``with`` block."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> CallCounter:
        # The collector may call what other tests left behind, at any moment.
        gc.disable()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("django_momento."):
            self.names.append(frame.f_code.co_name)


@pytest.fixture(autouse=True)
def _no_observers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests import the meter."""
    monkeypatch.setattr(events, "observers", [])
    for module in ("cache", "execution"):
        monkeypatch.setattr(f"django_momento.{module}.observers", [])


def test_a_warm_get_takes_few_calls(make_cache: MakeCache) -> None:
    """Without observers."""
    cache = make_cache()
    cache.set("k", "value")
    for _ in range(3):
        cache.get("k")

    with CallCounter() as counter:
        assert cache.get("k") == "value"

    assert len(counter.names) <= MAX_CALLS_OF_GET, counter.names


def test_a_warm_set_takes_few_calls(make_cache: MakeCache) -> None:
    """Without observers, and with the default timeout."""
    cache = make_cache()
    for _ in range(3):
        cache.set("k", "value")

    with CallCounter() as counter:
        cache.set("k", "value")

    assert len(counter.names) <= MAX_CALLS_OF_SET, counter.names


def test_a_warm_aget_takes_few_calls(make_cache: MakeCache) -> None:
    """Without observers."""
    cache = make_cache()
    cache.set("k", "value")

    async def count() -> list[str]:
        for _ in range(3):
            await cache.aget("k")
        with CallCounter() as counter:
            assert await cache.aget("k") == "value"
        return counter.names

    names = asyncio.run(count())

    assert len(names) <= MAX_CALLS_OF_AGET, names
