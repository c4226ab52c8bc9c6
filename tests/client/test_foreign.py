"""Exceptions from outside a call, such as those of a signal's handler, come out of every verb as they are."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

import pytest

from django_momento.client import breaker, operations
from django_momento.client.breaker import Breakers
from django_momento.client.calls import Operation
from django_momento.client.client import Client
from django_momento.client.metering import BackgroundRequests
from django_momento.client.recovery import Recovery
from django_momento.client.sdk_log import LOGGER
from django_momento.conf.options import ConnectionOptions
from django_momento.endpoint import Endpoint
from django_momento.exceptions import CallTimedOut
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.clock import Clock
from tests.kit.tables import table

VERBS: dict[str, Callable[[], Operation[Any]]] = {
    "get": lambda: operations.get(b"k"),
    "set": lambda: operations.set(b"k", b"v", 1000),
    "add": lambda: operations.add(b"k", b"v", 1000),
    "touch": lambda: operations.touch(b"k", 1000),
    "delete": lambda: operations.delete(b"k"),
    "delete by ttl": lambda: operations.set(b"k", b"v", 0),
    "has_key": lambda: operations.has_key(b"k"),
    "incr": lambda: operations.incr(b"k", 1),
    "get_many": lambda: operations.get_many([b"j", b"k"]),
    "set_many": lambda: operations.set_many({b"j": b"v", b"k": b"v"}, 1000),
    "delete_many": lambda: operations.delete_many([b"j", b"k"]),
    "clear": lambda: operations.clear("tests"),
    "create": operations.create,
}


class TimeLimitExceeded(Exception):
    """As a task queue raises it from the handler of a signal."""


@contextmanager
def client_of_a_silent_server() -> Iterator[Client]:
    """Make a client of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint("127.0.0.1", silent.getsockname()[1])
        client = Client(ConnectionOptions("local", endpoint=endpoint, client_timeout=60))
        yield client
        client.close()


def interrupted(
    client: Client, operation: Operation[Any], error: type[Exception] = TimeLimitExceeded
) -> None:
    """Run an operation that a signal's handler interrupts, again if Python loses its exception.

    Python prints the exception of a handler that runs within a destructor, and goes on.
    """
    inside = [True]

    def handler(signum: int, frame: object) -> None:
        if inside:
            raise error

    client.get_credential()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        try:
            # If the process stands still for so long, the handler raises before the call.
            signal.setitimer(signal.ITIMER_REAL, 0.2, 2.0)
            client.run("tests", operation)
        finally:
            inside.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@table("level", [logging.NOTSET, logging.CRITICAL])
@table("verb", VERBS.values(), ids=VERBS)
def test_a_time_limit_comes_out_of_every_verb(verb: Callable[[], Operation[Any]], level: int) -> None:
    """The SDK turns every exception into an error response, whatever its logger is set to."""
    before = LOGGER.level
    LOGGER.setLevel(level)
    try:
        with client_of_a_silent_server() as client, pytest.raises(TimeLimitExceeded):
            interrupted(client, verb())
    finally:
        LOGGER.setLevel(before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@table("error", [TimeoutError, Empty])
@table("verb", ["get", "has_key", "get_many", "delete_many", "clear", "create"])
def test_a_time_limit_of_the_kind_that_ends_a_wait_comes_out(verb: str, error: type[Exception]) -> None:
    """It is not taken for the end of a wait of ours, which then would be an outage."""
    with client_of_a_silent_server() as client, pytest.raises(error):
        interrupted(client, VERBS[verb](), error)


@table("message", ["SerializeToString", "FromString"])
@table("verb", ["get", "incr", "has_key"])
def test_a_time_limit_comes_out_of_a_serializer(verb: str, message: str) -> None:
    """gRPC logs every exception there, and ends the call with a status that a read is repeated after."""

    def handler(signum: int, frame: object) -> None:
        raise TimeLimitExceeded

    def profile(frame: object, event: str, called: object) -> None:
        if event == "c_call" and getattr(called, "__name__", "") == message:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGALRM)

    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port)
        client.run("tests", operations.set(b"k", b"1", 60_000))
        before = signal.signal(signal.SIGALRM, handler)
        sys.setprofile(profile)
        try:
            with pytest.raises(TimeLimitExceeded):
                client.run("tests", VERBS[verb]())
        finally:
            sys.setprofile(None)
            signal.signal(signal.SIGALRM, before)
        assert b"1" == client.run("tests", operations.get(b"k"))
        client.close()


def test_a_time_limit_comes_out_of_the_probe_of_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller whose process was frozen probes on its own thread. The probe is over then, without success."""

    class InUse:
        credential = None
        probe_timeout = 1.0

        def reconnected(self) -> None:
            signal.raise_signal(signal.SIGALRM)

    def handler(signum: int, frame: object) -> None:
        raise TimeLimitExceeded

    clock, breakers, suspected = Clock(), Breakers(), list[str]()
    monkeypatch.setattr(breaker, "monotonic", clock)
    in_use: Any = InUse()
    recovery = Recovery(
        breakers, lambda: in_use, lambda old, fresh: None, suspected.append, BackgroundRequests()
    )
    breakers.own.record_failure(CallTimedOut("late"), clock.now)
    clock.advance(60)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(TimeLimitExceeded) as interrupted:
            recovery.check(breakers.own, "tests")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert breakers.own.is_open
    assert ["tests"] == suspected
    # The frames of the exception keep the probe. The next one is not due so soon if that one has not ended.
    assert interrupted.tb
    clock.advance(breaker.MAX_BACKOFF)
    assert breakers.own.half_open()
