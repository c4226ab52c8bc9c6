"""The client against real servers: what fails, and what our exceptions make of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from momento.errors import UnknownException
from momento.responses import CacheGet

from django_momento.client import operations
from django_momento.client.calls import Get, KeysExist, Operation
from django_momento.client.client import Client
from django_momento.client.fork_gate import gate
from django_momento.exceptions import (
    AuthenticationFailed,
    CacheNotFound,
    CallTimedOut,
    InvalidArgument,
    MomentoCacheError,
    ServerError,
    ServerUnavailable,
)
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.ports import free_port
from tests.kit.waiting import eventually, patience

KEY = "the-right-key"


def client(port: int, api_key: str = KEY, **options: Any) -> Client:
    return make_client(port, api_key, **options)


Run = Callable[[Client, str, Operation[Any]], Any]


def run_sync(ours: Client, cache: str, steps: Operation[Any]) -> Any:
    return ours.run(cache, steps)


def run_async(ours: Client, cache: str, steps: Operation[Any]) -> Any:
    return asyncio.run(ours.arun(cache, steps))


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both drivers must do the same."""
    return request.param


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(api_keys=[KEY], caches=["tests"], port=free_port()) as server:
        yield server


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("verb", [operations.get, operations.has_key])
def test_a_wrong_key_is_refused_without_being_shown(server: LocalServer, run: Run, verb: Any) -> None:
    """The message says where the key came from, and nothing of what it is."""
    wrong = "a-wrong-key-of-some-length"
    with pytest.raises(AuthenticationFailed, match=r"refused the API key \(the test\)") as caught:
        run(client(server.port, wrong), "tests", verb(b"k"))
    assert wrong not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("verb", [operations.get, operations.has_key])
def test_a_missing_cache_is_named(server: LocalServer, run: Run, verb: Any) -> None:
    """Both ways of sending make the same error."""
    with pytest.raises(CacheNotFound, match=f"Momento at {server.address} has no cache named 'missing'"):
        run(client(server.port), "missing", verb(b"k"))


@pytest.mark.parametrize("verb", [operations.get, operations.has_key])
def test_a_server_that_is_gone_is_unavailable(server: LocalServer, run: Run, verb: Any) -> None:
    """The message says which address was tried."""
    server.stop()
    with pytest.raises(ServerUnavailable, match=f"{server.address} cannot be reached"):
        run(client(server.port), "tests", verb(b"k"))


@pytest.mark.parametrize("verb", [operations.get, operations.has_key])
def test_a_server_that_does_not_answer_times_out(black_hole: int, run: Run, verb: Any) -> None:
    """CLIENT_TIMEOUT bounds a call, and the message says by how much."""
    with pytest.raises((CallTimedOut, ServerUnavailable), match=str(black_hole)):
        run(client(black_hole, client_timeout=0.3), "tests", verb(b"k"))


def test_a_server_that_comes_back_is_used_again(server: LocalServer, run: Run) -> None:
    """An outage leaves nothing behind that a restart of the process would have to mend."""
    ours = client(server.port)
    server.stop()
    with pytest.raises(ServerUnavailable):
        run(ours, "tests", operations.has_key(b"k"))
    server.start()
    assert repeat(lambda: run(ours, "tests", operations.has_key(b"k"))) is False
    assert repeat(lambda: run(ours, "tests", operations.get(b"k"))) is None


def repeat(act: Any) -> Any:
    """Repeat what fails for lack of a connection; gRPC pauses between its attempts to connect."""
    for _ in patience():
        with suppress(ServerUnavailable, CallTimedOut):
            return act()
    return act()


def test_an_error_is_thrown_into_the_operation(server: LocalServer, run: Run) -> None:
    """An operation may answer an error, or clean up after it, as any function may."""

    def steps() -> Operation[str]:
        try:
            yield Get(b"")
        except InvalidArgument as error:
            return f"handled {type(error).__name__}"
        return "not refused"

    assert run(client(server.port), "tests", steps()) == "handled InvalidArgument"


def test_calls_sent_together_fail_apart(server: LocalServer, run: Run) -> None:
    """One call that fails leaves the answers of the others."""

    def steps() -> Operation[list[Any]]:
        outcomes: list[Any] = yield [KeysExist((b"a",)), KeysExist((b"",)), KeysExist((b"b", b"c"))]
        return outcomes

    first, second, third = run(client(server.port), "tests", steps())
    assert (first, third) == ([False], [False, False])
    assert isinstance(second, MomentoCacheError)


def test_a_request_that_cannot_be_built_leaves_the_fork_gate(server: LocalServer) -> None:
    """A mistake before anything was sent must not hold up the next fork."""
    eventually(lambda: not gate.in_flight)  # Calls of earlier tests.
    with pytest.raises(InvalidArgument):
        run_async(client(server.port), "tests", operations.get("text"))  # type: ignore[arg-type]  # wrong on purpose
    assert gate.in_flight == 0


def test_closing_leaves_calls_in_flight_alone(black_hole: int) -> None:
    """Who still waits when a client is closed gets the answer, or as here the timeout, that was coming."""
    # Of connections that are closed while a call is in flight, the last may close after twice this time.
    ours = client(black_hole, client_timeout=3.0)

    async def main() -> None:
        waiting = asyncio.ensure_future(ours.arun("tests", operations.get(b"k")))
        together = asyncio.ensure_future(ours.arun("tests", operations.delete_many([b"k"])))
        await asyncio.sleep(0.1)
        ours.close()
        for task in (waiting, together):
            with pytest.raises(CallTimedOut):
                await task

    asyncio.run(main())


def test_what_fails_inside_the_sdk_is_a_server_error(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SDK error without a status is passed on with its own words."""
    ours = client(server.port)
    ours.get_credential()
    refused = CacheGet.Error(UnknownException("something odd"))
    monkeypatch.setattr(ours.transport.cache_client, "get", lambda *args: refused)
    with pytest.raises(ServerError, match="SDK refused the call: something odd"):
        ours.run("tests", operations.get(b"k"))


def test_what_the_sdk_itself_refuses_is_an_invalid_argument(server: LocalServer) -> None:
    """The SDK checks some arguments before it sends them."""
    with pytest.raises(InvalidArgument, match="SDK refused the call"):
        client(server.port).run("", operations.get(b"k"))


def test_a_closed_client_connects_anew(server: LocalServer, run: Run) -> None:
    """close() may be called twice, and at any time."""
    ours = client(server.port)
    ours.run("tests", operations.has_key(b"k"))
    ours.close()
    ours.close()
    assert run(ours, "tests", operations.get(b"k")) is None


def test_create_says_whether_the_cache_is_new(server: LocalServer) -> None:
    """Creating what exists is no error."""
    ours = client(server.port)
    assert ours.run("new", operations.create()) is True
    assert ours.run("new", operations.create()) is False
    server.stop()
    for refused in (operations.create(), operations.clear("new")):
        with pytest.raises(ServerUnavailable):
            ours.run("new", refused)
