"""Calls under a clock that a test has frozen, with the real libraries that freeze it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import freezegun
import pytest
import time_machine

from django_momento.client import operations
from django_momento.client.client import Client
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.sites import Run
from tests.kit.sites import run as run_fixture

run = run_fixture

Freeze = Callable[[], AbstractContextManager[Any]]

PAST = 1_000_000_000.0
FREEZES: dict[str, Freeze] = {
    "mock": lambda: mock.patch("time.time", return_value=PAST),
    "freezegun": lambda: freezegun.freeze_time("2001-09-09", ignore=["asyncio", "threading"]),
    "freezegun but for gRPC": lambda: freezegun.freeze_time(
        "2001-09-09", ignore=["asyncio", "threading", "grpc"]
    ),
    "time-machine": lambda: time_machine.travel(PAST, tick=False),
    "a few seconds": lambda: mock.patch("time.time", lambda now=time.time: now() - 25.0),
}


@pytest.fixture(params=FREEZES.values(), ids=list(FREEZES))
def freeze(request: pytest.FixtureRequest) -> Freeze:
    return request.param


@pytest.fixture
def client() -> Iterator[Client]:
    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port, client_timeout=20.0)
        client.run("tests", operations.set(b"k", b"1", 60_000))
        yield client
        client.close()


def test_every_verb_works_under_a_frozen_clock(client: Client, freeze: Freeze, run: Run) -> None:
    """gRPC makes its deadline of time.time(); no call is lost, and the breaker stays shut."""
    verbs = [
        operations.get(b"k"),
        operations.add(b"new", b"v", 60_000),
        operations.has_key(b"k"),
        operations.incr(b"k", 1),
        operations.get_many([b"k", b"new"]),
        operations.set_many({b"a": b"1", b"b": b"2"}, 60_000),
        operations.delete_many([b"a", b"b"]),
        operations.touch(b"k", 60_000),
    ]
    with freeze():
        # The clock of the server, which is in this process, is frozen too.
        run(client, operations.set(b"k", b"1", 60_000))
        results = [run(client, verb) for verb in verbs]
    assert [b"1", True, True, 2, {b"k": b"2", b"new": b"v"}, {}, None, True] == results
    assert 0 == client.counts["circuit_openings"]
    assert b"2" == run(client, operations.get(b"k"))


def test_gathered_gets_work_under_a_frozen_clock(client: Client, freeze: Freeze) -> None:
    """They are sent again as one call."""

    async def main() -> list[Any]:
        return await asyncio.gather(*(client.arun("tests", operations.get(b"k")) for _ in range(20)))

    with freeze():
        client.run("tests", operations.set(b"k", b"1", 60_000))
        assert [b"1"] * 20 == asyncio.run(main())
