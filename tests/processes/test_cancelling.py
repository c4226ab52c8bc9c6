"""A task that is cancelled takes its calls along: the server learns of it, and the client goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cacheclient_pb2_grpc as services

from django_momento.cache import MomentoCache
from tests.conftest import CACHE_NAME
from tests.kit.waiting import HANG_GUARD

# Seconds: so long that no call in this module ends by its deadline.
CLIENT_TIMEOUT = 10 * HANG_GUARD


class Slow(services.ScsServicer):
    """A server that answers no call for a key with "slow" in it before the client gives up."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.waiting = 0
        self.arrived = Event()
        self.given_up = Event()

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        self._block([request.cache_key], context)
        return pb._GetResponse(result=pb.Miss)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - a name of Momento's protocol
        self._block([request.cache_key], context)
        return pb._DeleteResponse()

    def GetBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - a name of Momento's protocol
        # One message first, so that the client is in the middle of the stream.
        yield pb._GetResponse(result=pb.Miss)
        self._block([item.cache_key for item in request.items], context)
        for _ in request.items[1:]:
            yield pb._GetResponse(result=pb.Miss)

    def SetBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - a name of Momento's protocol
        self._block([item.cache_key for item in request.items], context)
        for _ in request.items:
            yield pb._SetResponse(result=pb.Ok)

    def _block(self, keys: list[bytes], context: grpc.ServicerContext) -> None:
        if not any(b"slow" in key for key in keys):
            return
        ended = Event()
        if not context.add_callback(ended.set):
            ended.set()
        with self._lock:
            self.waiting += 1
            self.arrived.set()
        ended.wait(HANG_GUARD)
        assert not context.is_active()
        with self._lock:
            self.waiting -= 1
            if not self.waiting:
                self.given_up.set()


@pytest.fixture
def slow() -> Iterator[tuple[Slow, MomentoCache]]:
    """A server that blocks, and a cache on it."""
    servicer = Slow()
    server = grpc.server(ThreadPoolExecutor(50))
    services.add_ScsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = {
        "CREDENTIALS": "local",
        "ENDPOINT": f"127.0.0.1:{port}",
        "CLIENT_TIMEOUT": CLIENT_TIMEOUT,
    }
    yield servicer, MomentoCache(CACHE_NAME, {"OPTIONS": options})
    server.stop(None).wait(HANG_GUARD)


async def happened(event: Event) -> None:
    assert await asyncio.to_thread(event.wait, HANG_GUARD)


Verb = Callable[[MomentoCache], Awaitable[Any]]
VERBS: dict[str, Verb] = {
    "one call": lambda cache: cache.aget("slow"),
    "a stream": lambda cache: cache.aget_many(["slow", "other"]),
    "a stream that has not begun": lambda cache: cache.aset_many({"slow": 1, "other": 2}),
    "several calls": lambda cache: cache.adelete_many([f"slow-{number}" for number in range(10)]),
    "several streams": lambda cache: cache.aget_many(
        [f"slow-{number}" for number in range(2500)],
    ),
    "several tasks": lambda cache: asyncio.gather(*(cache.aget("slow") for _ in range(10))),
    "more streams than are read at a time": lambda cache: asyncio.gather(
        *(cache.aget_many(["slow", "other"]) for _ in range(40))
    ),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_cancelling_a_task_cancels_its_calls(verb: Verb, slow: tuple[Slow, MomentoCache]) -> None:
    """The server sees every call of the task end, long before its deadline; the client is as good as new."""
    server, cache = slow

    async def main() -> None:
        task = asyncio.ensure_future(verb(cache))
        await happened(server.arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await happened(server.given_up)
        assert await cache.aget("key") is None
        assert await cache.aget_many(["key", "other"]) == {}

    asyncio.run(main())
    assert cache.get_many(["key", "other"]) == {}


async def let_time_pass(server: Slow) -> None:
    """Let HANG_GUARD seconds pass for the event loop when a call has arrived."""
    await happened(server.arrived)
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + HANG_GUARD  # type: ignore[method-assign]  # time passes for this loop alone


def test_a_timeout_of_asyncio_cancels_the_call(slow: tuple[Slow, MomentoCache]) -> None:
    """A deadline of the task's own ends its call, and says that it was one."""
    server, cache = slow

    async def main() -> None:
        passing = asyncio.ensure_future(let_time_pass(server))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.aget("slow"), HANG_GUARD)
        await passing
        await happened(server.given_up)
        assert await cache.aget("key") is None

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout() is new in Python 3.11")
def test_a_timeout_block_cancels_the_call(slow: tuple[Slow, MomentoCache]) -> None:
    """The same for ``async with asyncio.timeout()``, around streams too."""
    server, cache = slow

    async def main() -> None:
        passing = asyncio.ensure_future(let_time_pass(server))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(HANG_GUARD):  # type: ignore[attr-defined, unused-ignore]  # new in Python 3.11
                await cache.aget_many(["slow", "other"])
        await passing
        await happened(server.given_up)
        assert await cache.aget("key") is None

    asyncio.run(main())


def test_a_loop_that_ends_cancels_the_calls_of_its_tasks(slow: tuple[Slow, MomentoCache]) -> None:
    """asyncio.run() cancels what it leaves behind, and with it what is in flight; another loop goes on."""
    server, cache = slow

    async def main() -> None:
        tasks = [asyncio.ensure_future(verb(cache)) for verb in VERBS.values()]
        await happened(server.arrived)
        assert not any(task.done() for task in tasks)

    asyncio.run(main())
    assert server.given_up.wait(HANG_GUARD)
    assert asyncio.run(cache.aget("key")) is None
