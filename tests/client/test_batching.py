"""Gets of one event loop that are asked for together: one call, and to each its own answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from momento import CacheClient, Configurations, CredentialProvider

from django_momento.client import batching, operations
from django_momento.client.breaker import FAILURE_THRESHOLD
from django_momento.client.calls import MAX_MESSAGE_BYTES
from django_momento.client.client import Client
from django_momento.client.fork_gate import gate
from django_momento.exceptions import (
    AuthenticationFailed,
    CacheNotFound,
    CallTimedOut,
    FailedPrecondition,
    InvalidArgument,
    NotPermitted,
    ServerError,
    TransportError,
)
from django_momento.local import LocalServer
from tests.kit.capture import capturing
from tests.kit.clients import make_client
from tests.kit.clock import Clock
from tests.kit.damaged import damaged_server
from tests.kit.holding import holding
from tests.kit.waiting import HANG_GUARD, aeventually, eventually

KEYS = [f"key{number}".encode() for number in range(10)]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server that holds a value of its own under each key."""
    with LocalServer(api_keys=["a-key"], caches=["tests"]) as server:
        ours = client(server.port)
        ours.run("tests", operations.set_many({key: b"value of " + key for key in KEYS}, 60_000))
        ours.close()
        server.reset_calls()
        yield server


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def client(port: int, api_key: str = "a-key", client_timeout: float = 60) -> Client:
    ours = make_client(port, api_key, client_timeout=client_timeout)
    ours.get_credential()  # Tasks that wait for the first fetch of the key may go on in several turns.
    return ours


async def asked_together(ours: Client, keys: list[bytes], cache: str = "tests") -> list[object]:
    gets = (ours.arun(cache, operations.get(key)) for key in keys)
    return await asyncio.gather(*gets, return_exceptions=True)


def test_gets_asked_for_together_are_one_call(server: LocalServer) -> None:
    """Each task gets the value of its own key, or None for a miss."""
    ours = client(server.port)
    values = asyncio.run(asked_together(ours, [*KEYS, b"missing"]))
    assert [*(b"value of " + key for key in KEYS), None] == values
    assert {"GetBatch": 1} == dict(server.calls)


def test_a_get_on_its_own_is_a_get(server: LocalServer) -> None:
    """What nobody shares is not wrapped into a batch."""
    assert [b"value of key0"] == asyncio.run(asked_together(client(server.port), [b"key0"]))
    assert {"Get": 1} == dict(server.calls)


def test_a_key_that_several_want_is_asked_for_once(server: LocalServer) -> None:
    """A hot key costs one operation, however many tasks read it at the same moment."""
    assert [b"value of key0"] * 5 == asyncio.run(asked_together(client(server.port), [b"key0"] * 5))
    assert {"Get": 1} == dict(server.calls)


