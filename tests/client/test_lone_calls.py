"""Async calls that are alone in flight: which thread reads them, and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.client import operations, readers, streams
from django_momento.client.client import Client
from django_momento.client.fork_gate import gate
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, aeventually, eventually


@pytest.fixture
def client() -> Iterator[Client]:
    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port, client_timeout=HANG_GUARD)
        yield client
        client.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that are started."""
    monkeypatch.setattr(readers, "threads", readers.Threads(idle=HANG_GUARD))
    names: list[str] = []
    start = threading.Thread.start

    def record(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", record)
    return names


def arun(client: Client, operation: Any) -> Any:
    return asyncio.run(asyncio.wait_for(client.arun("tests", operation), HANG_GUARD))


def test_calls_one_after_another_start_one_thread(client: Client, started: list[str]) -> None:
    """On one event loop, with an event loop for each call, and of several verbs."""

    async def set_and_get(times: int) -> None:
        for _ in range(times):
            await client.arun("tests", operations.set(b"k", b"v", 60_000))
            assert await client.arun("tests", operations.get(b"k")) == b"v"
            assert await client.arun("tests", operations.has_key(b"k"))

    client.get_credential()
    del started[:]
    asyncio.run(set_and_get(10))
    for _ in range(5):
        asyncio.run(set_and_get(1))

    assert ["momento-reader"] == started


def test_of_calls_together_one_has_a_thread_of_ours(
    holding: tuple[Holding, Client], started: list[str]
) -> None:
    """gRPC's own thread delivers all the others."""
    _, client = holding

    async def main() -> None:
        client.get_credential()
        del started[:]
        sets = [operations.set(b"k%d" % number, b"v", 60_000) for number in range(20)]
        tasks = [asyncio.ensure_future(client.arun("tests", each)) for each in sets]
        await aeventually(lambda: gate.in_flight == len(tasks))
        assert 1 == started.count("momento-reader")
        for pending in gate.pending_calls():
            pending.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    eventually(lambda: gate.in_flight == 0)


class Interceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.seen: list[threading.Thread] = []

    def intercept_unary_unary(self, send: Any, details: Any, request: Any) -> Any:
        self.seen.append(threading.current_thread())
        return send(details, request)


def test_an_interceptor_sees_unary_calls_on_the_thread_that_wants_them(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may look for the context of that thread, as OpenTelemetry's does."""
    make, interceptor = grpc.insecure_channel, Interceptor()
    monkeypatch.setattr(grpc, "insecure_channel", lambda *a: grpc.intercept_channel(make(*a), interceptor))

    arun(client, operations.set(b"k", b"v", 60_000))
    assert arun(client, operations.get(b"k")) == b"v"

    assert [threading.current_thread()] * 2 == interceptor.seen


class Holding(grpc.GenericRpcHandler):
    """Holds each call until it is cancelled."""

    def __init__(self) -> None:
        self.has_come = threading.Event()
        self.is_cancelled = threading.Event()

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._hold)

    def _hold(self, request: bytes, context: Any) -> bytes:
        context.add_callback(self.is_cancelled.set)
        self.has_come.set()
        self.is_cancelled.wait(HANG_GUARD)
        return b""


@pytest.fixture
def holding() -> Iterator[tuple[Holding, Client]]:
    holding = Holding()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[holding])
    client = make_client(server.add_insecure_port("127.0.0.1:0"), client_timeout=HANG_GUARD)
    server.start()
    yield holding, client
    client.close()
    server.stop(None).wait()


def test_a_cancelled_task_cancels_its_call(holding: tuple[Holding, Client]) -> None:
    """The server hears of it long before the deadline, and no call is in flight then."""
    handler, client = holding

    async def main() -> None:
        for operation in (operations.get(b"k"), operations.set(b"k", b"v", 60_000)):
            handler.has_come.clear()
            handler.is_cancelled.clear()
            task = asyncio.ensure_future(client.arun("tests", operation))
            assert await asyncio.to_thread(handler.has_come.wait, HANG_GUARD)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(handler.is_cancelled.wait, HANG_GUARD)

    asyncio.run(main())
    eventually(lambda: gate.in_flight == 0)


def test_a_call_that_the_end_of_the_process_cancels_fails_with_our_error(
    holding: tuple[Holding, Client],
) -> None:
    handler, client = holding

    async def main() -> None:
        task = asyncio.ensure_future(client.arun("tests", operations.incr(b"k", 1)))
        assert await asyncio.to_thread(handler.has_come.wait, HANG_GUARD)
        for pending in gate.pending_calls():
            pending.cancel()
        with pytest.raises(MomentoCacheError):
            await task

    asyncio.run(main())
    eventually(lambda: gate.in_flight == 0)


HIT = pb._GetResponse(result=pb.Hit, cache_body=b"v").SerializeToString()


class Streaming(grpc.GenericRpcHandler):
    """Sends so many hits for a call, and then a status."""

    def __init__(self, hits: int, status: grpc.StatusCode) -> None:
        self._hits = hits
        self._status = status

    def service(self, details: Any) -> Any:
        return grpc.unary_stream_rpc_method_handler(self._send)

    def _send(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from [HIT] * self._hits
        if self._status is not grpc.StatusCode.OK:
            context.abort(self._status, "the reason")


def aget_from(handler: grpc.GenericRpcHandler) -> Any:
    """Return what a new client gets from a server, or its error."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    client = make_client(server.add_insecure_port("127.0.0.1:0"), client_timeout=HANG_GUARD)
    server.start()
    try:
        return arun(client, operations.get(b"k"))
    except MomentoCacheError as error:
        return error
    finally:
        client.close()
        server.stop(None).wait()


@table(
    ("hits", "status", "said"),
    [
        (0, grpc.StatusCode.OK, "cannot be read"),
        (0, grpc.StatusCode.INVALID_ARGUMENT, "the reason"),
        (1, grpc.StatusCode.INVALID_ARGUMENT, "the reason"),
    ],
)
def test_a_call_without_a_response_fails_as_it_does_in_company(
    hits: int, status: grpc.StatusCode, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if an error comes after the response."""
    handler = Streaming(hits, status)
    alone = aget_from(handler)
    monkeypatch.setattr("django_momento.client.decoding.DecodingChannel.stream_of", lambda *arguments: None)
    in_company = aget_from(handler)

    assert said in str(alone)
    assert (type(alone), alone.status) == (type(in_company), in_company.status)


def test_a_stream_of_one_message_is_read_without_grpcs_internal_names() -> None:
    assert aget_from(Streaming(1, grpc.StatusCode.OK)) == b"v"
    assert streams.deliver(iter(["message"]), is_single=True) == ["message"]
    assert streams.deliver(iter([]), is_single=True) == []
