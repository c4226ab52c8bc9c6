"""The interruption of one caller that fetches the key is no failure of the key's source.

It comes out of that caller's call as it is. Others fetch the key at once, and no pause follows.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_momento.client import operations
from django_momento.client.client import Client
from django_momento.client.readers import Threads
from django_momento.client.rotation import LOOK_EVERY, NEVER, Rotation
from django_momento.client.single_flight import Overdue, SingleFlight
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import boundary
from django_momento.credentials.credential import Credential, fetch
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from tests.kit import rotating as fixtures
from tests.kit.clients import make_client
from tests.kit.clock import Clock
from tests.kit.rotating import Holder, Source, credential, landed, looked, make_rotation
from tests.kit.starting import on_this_thread
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, eventually

clock, source, holder = fixtures.clock, fixtures.source, fixtures.holder
rotation = fixtures.rotation


class TimeLimit(Exception):
    """As the soft time limit of a task queue."""


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, handle)
    yield
    signal.signal(signal.SIGALRM, before)


def interrupt(*_: object, **more: object) -> Any:
    signal.raise_signal(signal.SIGALRM)


def read_key() -> tuple[str, str]:
    """Return a key and an endpoint, as the source of a site's own does."""
    return "key", "127.0.0.1:1"


@table("credentials", ["embedded", f"{__name__}.read_key"])
def test_a_time_limit_comes_out_of_a_fetch(credentials: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the source runs on the caller's thread, or the caller starts a thread for it."""
    monkeypatch.setattr(boundary, "MAX_THREADS", 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", on_this_thread(interrupt))
        patched.setattr("django_momento.credentials.embedded.server.start", interrupt)
        with pytest.raises(TimeLimit):
            fetch(ConnectionOptions(credentials))
    assert "key" == fetch(ConnectionOptions(f"{__name__}.read_key")).api_key


@pytest.mark.parametrize("is_first", [True, False], ids=["first fetch", "refused key"])
def test_an_interrupted_fetch_is_followed_by_no_pause(
    source: Source, holder: Holder, clock: Clock, is_first: bool
) -> None:
    to_interrupt = 1 if is_first else 2

    def fetch_interrupted(refresh: bool) -> Credential:
        fetched = source.fetch(refresh)
        if source.fetches == to_interrupt:
            interrupt()
        return fetched

    rotation = Rotation(fetch_interrupted, holder.use)
    if not is_first:
        rotation.refresh("tests")
    source.change("new")
    with pytest.raises(TimeLimit):
        rotation.refresh("tests")
    rotation.refresh("tests")
    assert (to_interrupt + 1, "new") == (source.fetches, holder.keys[-1])


def test_a_key_that_was_not_recorded_is_fetched_once_more(clock: Clock, source: Source) -> None:
    """A time limit that comes when the key is in use already must not cost its refetch ahead of expiry."""
    holder = Holder("none")

    def use_and_interrupt(fetched: Credential, cache: str) -> bool:
        has_replaced = holder.use(fetched, cache)
        if source.fetches == 1:
            interrupt()
        return has_replaced

    source.credential = credential("old", expires_at=clock.now + 1000)
    interrupted = Rotation(source.fetch, use_and_interrupt)
    with pytest.raises(TimeLimit):
        interrupted.refresh("tests")
    looked(interrupted, clock)
    landed(interrupted)
    assert (2, ["none", "old"]) == (source.fetches, holder.keys)
    assert clock.now < interrupted.due_at < clock.now + 1000


@table("error", [RuntimeError("can't start new thread"), MemoryError(), TimeLimit()])
def test_a_refetch_that_cannot_begin_is_due_again(
    source: Source, holder: Holder, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The key would expire, or its file change, and nobody would look."""

    def refuse(thread: threading.Thread) -> None:
        if isinstance(error, TimeLimit):
            interrupt()
        raise error

    source.credential = credential("old", expires_at=clock.now + 10)
    rotation = make_rotation(source, holder)
    clock.advance(9.9)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", on_this_thread(refuse))
        try:
            looked(rotation, clock)
        except TimeLimit:
            assert isinstance(error, TimeLimit)
    assert rotation.due_at <= clock.now + LOOK_EVERY
    assert not rotation.is_fetching
    clock.advance(LOOK_EVERY)
    looked(rotation, clock)
    landed(rotation)
    assert 1 == source.fetches
    assert NEVER != rotation.due_at


def test_without_memory_for_a_thread_an_async_fetch_is_a_credential_error(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise MemoryError("no memory for a thread")

    monkeypatch.setattr(threading.Thread, "start", on_this_thread(refuse))
    with pytest.raises(CredentialError, match="no memory for a thread"):
        asyncio.run(rotation.arefresh("tests"))


@pytest.mark.parametrize(
    "place", [(threading, "Thread"), (threading.Thread, "start")], ids=["begin", "start"]
)
def test_a_task_that_is_interrupted_before_its_thread_runs_leaves_no_flight(
    monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
) -> None:
    """A time limit that comes while an event loop runs, between two lines."""
    flight = SingleFlight(lambda: "the key", "test")
    with monkeypatch.context() as patched:
        patched.setattr(*place, interrupt)
        with pytest.raises(TimeLimit):
            asyncio.run(flight.arun())
    assert not flight.is_running
    assert "the key" == flight.run()


def test_a_cancelled_task_leaves_its_run_to_the_others() -> None:
    begun, may_end, runs = threading.Event(), threading.Event(), []

    def function() -> str:
        runs.append(threading.get_ident())
        begun.set()
        assert may_end.wait(HANG_GUARD)
        return "the key"

    flight = SingleFlight(function, "test")

    async def cancel_leader() -> str:
        leader = asyncio.create_task(flight.arun())
        await asyncio.to_thread(begun.wait, HANG_GUARD)
        other = asyncio.create_task(flight.arun())
        await asyncio.sleep(0)
        leader.cancel()
        await asyncio.wait([leader])
        may_end.set()
        return await other

    assert "the key" == asyncio.run(cancel_leader())
    assert 1 == len(runs)


@pytest.mark.parametrize("times", [1, 100], ids=["once", "always"])
def test_an_exception_that_is_set_in_the_thread_of_a_run_is_nobodys(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``PyThreadState_SetAsyncExc`` does: the run is begun anew, but not for ever."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # Python's own passes over SystemExit.
    runs: list[int] = []

    def function() -> str:
        runs.append(threading.get_ident())
        if len(runs) <= times:
            ident = ctypes.c_ulong(threading.get_ident())
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
            while True:
                len(runs)
        return "the key"

    flight = SingleFlight(function, "test")
    if times == 1:
        assert "the key" == asyncio.run(flight.arun())
        assert 2 == len(runs)
    else:
        with pytest.raises(Overdue):
            asyncio.run(flight.arun())
    eventually(lambda: "test" not in {each.name for each in threading.enumerate()})
    assert not flight.is_running


def test_a_run_that_is_overdue_is_replaced() -> None:
    """A thread that never ends must not be waited for by every later caller."""
    may_end, runs = threading.Event(), []

    def function() -> str:
        runs.append(threading.get_ident())
        assert len(runs) > 1 or may_end.wait(HANG_GUARD)
        return "the key"

    flight = SingleFlight(function, "test", lambda: 0.1)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(flight.run)
        eventually(lambda: runs)
        with pytest.raises(Overdue):
            flight.run()
        assert "the key" == flight.run()
        may_end.set()
        assert "the key" == stuck.result(HANG_GUARD)


def interrupt_and_hide(thread: threading.Thread) -> None:
    """Fail as ``Thread.start`` does that a signal's handler interrupts while it waits for the thread."""
    try:
        interrupt()
    except TimeLimit:
        raise RuntimeError("release unlocked lock")  # noqa: B904 - it is the context


@pytest.fixture
def client() -> Iterator[Client]:
    with LocalServer(caches=["tests"]) as server:
        client = make_client(server.port)
        client.run("tests", operations.get(b"k"))
        yield client
        client.close()


def test_a_time_limit_comes_out_of_the_start_of_a_thread(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the thread's own error has taken its place, which is no lack of threads."""
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", on_this_thread(interrupt_and_hide))
        for act in (lambda: Threads().try_to_run(int), client.close):
            with pytest.raises(TimeLimit):
                act()


def test_a_time_limit_comes_out_of_the_sdk_that_makes_an_error_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its log lines do not tell of it."""
    sdk = "momento.internal.synchronous._scs_data_client._ScsDataClient"
    monkeypatch.setattr(f"{sdk}._log_request_error", lambda *_: None)
    monkeypatch.setattr(f"{sdk}._build_stub", interrupt)
    with pytest.raises(TimeLimit):
        client.run("tests", operations.get(b"k"))