def test_a_call_carries_so_many_keys_and_no_more(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that fails takes no more than its own down with it."""
    monkeypatch.setattr(batching, "MAX_BATCHED_KEYS", 4)
    assert [b"value of " + key for key in KEYS] == asyncio.run(asked_together(client(server.port), KEYS))
    assert {"GetBatch": 3} == dict(server.calls)


def test_caches_do_not_travel_together(server: LocalServer) -> None:
    """One call is for one cache: each task hears of its own."""
    ours = client(server.port)

    async def main() -> list[object]:
        here, elsewhere = await asyncio.gather(
            asked_together(ours, KEYS[:2]), asked_together(ours, KEYS[:2], "missing")
        )
        return [*here, *elsewhere]

    first, second, third, fourth = asyncio.run(main())
    assert (b"value of key0", b"value of key1") == (first, second)
    assert isinstance(third, CacheNotFound)
    assert isinstance(fourth, CacheNotFound)


def test_each_task_gets_an_exception_of_its_own(server: LocalServer) -> None:
    """An exception that were shared would gather the traceback of everyone who raises it."""
    failures = asyncio.run(asked_together(client(server.port, "a-wrong-key"), KEYS[:3]))
    assert all(isinstance(failure, AuthenticationFailed) for failure in failures)
    assert 3 == len({id(failure) for failure in failures})


def test_a_task_that_is_cancelled_takes_nothing_from_the_others(server: LocalServer) -> None:
    """Its key may be in the same call, and even be the same key."""
    ours = client(server.port)

    async def main() -> list[object]:
        tasks = [
            asyncio.ensure_future(ours.arun("tests", operations.get(key))) for key in (KEYS[0], *KEYS[:2])
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await asyncio.gather(*tasks[1:])

    assert [b"value of key0", b"value of key1"] == asyncio.run(main())


def test_a_call_that_nobody_waits_for_any_more_is_cancelled(silent_port: int) -> None:
    """Cancelling every task that shares a call cancels the call."""
    ours = client(silent_port)
    eventually(lambda: not gate.in_flight)  # Calls of earlier tests.

    async def main() -> None:
        tasks = [asyncio.ensure_future(ours.arun("tests", operations.get(key))) for key in KEYS[:2]]
        for _ in range(3):  # asked for, sent, under way
            await asyncio.sleep(0)
        assert 1 == gate.in_flight
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(main())
    eventually(lambda: not gate.in_flight)


@pytest.mark.parametrize("together", [1, 3])
def test_calls_that_were_cancelled_are_no_outage(server: LocalServer, together: int) -> None:
    """As when visitors leave: the circuit breaker counts none of them."""
    ours = client(server.port)

    async def main() -> None:
        with holding() as held:
            for _ in range(FAILURE_THRESHOLD + 5):
                assert 0 == ours.counts["circuit_openings"]
                gets = (ours.arun("tests", operations.get(key)) for key in KEYS[:together])
                tasks = [asyncio.ensure_future(each) for each in gets]
                await aeventually(lambda: held.waiting == 1)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await aeventually(lambda: held.waiting == gate.in_flight == 0)
            held.release()
        assert await ours.arun("tests", operations.get(KEYS[0])) == b"value of key0"

    asyncio.run(asyncio.wait_for(main(), HANG_GUARD))
    ours.close()


def test_what_is_cancelled_before_it_is_sent_is_never_sent(server: LocalServer) -> None:
    """A task that ends in the round in which it asked costs Momento nothing."""
    ours = client(server.port)

    async def main() -> None:
        task = asyncio.ensure_future(ours.arun("tests", operations.get(b"key0")))
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait([task])

    asyncio.run(main())
    assert {} == dict(server.calls)


def test_a_call_that_times_out_fails_all_who_wait_for_it(silent_port: int) -> None:
    """Nobody is left waiting."""
    failures = asyncio.run(asked_together(client(silent_port, client_timeout=0.3), KEYS[:3]))
    assert all(isinstance(failure, TransportError) for failure in failures), failures


def test_a_batch_is_given_up_when_it_is_still_overdue_a_moment_later(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer of a process that was stopped is due before gRPC's thread has delivered anything."""
    ours, clock, timers = client(server.port), Clock(), list[Callable[[], None]]()

    def call_later(loop: object, seconds: float, callback: Callable[[], None]) -> Any:
        timers.append(callback)
        return mock.Mock()

    async def main(looks: int) -> list[object]:
        gets = asyncio.ensure_future(asked_together(ours, KEYS[:2]))
        for _ in range(4):  # asked for, sent, under way
            await asyncio.sleep(0)
        for _ in range(looks):
            clock.advance(1000)
            timers[-1]()
        return await gets

    monkeypatch.setattr(batching, "call_later", call_later)
    monkeypatch.setattr(batching, "monotonic", clock)
    server.delay(100)
    assert [b"value of key0", b"value of key1"] == asyncio.run(main(looks=1))
    failures = asyncio.run(main(looks=2))
    assert [CallTimedOut] * 2 == [type(failure) for failure in failures]


def test_a_new_event_loop_has_gatherings_of_its_own(server: LocalServer) -> None:
    """A loop that was closed leaves nothing that the next could stumble over."""
    ours = client(server.port)
    for _ in range(3):
        assert [b"value of key0", b"value of key1"] == asyncio.run(asked_together(ours, KEYS[:2]))


def test_a_key_that_momento_refuses_fails_alone(server: LocalServer) -> None:
    """A key that holds a dictionary, or is larger than a message, takes nothing from the other tasks."""
    host = "127.0.0.1"
    credentials = CredentialProvider("a-key", host, host, host, server.port)
    with CacheClient(Configurations.Laptop.v1(), credentials, timedelta(seconds=60)) as sdk:
        sdk.dictionary_set_field("tests", "a dictionary", "field", "value")
    huge = b"k" * (MAX_MESSAGE_BYTES + 1)
    found = asyncio.run(asked_together(client(server.port), [*KEYS[:2], b"a dictionary", huge, KEYS[2]]))
    assert [b"value of " + key for key in KEYS[:3]] == [found[0], found[1], found[4]]
    assert isinstance(found[2], FailedPrecondition)
    assert isinstance(found[3], InvalidArgument)
    assert f"{len(huge):,} bytes" in found[3].cause


def test_a_key_whose_response_is_damaged_fails_alone() -> None:
    """Whether the server refuses it, sends no result, an unreadable one or none at all for it."""
    with damaged_server() as port:
        ours = client(port)
        refused = dict.fromkeys(
            (b"UNKNOWN", b"INTERNAL", b"DATA_LOSS", b"no result", b"unreadable"), ServerError
        )
        for key, error in {**refused, b"PERMISSION_DENIED": NotPermitted}.items():
            first, broken, last = asyncio.run(asked_together(ours, [b"a", key, b"b"]))
            assert (first, type(broken), last) == (None, error, None), key
        assert [None] * 3 == asyncio.run(asked_together(ours, [b"a", b"short", b"b"]))


def test_tasks_whose_batch_failed_are_sent_together_again() -> None:
    """Ten tasks that shared a call do not ask ten times for its failure, nor does the breaker count them."""
    with capturing(failures=1) as server:
        ours = client(server.port)
        assert [None] * 10 == asyncio.run(asked_together(ours, [b"key"] * 10))
    assert ["Get", "Get"] == [seen["rpc"] for seen in server.seen]
    assert 0 == ours.counts["circuit_openings"]


@pytest.mark.parametrize("where", ["start", "finish"])
def test_an_exception_from_outside_comes_out_of_every_task(server: LocalServer, where: str) -> None:
    """A signal's handler may raise while the loop sends a batch or delivers it: no task waits for ever."""
    ours = client(server.port)

    class TimeLimit(Exception):
        pass

    def raise_it(*_: object) -> None:
        raise TimeLimit

    with mock.patch.object(ours.current, where, raise_it):
        failures = asyncio.run(asyncio.wait_for(asked_together(ours, KEYS[:3]), HANG_GUARD))
    assert [TimeLimit] * 3 == [type(failure) for failure in failures]
