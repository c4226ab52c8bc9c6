"""Group 4: async ``get`` of 100 B with 1, 50 and 300 calls in flight, and with an event loop per call.

An async view under WSGI gets an event loop per call. ``CacheClientAsync`` belongs to the loop it was
made in, so there it has to be made for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle, islice
from typing import Any

from asgiref.sync import async_to_sync
from django.core.cache import caches

from .clients import (
    ASYNC_SDK,
    NEED_REDIS,
    OURS,
    REDIS_CACHE,
    SDK,
    Missed,
    async_sdk_client,
    filled,
    hit,
    keys,
    many,
)
from .measure import Case, Contender, Run
from .settings import CACHE_NAME

SIZE = 100
IN_FLIGHT = (1, 50, 300)
OPERATIONS = 600
LOOPS = 50

Get = Callable[[str], Awaitable[Any]]


def _stored(name: str) -> AbstractContextManager[object]:
    return filled(SDK if name == ASYNC_SDK else name, SIZE, OPERATIONS)


@contextmanager
def in_flight(name: str, tasks: int) -> Iterator[Run]:
    with _stored(name):
        loop = asyncio.new_event_loop()
        get = loop.run_until_complete(_getter(name))

        async def work(own: list[str]) -> None:
            for key in own:
                if await get(key) is None:
                    raise Missed(key)

        async def together(operations: int) -> None:
            # Each with keys of its own: this backend asks once for a key that several tasks want.
            everything = list(islice(cycle(many(OPERATIONS)), operations))
            each = operations // tasks
            await asyncio.gather(*(work(everything[n * each : (n + 1) * each]) for n in range(tasks)))

        yield lambda operations: loop.run_until_complete(together(operations))
        loop.close()


async def _getter(name: str) -> Get:
    if name != ASYNC_SDK:
        get: Get = caches[name].aget
        return get
    client = async_sdk_client()

    async def sdk_get(key: str) -> bytes:
        return hit(await client.get(CACHE_NAME, key))

    return sdk_get


@contextmanager
def loop_each(name: str, run_in_loop: Callable[[Get, str], Any]) -> Iterator[Run]:
    async def own_client(key: str) -> bytes:
        async with async_sdk_client() as client:
            return hit(await client.get(CACHE_NAME, key))

    with _stored(name):
        get: Get = own_client if name == ASYNC_SDK else caches[name].aget

        def run(operations: int) -> None:
            for key in keys(operations):
                if run_in_loop(get, key) is None:
                    raise Missed(key)

        yield run


def _asyncio_run(get: Get, key: str) -> Any:
    async def main() -> Any:
        return await get(key)

    return asyncio.run(main())


def _async_to_sync(get: Get, key: str) -> Any:
    return async_to_sync(get)(key)


def cases() -> list[Case]:
    flights = [
        Case(
            f"aget, {tasks} in flight",
            OPERATIONS,
            tuple(
                Contender(name, partial(in_flight, name, tasks), _beside(name), name in NEED_REDIS)
                for name in (ASYNC_SDK, OURS, REDIS_CACHE)
            ),
        )
        for tasks in IN_FLIGHT
    ]
    loops = [
        Case(
            f"aget, an event loop per call ({how})",
            LOOPS,
            tuple(
                Contender(name, partial(loop_each, name, run_in_loop), _beside(name))
                for name in (ASYNC_SDK, OURS)
            ),
        )
        for how, run_in_loop in (("asyncio.run", _asyncio_run), ("async_to_sync", _async_to_sync))
    ]
    return flights + loops


def _beside(name: str) -> str | None:
    return None if name == ASYNC_SDK else ASYNC_SDK
