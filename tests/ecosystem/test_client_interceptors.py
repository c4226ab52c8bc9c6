"""OpenTelemetry intercepts the gRPC channels of a process, and thereby ours and those of Momento's SDK."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.exceptions import AuthenticationFailed, CallTimedOut
from django_momento.local import LocalServer
from tests.ecosystem.conftest import Configure
from tests.kit.streams import let_status_come_first
from tests.kit.waiting import eventually
from tests.kit.wire import HANG_GUARD
from tests.processes.sockets import established


@pytest.fixture
def intercepted() -> Iterator[list[str]]:
    """The names of the requests that the interceptor has seen, of all channels that are made in the test."""
    names: list[str] = []
    instrumentor = GrpcInstrumentorClient()
    instrumentor.instrument(request_hook=lambda span, request: names.append(type(request).__name__))
    yield names
    instrumentor.uninstrument()


@pytest.fixture
def traced(intercepted: list[str], configure: Configure) -> MomentoCache:
    """A cache whose channels are made in the test, because no other has its timeout."""
    return configure(CLIENT_TIMEOUT=HANG_GUARD + 1)


def test_every_verb_passes(traced: MomentoCache, intercepted: list[str]) -> None:
    """Streams included, which the interceptor replaces by generators."""

    async def use() -> list[object]:
        await traced.aset_many({"c": 3, "d": 4})
        return await asyncio.gather(*map(traced.aget, "abcd"), traced.aget_many(["a", "c"]))

    assert traced.set_many({"a": 1, "b": 2}) == []
    assert traced.get_many(["a", "b", "missing"]) == {"a": 1, "b": 2}
    assert asyncio.run(use()) == [1, 2, 3, 4, {"a": 1, "c": 3}]
    traced.delete_many(["a", "b"])
    assert (traced.has_key("a"), traced.incr("c"), traced.get("c"), traced.delete("c")) == (False, 4, 4, True)
    # The hook sees no streams.
    assert {"_GetRequest", "_KeysExistRequest", "_DeleteRequest"} <= set(intercepted)


def test_a_cancelled_batch_is_cancelled(traced: MomentoCache, momento: LocalServer) -> None:
    """As without the interceptor, and the next batch passes."""

    async def cancel() -> object:
        await traced.aset_many({"a": 1, "b": 2})
        momento.delay(60_000)
        reading = asyncio.ensure_future(traced.aget_many(["a", "b"]))
        before = momento.calls["GetBatch"]
        deadline = time.monotonic() + HANG_GUARD
        while momento.calls["GetBatch"] == before:
            await asyncio.sleep(0.001)
            assert time.monotonic() < deadline
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        momento.delay()
        return await traced.aget_many(["a", "b"])

    assert asyncio.run(cancel()) == {"a": 1, "b": 2}


@pytest.mark.usefixtures("intercepted")
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_batch_that_takes_too_long_times_out(configure: Configure, momento: LocalServer, face: str) -> None:
    """By the error that it has without the interceptor."""
    cache = configure(CLIENT_TIMEOUT=0.2)
    momento.delay(60_000)
    with pytest.raises(CallTimedOut):
        cache.get_many(["a", "b"]) if face == "sync" else asyncio.run(cache.aget_many(["a", "b"]))
    momento.delay()


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_refused_batch_leaves_no_connection(
    traced: MomentoCache, momento: LocalServer, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """Although the interceptor hides the call, some of whose events come after its status."""
    let_status_come_first(monkeypatch)
    momento.accept_only("another")
    with pytest.raises(AuthenticationFailed):
        traced.get_many(["a", "b"]) if face == "sync" else asyncio.run(traced.aget_many(["a", "b"]))
    clients.close()
    eventually(lambda: not established(os.getpid(), momento.address))
