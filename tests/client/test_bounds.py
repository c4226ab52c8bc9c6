"""Every call ends by a bound of its own, whichever thread of gRPC's is missing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from django_momento.client import operations, readers, together
from django_momento.client import transport as transport_module
from django_momento.client.calls import KeysExist, Operation
from django_momento.client.client import Client
from django_momento.client.fork_gate import gate
from django_momento.client.futures import wait_on_this_thread
from django_momento.exceptions import CallTimedOut, MomentoCacheError
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.clock import Clock
from tests.kit.starting import on_this_thread
from tests.kit.tables import table
from tests.kit.timeouts import close_discarded_soon, short_timeouts
from tests.kit.waiting import HANG_GUARD, eventually

# Calls whose result a thread of gRPC's delivers: all of async, and lists of calls in sync.
ASYNC: dict[str, Callable[[], Operation[Any]]] = {
    "aget": lambda: operations.get(b"k"),
    "aset": lambda: operations.set(b"k", b"v", 60_000),
    "aincr": lambda: operations.incr(b"k", 1),
    "ahas_key": lambda: operations.has_key(b"k"),
    "aget_many": lambda: operations.get_many([b"j", b"k"]),
    "aset_many": lambda: operations.set_many({b"j": b"v", b"k": b"v"}, 60_000),
    "adelete_many": lambda: operations.delete_many([b"j", b"k"]),
    "aclear": lambda: operations.clear("tests"),
}


@pytest.fixture(autouse=True)
def _no_idle_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lone calls and streams are read by threads that other tests may have left idle."""
    monkeypatch.setattr(readers, "threads", readers.Threads())


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(caches=["tests"]) as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with client_of(server) as client:
        yield client


@contextmanager
def client_of(server: LocalServer) -> Iterator[Client]:
    """Make a client that has its key, when no call of another one is in flight."""
    eventually(lambda: not gate.in_flight)
    client = make_client(server.port, client_timeout=30.0)
    client.get_credential()
    yield client
    client.close()


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def overflow(thread: threading.Thread) -> None:
    raise RecursionError("maximum recursion depth exceeded")


def arun(client: Client, operation: Operation[Any]) -> Any:
    return asyncio.run(asyncio.wait_for(client.arun("tests", operation), HANG_GUARD))


@table("start", [refuse, overflow])
@table("verb", ASYNC)
def test_an_async_call_without_a_thread_fails_with_our_error_and_recovers(
    server: LocalServer, verb: str, start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container at its limit of threads: once they start again, every verb works again."""
    with client_of(server) as client:
        with monkeypatch.context() as patch:
            patch.setattr(readers, "threads", readers.Threads())
            patch.setattr(threading.Thread, "start", on_this_thread(start))
            for _ in range(3):
                # Streams are read by threads of ours, which may be there already.
                with suppress(MomentoCacheError) if "many" in verb else pytest.raises(MomentoCacheError):
                    arun(client, ASYNC[verb]())
        assert 0 == gate.in_flight
        for again in ASYNC.values():
            arun(client, operations.set(b"k", b"1", 60_000))
            arun(client, again())
        client.run("tests", operations.delete_many([b"j", b"k"]))
        eventually(lambda: gate.in_flight == 0)


@pytest.mark.parametrize("start", [refuse, overflow])
def test_sync_calls_together_without_a_thread_fail_with_our_error_and_recover(
    client: Client, start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """delete_many waits for futures of gRPC's, too."""
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(start))
        for _ in range(3):
            with pytest.raises(MomentoCacheError):
                client.run("tests", operations.delete_many([b"j", b"k"]))
    assert 0 == gate.in_flight
    client.run("tests", operations.delete_many([b"j", b"k"]))
    assert arun(client, operations.get(b"k")) is None


def test_a_signal_in_the_start_of_a_thread_leaves_a_working_client(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception from outside comes out as it is, and the channel is replaced all the same."""

    class TimeLimit(Exception):
        pass

    def interrupt(thread: threading.Thread) -> None:
        raise TimeLimit

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(interrupt))
        with pytest.raises((TimeLimit, MomentoCacheError)):
            client.run("tests", operations.delete_many([b"j", b"k"]))
    client.run("tests", operations.delete_many([b"j", b"k"]))


@pytest.mark.parametrize("verb", ["aget", "aset", "ahas_key", "adelete_many"])
def test_a_call_whose_deadline_is_not_delivered_times_out(
    client: Client, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If gRPC's thread dies, nobody delivers its deadline. The call ends, and the next one works."""
    close_discarded_soon(monkeypatch)
    with short_timeouts(client, 0.2), monkeypatch.context() as patch:
        # The thread seems to start and does nothing.
        patch.setattr(threading.Thread, "start", on_this_thread(lambda thread: None))
        monkeypatch.setattr(transport_module, "GRACE", 0.1)
        with pytest.raises(CallTimedOut):
            arun(client, ASYNC[verb]())
    assert 0 == gate.in_flight
    arun(client, operations.set(b"k", b"1", 60_000))
    arun(client, ASYNC[verb]())


def test_sync_calls_together_whose_deadline_is_not_delivered_time_out(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that waits has a bound of its own."""
    close_discarded_soon(monkeypatch)
    with short_timeouts(client, 0.2), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(lambda thread: None))
        with pytest.raises(CallTimedOut):
            client.run("tests", operations.delete_many([b"j", b"k"]))
    client.run("tests", operations.delete_many([b"j", b"k"]))


def test_sync_calls_together_wait_no_longer_than_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the bound is for all of them. A moment is added only if it is past, as after a stop."""
    clock, waits = Clock(), list[float]()
    bound = client.transport.bound(KeysExist((b"k",)))

    def wait_almost_until_the_bound(pending: object, seconds: float) -> bool:
        waits.append(seconds)
        clock.now = max(clock.now, started + bound - 0.01)
        return wait_on_this_thread(pending, HANG_GUARD)

    started = clock.now
    monkeypatch.setattr(together, "monotonic", clock)
    monkeypatch.setattr(together, "wait_on_this_thread", wait_almost_until_the_bound)
    client.run("tests", operations.delete_many([b"i", b"j", b"k"]))
    assert [bound, 0.01, 0.01] == pytest.approx(waits)
