"""A handler of a signal may use the cache although it has interrupted its thread inside gRPC."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from django_momento.client import operations
from django_momento.client.calls import Delete
from django_momento.client.client import Client
from django_momento.client.futures import wait_for
from django_momento.exceptions import CallTimedOut
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.waiting import HANG_GUARD


@pytest.fixture
def client() -> Iterator[Client]:
    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port)
        client.get_credential()
        yield client
        client.close()


def delete_many(client: Client) -> None:
    client.run("tests", operations.delete_many([b"j", b"k"]))


def get_many(client: Client) -> None:
    client.run("tests", operations.get_many([b"j", b"k"]))


def adelete_many(client: Client) -> None:
    asyncio.run(client.arun("tests", operations.delete_many([b"j", b"k"])))


def ahas_key(client: Client) -> None:
    asyncio.run(client.arun("tests", operations.has_key(b"k")))


@pytest.mark.parametrize("handler", [delete_many, get_many, adelete_many, ahas_key])
@pytest.mark.parametrize("interrupted", [delete_many, adelete_many])
def test_a_handler_calls_while_its_thread_holds_the_lock_of_the_channel(
    client: Client, interrupted: Callable[[Client], None], handler: Callable[[Client], None]
) -> None:
    """gRPC starts the thread that delivers results while it holds that lock, which is not reentrant."""
    handled: list[str] = []

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "_run_channel_spin_thread":
            sys.setprofile(None)
            # asyncio documents both names, which are for implementers of event loops.
            running = asyncio._get_running_loop()  # noqa: SLF001 - see above
            asyncio._set_running_loop(None)  # noqa: SLF001 - see above
            try:
                handler(client)
            finally:
                asyncio._set_running_loop(running)  # noqa: SLF001 - see above
            handled.append("yes")

    def run() -> None:
        sys.setprofile(profile)
        try:
            interrupted(client)
        finally:
            sys.setprofile(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANG_GUARD)
    assert not thread.is_alive()
    assert ["yes"] == handled
    delete_many(client)


def test_a_call_is_given_up_although_its_lock_is_held(client: Client) -> None:
    """gRPC's thread may hold it, and wait for a lock that the interrupted thread holds."""
    lock, is_cancelled = threading.Lock(), threading.Event()

    class Pending:
        def result(self, timeout: float | None = None, /) -> Any: ...
        def add_done_callback(self, callback: Callable[[Any], object], /) -> object: ...
        def cancel(self) -> object:
            with lock:
                is_cancelled.set()
            return None

    with lock:
        error = client.transport.abandon("tests", Delete(b"k"), (Pending(), None, -1))
    assert isinstance(error, CallTimedOut)
    assert is_cancelled.wait(HANG_GUARD)


def test_a_task_is_cancelled_although_the_lock_of_its_call_is_held() -> None:
    """As while asyncio.run() ends the tasks because of an exception from a handler of a signal."""
    lock, is_cancelled = threading.Lock(), threading.Event()

    class Pending:
        def add_done_callback(self, callback: Callable[[Any], object], /) -> object: ...
        def cancel(self) -> object:
            with lock:
                is_cancelled.set()
            return None

    async def cancel() -> None:
        task = asyncio.ensure_future(wait_for([Pending()]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    with lock:
        asyncio.run(cancel())
    assert is_cancelled.wait(HANG_GUARD)
