"""A first connection that takes longer than a call may: no call fails for it, and it is no outage."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_momento.client import channel, operations
from django_momento.client.calls import Operation
from django_momento.exceptions import CallTimedOut, CircuitOpen
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.clients import make_client
from tests.kit.sites import Run
from tests.kit.tcp_proxy import TcpProxy

run = fixtures.run

# The first call over a connection may be repeated, or there is another before it.
VERBS: dict[str, Callable[[], Operation[Any]]] = {
    "get": lambda: operations.get(b"k"),
    "set": lambda: operations.set(b"k", b"v", 60_000),
    "has_key": lambda: operations.has_key(b"k"),
    "delete": lambda: operations.delete(b"k"),
    "get_many": lambda: operations.get_many([b"j", b"k"]),
    "set_many": lambda: operations.set_many({b"j": b"v", b"k": b"v"}, 60_000),
    "delete_many": lambda: operations.delete_many([b"j", b"k"]),
}


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """It takes three seconds to connect through it."""
    with LocalServer(caches=["tests"]) as server, TcpProxy(server.address) as proxy:
        proxy.connect_seconds = 3.0
        yield proxy


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_call_waits_for_the_first_connection(
    proxy: TcpProxy, run: Run, verb: Callable[[], Operation[Any]]
) -> None:
    """CONNECT_TIMEOUT is its limit, and CLIENT_TIMEOUT that of a call over a connection."""
    client = make_client(proxy.port, client_timeout=2.5, connect_timeout=60.0)
    run(client, verb())
    assert 0 == client.counts["circuit_openings"]


def test_gathered_gets_wait_for_the_first_connection(proxy: TcpProxy) -> None:
    """All tasks of a first page go on."""
    client = make_client(proxy.port, client_timeout=2.5, connect_timeout=60.0)

    async def main() -> list[Any]:
        gets = (client.arun("tests", operations.get(b"%d" % number)) for number in range(20))
        return await asyncio.gather(*gets)

    assert [None] * 20 == asyncio.run(main())
    assert 0 == client.counts["circuit_openings"]


@pytest.mark.parametrize("connect_timeout", [0.01, 1.0])
def test_a_connection_that_is_never_made_is_an_outage(run: Run, connect_timeout: float) -> None:
    """After CONNECT_TIMEOUT, calls fail at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_client(silent.getsockname()[1], client_timeout=0.3, connect_timeout=connect_timeout)
        with pytest.raises(CallTimedOut):
            run(client, operations.get(b"k"))
        with pytest.raises(CircuitOpen):
            run(client, operations.get(b"k"))
        assert 1 == client.counts["circuit_openings"]


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("verb", ["add", "incr"])
def test_a_call_that_may_not_be_repeated_waits_for_the_first_connection(
    run: Run, verb: str, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If gRPC does not tell when that is made, a safe call is sent before it."""
    if not tells:
        monkeypatch.setattr(channel, "is_unconnected", lambda channel: None)
    with LocalServer(caches=["tests"]) as server, TcpProxy(server.address) as slow:
        straight = make_client(server.port)
        run(straight, operations.set(b"n", b"1", 60_000))
        slow.connect_seconds = 3.0
        client = make_client(slow.port, client_timeout=2.0, connect_timeout=60.0)
        add, incr = operations.add(b"k", b"v", 60_000), operations.incr(b"n", 1)
        assert run(client, add if verb == "add" else incr) in (True, 2)
        assert run(client, operations.add(b"new", b"v", 60_000)) is True
        assert 0 == client.counts["circuit_openings"]
        if tells:
            assert 0 == client.counts["background_requests"]
        elif verb == "add":
            assert client.counts["background_requests"] > 0
