"""A default that asks for its own key, in whichever thread, task or loop, does not wait for itself."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from django_momento.cache import MomentoCache
from tests.conftest import MakeCache
from tests.kit.tables import table
from tests.kit.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_flight_is_left")

# Seconds. Long enough for a busy machine.
LONG = 60.0


def in_the_same_thread(cache: MomentoCache, inner: Callable[[], Any]) -> Any:
    return inner()


def in_a_loop_of_its_own(cache: MomentoCache, inner: Callable[[], Any]) -> Any:
    async def get() -> Any:
        return await cache.aget_or_set("key", lambda: "inner", wait=LONG)

    return asyncio.run(get())


def in_a_thread_of_asgiref(cache: MomentoCache, inner: Callable[[], Any]) -> Any:
    return async_to_sync(sync_to_async(inner))()


def in_a_thread_with_the_context(cache: MomentoCache, inner: Callable[[], Any]) -> Any:
    results: list[Any] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: results.append(context.run(inner)))
    thread.start()
    thread.join()
    return results[0]


@table(
    "enter",
    [in_the_same_thread, in_a_loop_of_its_own, in_a_thread_of_asgiref, in_a_thread_with_the_context],
    afresh=True,
)
def test_a_default_that_asks_for_its_own_key_does_not_wait_for_itself(
    make_cache: MakeCache, enter: Callable[..., Any]
) -> None:
    cache = make_cache()

    def inner() -> Any:
        return cache.get_or_set("key", lambda: "inner", wait=LONG)

    assert cache.get_or_set("key", lambda: enter(cache, inner) + ", outer") == "inner"


def test_an_async_default_that_asks_for_its_own_key_does_not_wait_for_itself(make_cache: MakeCache) -> None:
    """In its own task, in a task that it starts, in a thread, and in code that blocks the loop."""
    cache = make_cache()

    async def ask() -> Any:
        return await cache.aget_or_set("key", lambda: "inner", wait=LONG)

    async def in_a_task() -> Any:
        return await asyncio.create_task(ask())

    async def in_a_thread() -> Any:
        return await sync_to_async(lambda: cache.get_or_set("key", lambda: "inner", wait=LONG))()

    async def blocking() -> Any:
        return cache.get_or_set("key", lambda: "inner", wait=LONG)

    async def outside_of_the_context() -> Any:
        return contextvars.Context().run(cache.get_or_set, "key", lambda: "inner", wait=LONG)

    for inner in (ask, in_a_task, in_a_thread, blocking, outside_of_the_context):
        cache.clear()
        assert asyncio.run(cache.aget_or_set("key", inner)) == "inner"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of the system")
def test_the_handler_of_a_signal_does_not_wait_for_the_thread_that_it_interrupted(
    make_cache: MakeCache,
) -> None:
    cache, handled = make_cache(), []

    def handle(number: int, frame: object) -> None:
        handled.append(cache.get_or_set("key", lambda: "of the handler", wait=LONG))

    def default() -> str:
        os.kill(os.getpid(), signal.SIGUSR1)
        eventually(lambda: bool(handled))
        return "of the thread"

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert cache.get_or_set("key", default) == "of the handler"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled == ["of the handler"]
