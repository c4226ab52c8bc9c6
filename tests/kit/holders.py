"""Holders of locks, of either face, and fixtures that make them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.policies import locks
from tests.conftest import CACHE_NAME, local_options
from tests.kit.clock import Clock
from tests.kit.swallowing import SwallowingServer, swallowing

# Seconds for which a released token stays.
MILLISECOND = 0.001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the server and of the locks of this process."""
    clock = Clock()
    monkeypatch.setattr(locks, "monotonic", clock.time)
    return clock


@pytest.fixture
def pauses(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of locks. They take no time, and move the clock. Whatever else sleeps really sleeps."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)

    async def asleep(seconds: float) -> None:
        sleep(seconds)

    # Not in the modules of Python: the sweep of the local server, in another thread, would not pause either.
    monkeypatch.setattr(locks, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(locks, "sleep", asleep)
    return pauses


@pytest.fixture
def timed(clock: Clock) -> Iterator[MomentoCache]:
    with LocalServer(caches=[CACHE_NAME], clock=clock.milliseconds) as server:
        yield MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)})


class Holder:
    """A lock of either face, driven by plain methods: one holder for as long as this object lives."""

    def __init__(self, cache: MomentoCache, face: str, *args: Any, **kwargs: Any) -> None:
        self._loop = asyncio.new_event_loop() if face == "async" else None
        self.lock: Any = getattr(cache, "alock" if self._loop else "lock")(*args, **kwargs)
        self._commands: asyncio.Queue[Any] = asyncio.Queue()
        if self._loop is not None:
            self._task = self._loop.create_task(self._serve())

    async def _serve(self) -> None:
        """Run all methods in one task, which is the holder of an async lock."""
        while True:
            name, args, kwargs, outcome = await self._commands.get()
            try:
                outcome.set_result(await getattr(self.lock, name)(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - the caller gets it
                outcome.set_exception(error)

    def __getattr__(self, name: str) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            if self._loop is None:
                return getattr(self.lock, name)(*args, **kwargs)
            outcome = self._loop.create_future()
            self._commands.put_nowait((name, args, kwargs, outcome))
            return self._loop.run_until_complete(outcome)

        return run

    def close(self) -> None:
        if self._loop is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
            self._loop.close()


Holders = tuple[Holder, Holder]

Hold = Callable[..., Holder]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Make holders, which end with the test."""
    made: list[Holder] = []

    def hold(cache: MomentoCache, face: str, *args: Any, **kwargs: Any) -> Holder:
        made.append(Holder(cache, face, *args, **kwargs))
        return made[-1]

    yield hold
    for holder in made:
        holder.close()


@pytest.fixture
def holders(timed: MomentoCache, face: str, hold: Hold) -> Holders:
    """Two holders of one lock of 10 seconds."""
    return hold(timed, face, "job", 10), hold(timed, face, "job", 10)


@pytest.fixture
def in_doubt(
    momento: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SwallowingServer, MomentoCache]]:
    """A server that keeps responses of calls that took effect, and a cache on it."""
    # On a busy machine the probe of the circuit breaker may take long.
    monkeypatch.setattr("django_momento.client.claims.PAUSES", (0.25,) * 100)
    with swallowing(momento) as (server, address):
        # Long enough for the calls whose responses are not kept, on a machine that stands still for a while.
        options = {"CREDENTIALS": "local", "ENDPOINT": address, "CLIENT_TIMEOUT": 3}
        yield server, MomentoCache(CACHE_NAME, {"OPTIONS": options})


@contextmanager
def hold_for(cache: MomentoCache, face: str, hold: Hold) -> Iterator[Holder]:
    """Hold a lock for as long as a block takes."""
    holder = hold(cache, face, "job", 3600)
    assert holder.acquire(blocking=False)
    yield holder
    holder.release()
