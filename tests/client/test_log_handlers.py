"""Handlers of log lines may use the cache: no thread waits for ever for one that waits for the handler."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from django_momento.client import operations
from django_momento.client.channel import Recycled
from django_momento.client.client import Client
from django_momento.client.rotation import Rotation
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import boundary
from django_momento.credentials import credential as credentials
from django_momento.credentials.credential import Credential
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.clients import make_client
from tests.kit.rotating import credential
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD


class Handler(logging.Handler):
    """Acts for each line, and holds the lock that logging gives each handler."""

    def __init__(self, act: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        self.act(record)


@pytest.fixture
def listen() -> Iterator[Callable[[str, Handler], None]]:
    """Add a handler to a logger at level DEBUG until the end of the test."""
    undo: list[Callable[[], None]] = []

    def add(name: str, handler: Handler) -> None:
        logger = logging.getLogger(name)
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        undo.append(lambda: (logger.removeHandler(handler), logger.setLevel(level))[0])

    yield add
    for each in undo:
        each()


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def has_ended(thread: threading.Thread) -> bool:
    thread.join(HANG_GUARD)
    return not thread.is_alive()


def test_a_handler_that_holds_its_lock_connects_beside_a_thread_that_logs() -> None:
    """One thread connects and waits for the handler's lock, which another holds that wants to connect."""
    lock, is_connecting = threading.Lock(), threading.Event()
    names = itertools.count()

    def connect(generation: int) -> int:
        is_connecting.set()
        if threading.current_thread() is logs:
            with lock:  # as a handler of log lines
                pass
        return next(names)

    recycled: Recycled[int] = Recycled(connect, lambda connection: None)
    lock.acquire()
    logs = threading.Thread(target=recycled.get, daemon=True)
    logs.start()
    assert is_connecting.wait(HANG_GUARD)
    connection = recycled.get()
    lock.release()
    assert has_ended(logs)
    assert connection == recycled.get(), "Both threads must go on with the first connection."


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_handler_of_the_sdks_lines_may_use_the_cache(
    face: str, listen: Callable[[str, Handler], None]
) -> None:
    """The SDK logs while it connects, on one thread, when a handler on another connects as well."""
    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port)
        client.get_credential()
        is_logging = threading.Event()

        def use_cache(record: logging.LogRecord) -> None:
            is_logging.set()
            if record.name == "judge":
                if face == "sync":
                    client.run("tests", operations.get(b"k"))
                else:
                    asyncio.run(client.arun("tests", operations.get(b"k")))

        handler = Handler(use_cache)
        listen("momentosdk", handler)
        listen("judge", handler)
        users = [in_thread(lambda: client.run("tests", operations.get(b"k"))) for _ in range(4)]
        logs = in_thread(lambda: logging.getLogger("judge").warning("A line."))
        assert all(has_ended(thread) for thread in [logs, *users])
        client.close()


@table("face", ["sync", "async"], afresh=True)
def test_a_run_that_does_not_end_is_given_up_by_its_waiters(
    face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that fetches may wait for a lock that the waiter holds."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 0.0)
    monkeypatch.setattr("django_momento.client.rotation.MAX_WARM_UP", 0.1)
    lock, is_using = threading.Lock(), threading.Event()

    def use(fetched: Credential, cache: str) -> bool:
        is_using.set()
        with lock:
            return False

    rotation = Rotation(lambda refresh: credential(), use)
    with lock:
        fetches = in_thread(lambda: rotation.refresh("tests"))
        assert is_using.wait(HANG_GUARD)
        act = rotation.refresh if face == "sync" else lambda cache: asyncio.run(rotation.arefresh(cache))
        with pytest.raises(CredentialError, match="another thread fetches"):
            act("tests")
    assert has_ended(fetches)


def test_the_line_about_a_new_key_is_written_after_the_fetch(
    listen: Callable[[str, Handler], None],
) -> None:
    """Its handler may throttle by the cache while others wait for the fetch."""
    with LocalServer(api_keys=["old"], caches=["tests"]) as server:
        keys = iter(["old", "new"])

        def fetch(options: ConnectionOptions, refresh: bool) -> Credential:
            key = SecretStr(next(keys))
            return Credential(key, "opaque", "the test", "127.0.0.1", "127.0.0.1", server.port)

        credentials.SOURCES["log handlers"] = fetch
        client = Client(ConnectionOptions("log handlers", configuration="laptop"))
        client.run("tests", operations.get(b"k"))
        server.accept_only("new")
        fetches: list[bool] = []
        listen("django_momento", Handler(lambda record: fetches.append(client.is_fetching_key)))
        client.run("tests", operations.get(b"k"))
        assert fetches
        assert not any(fetches)
        client.close()
