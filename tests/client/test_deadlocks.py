"""A call that waits for a fetch of the key gives up at once if the fetch waits for the call."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from django_momento.client import operations
from django_momento.client.client import Client
from django_momento.client.deadlocks import is_waiting_for
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import boundary
from django_momento.endpoint import Endpoint
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

Act = Callable[[], object]


def in_thread(act: Act) -> None:
    errors: list[CredentialError] = []

    def run() -> None:
        try:
            act()
        except CredentialError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def in_executor(act: Act) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(act).result()


def on_leaving_an_executor(act: Act) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(act)


def in_executor_of_a_loop(act: Act) -> None:
    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(None, act)

    asyncio.run(run())


WAYS: dict[str, Callable[[Act], None]] = {
    "thread": in_thread,
    "thread of a thread": lambda act: in_thread(lambda: in_thread(act)),
    "executor": in_executor,
    "leaving an executor": on_leaving_an_executor,
    "executor of a loop": in_executor_of_a_loop,
    "thread and executor": lambda act: in_thread(lambda: in_executor(act)),
}

SOURCE: dict[str, Act] = {}


def read_key() -> str:
    SOURCE["act"]()
    return "a-key"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wait that is given up by its time last longer than a test may."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 2 * HANG_GUARD)


@pytest.fixture
def client() -> Iterator[Client]:
    with client_of_a_server() as client:
        yield client


@contextmanager
def client_of_a_server() -> Iterator[Client]:
    """Make a client that has not fetched its key yet."""
    with LocalServer(caches=["tests"]) as server:
        client = Client(
            ConnectionOptions(
                f"{__name__}.read_key", endpoint=Endpoint("127.0.0.1", server.port), client_timeout=20.0
            )
        )
        yield client
        client.close()


def get(client: Client) -> object:
    return client.run("tests", operations.get(b"k"))


def aget(client: Client) -> object:
    return asyncio.run(client.arun("tests", operations.get(b"k")))


@table("face", [get, aget])
@table("inner", [get, aget])
@table("way", WAYS)
def test_a_callable_that_waits_for_a_thread_that_uses_the_cache(
    way: str, inner: Callable[[Client], object], face: Callable[[Client], object]
) -> None:
    """Its threads do not inherit its context."""
    errors: list[str] = []

    def use_cache() -> None:
        try:
            inner(ours)
        except CredentialError as error:
            errors.append(str(error))
            raise

    SOURCE["act"] = lambda: WAYS[way](use_cache)
    # A callable may take no notice of the error.
    failing = suppress(CredentialError) if "leaving" in way else pytest.raises(CredentialError)
    with client_of_a_server() as ours, failing:
        face(ours)
    (error,) = errors
    assert "uses this very cache" in error
    assert "read_key" in error


@pytest.mark.parametrize("waiter", [get, aget])
def test_a_handler_that_holds_its_lock_while_the_fetch_writes_a_line(
    client: Client, waiter: Callable[[Client], object]
) -> None:
    """The call of the handler fails at once, and the fetch goes on."""
    is_fetching, is_handling = threading.Event(), threading.Event()
    errors: list[CredentialError] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "of the site":
                is_handling.set()
                try:
                    waiter(client)
                except CredentialError as error:
                    errors.append(error)

    logger = logging.getLogger(__name__)
    handler = Handler()
    logger.addHandler(handler)

    def fetch() -> None:
        is_fetching.set()
        assert is_handling.wait(HANG_GUARD)
        logger.error("of the source")

    SOURCE["act"] = fetch
    fetching = threading.Thread(target=get, args=(client,), daemon=True)
    fetching.start()
    assert is_fetching.wait(HANG_GUARD)
    logger.error("of the site")
    fetching.join(HANG_GUARD)
    logger.removeHandler(handler)
    assert not fetching.is_alive()
    assert 1 == len(errors)


def test_threads_that_only_run_beside_each_other_wait_for_nothing() -> None:
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait, daemon=True)
    thread.start()
    assert thread.ident is not None
    assert not is_waiting_for(thread.ident, threading.get_ident())
    assert not is_waiting_for(threading.get_ident(), thread.ident)
    is_over.set()
