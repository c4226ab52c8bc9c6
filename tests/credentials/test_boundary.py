"""No source holds a caller beyond one deadline, and every failure of a source is a CredentialError."""

from __future__ import annotations

import os
import socket
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import agent as agent_source
from django_momento.credentials import boundary
from django_momento.credentials.boundary import RedactedTraceback
from django_momento.credentials.credential import fetch
from django_momento.exceptions import CredentialError
from tests.kit import aws as fixtures
from tests.kit.aws import AGENT_TOKEN, CELL, KEYS, REGION, V2_KEY, report, shown_of
from tests.kit.tables import table
from tests.kit.waiting import eventually

# pytest finds fixtures by the names of a module.
aws_environment = fixtures.aws_environment

SECRET = ConnectionOptions("secretsmanager", secret_id="momento", region=REGION)
AGENT = ConnectionOptions("agent", secret_id="momento", region=REGION)
CALLABLE = ConnectionOptions("site_keys.current")

# Seconds. A wait that has no bound of its own would last as long as this.
HANG_GUARD = 60


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the site's, which can be imported as ``site_keys``."""
    module = types.ModuleType("site_keys")
    monkeypatch.setitem(sys.modules, "site_keys", module)
    return module


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Hold the threads of a test until its end, and wait for them, so that none outlives it."""
    event = threading.Event()
    before = set(threading.enumerate())
    yield event
    event.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(HANG_GUARD)


def failure(options: ConnectionOptions) -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        fetch(options)
    whole = report(failed.value)
    assert failed.value.fix
    assert [] == [run for key in KEYS for run in shown_of(key, whole)]
    return failed.value


@contextmanager
def trickling(head: bytes, release: threading.Event) -> Iterator[int]:
    """A server whose response begins with ``head`` and has another byte every now and then; its port."""

    def serve() -> None:
        while not release.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection,)).start()

    def trickle(connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            try:
                connection.sendall(head)
                while not release.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                return  # the client has gone

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            release.set()
            with socket.create_connection(listener.getsockname()):
                pass
            thread.join(HANG_GUARD)


HEADS = {
    "status line": b"HTTP/1.1 200 O",
    "headers": b"HTTP/1.1 200 OK\r\nX-Trickle: ",
    "body": b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"SecretString": "',
    "endless body": b'HTTP/1.1 200 OK\r\n\r\n{"SecretString": "',
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


@every_head
@pytest.mark.usefixtures("aws_environment")
def test_a_trickling_secrets_manager_holds_no_caller(
    head: bytes, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is in time for the timeout of a read."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 1.0)
    with trickling(head, release) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{port}")
        error = failure(SECRET)

    assert "Secret 'momento' in us-west-2 (AWSCURRENT) did not return within 1 s." == error.cause


@every_head
@pytest.mark.usefixtures("aws_environment")
def test_a_trickling_agent_holds_no_caller(
    head: bytes, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's own deadline comes first, so that AGENT_FALLBACK has time left."""
    monkeypatch.setattr(agent_source, "READ_TIMEOUT", 0.5)
    monkeypatch.setenv("AWS_TOKEN", AGENT_TOKEN)
    with trickling(head, release) as port:
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(port))
        error = failure(AGENT)

    assert "did not respond as it should: TimeoutError." in error.cause


def test_a_callable_that_hangs_holds_no_caller(
    site: Any, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 0.2)
    site.current = release.wait
    error = failure(CALLABLE)

    assert "Callable 'site_keys.current' did not return within 0.2 s." == error.cause
    assert "timeouts" in error.fix


def test_a_callable_that_hung_once_is_called_again(
    site: Any, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 0.2)
    site.current = release.wait
    failure(CALLABLE)
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", HANG_GUARD)
    site.current = lambda: (V2_KEY, CELL)

    assert V2_KEY == fetch(CALLABLE).api_key


def test_a_callable_that_always_hangs_leaves_a_bounded_number_of_threads(
    site: Any, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And works again when it no longer hangs."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 0.01)
    monkeypatch.setattr(boundary, "MAX_THREADS", 3)
    began = threading.Semaphore(0)

    def hang() -> None:
        began.release()
        release.wait()

    site.current = hang
    before = threading.active_count()
    causes = []
    for _ in range(6):
        causes.append(failure(CALLABLE).cause)
        # A thread counts from its start, which may be later than the end of such a short wait for it.
        if "did not return" in causes[-1]:
            assert began.acquire(timeout=HANG_GUARD)

    assert 3 == sum("did not return within 0.01 s." in cause for cause in causes)
    assert 3 == sum("is not fetched again, because 3 fetches have not returned yet." in it for it in causes)
    assert before + 3 >= threading.active_count()

    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", HANG_GUARD)
    site.current = lambda: (V2_KEY, CELL)
    assert "because 3 fetches have not returned yet." in failure(CALLABLE).cause
    # So that one that is still counted would keep the next from being begun.
    monkeypatch.setattr(boundary, "MAX_THREADS", 1)
    release.set()
    eventually(lambda: is_fetched(CALLABLE))


@table(
    "ending",
    [SystemExit, SystemExit(3), KeyboardInterrupt, GeneratorExit, RecursionError, MemoryError, OSError],
)
def test_whatever_ends_a_callable_ends_only_the_fetch(site: Any, ending: Any) -> None:
    """Nothing that the site's code raises comes out of a cache call as it is."""

    def current() -> str:
        raise ending

    site.current = current
    name = ending.__name__ if isinstance(ending, type) else type(ending).__name__

    assert name in failure(CALLABLE).cause


def test_an_error_of_no_source_in_particular_is_told_without_a_key(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that a source does not expect has the key in its frames and in its words."""

    def call(path: str) -> None:
        answer = {"api_key": V2_KEY}
        raise LookupError(answer)

    monkeypatch.setattr("django_momento.credentials.function.call", call)
    error = failure(CALLABLE)

    assert error.cause.startswith("Callable 'site_keys.current' cannot be read: LookupError: ")
    assert isinstance(error.__cause__, RedactedTraceback)
    assert "in call" in str(error.__cause__)


def is_fetched(options: ConnectionOptions) -> bool:
    try:
        return fetch(options).api_key == V2_KEY
    except CredentialError:
        return False


def test_without_a_thread_to_spare_the_fetch_fails(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container at its limit of processes starts none."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    site.current = lambda: (V2_KEY, CELL)
    monkeypatch.setattr(boundary, "MAX_THREADS", 1)  # so that a fetch that fails must not stay counted
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        error = failure(CALLABLE)

    assert "no thread can start: can't start new thread." in error.cause
    eventually(lambda: is_fetched(CALLABLE))


def test_a_callable_sees_the_context_of_its_caller(site: Any) -> None:
    """Context variables, such as those of tracing, are there as they are without a thread."""
    variable: ContextVar[str] = ContextVar("variable")
    site.current = lambda: (V2_KEY, variable.get())
    token = variable.set(CELL)

    assert f"cache.{CELL}" == fetch(CALLABLE).cache_host
    variable.reset(token)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_does_not_wait_for_a_fetch_and_its_child_can_fetch(
    site: Any, release: threading.Event
) -> None:
    """The child has none of the parent's threads, and starts its own."""
    began = threading.Event()

    def hanging() -> str:
        began.set()
        release.wait(HANG_GUARD)
        return V2_KEY

    site.current = hanging
    thread = threading.Thread(target=failure, args=(CALLABLE,))
    thread.start()
    assert began.wait(HANG_GUARD)
    child = os.fork()
    if child == 0:
        site.current = lambda: (V2_KEY, CELL)
        boundary.MAX_THREADS = 1  # so that a fetch of the parent's must not be counted
        os._exit(not is_fetched(CALLABLE))

    assert not release.is_set()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    release.set()
    thread.join(HANG_GUARD)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_can_import_a_module_that_its_parent_was_importing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The lock of a module that is half imported would never be released in the child."""
    (tmp_path / "slow_keys.py").write_text(
        "import threading, time\n"
        "threading.importing.set()\n"
        "time.sleep(0.3)\n"
        f"def current():\n    return {V2_KEY!r}, {CELL!r}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importing = threading.Event()
    monkeypatch.setattr(threading, "importing", importing, raising=False)
    options = ConnectionOptions("slow_keys.current")
    thread = threading.Thread(target=fetch, args=(options,))
    thread.start()
    assert importing.wait(HANG_GUARD)
    child = os.fork()
    if child == 0:
        os._exit(0 if fetch(options).api_key == V2_KEY else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    thread.join(HANG_GUARD)


def test_an_embedded_server_that_cannot_start_is_a_credential_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container at its limit of threads."""

    def start(server: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("django_momento.credentials.embedded.EmbeddedServer.start", start)

    assert (
        "CREDENTIALS 'embedded' cannot be read: RuntimeError: can't start new thread."
        == failure(ConnectionOptions("embedded")).cause
    )


def test_a_module_that_hangs_in_its_import_holds_no_other_source(
    site: Any, release: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "hanging_keys.py").write_text(
        "import threading\nthreading.is_importing.set()\nthreading.may_go_on.wait()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    is_importing = threading.Event()
    monkeypatch.setattr(threading, "is_importing", is_importing, raising=False)
    monkeypatch.setattr(threading, "may_go_on", release, raising=False)
    monkeypatch.setattr(boundary, "IMPORT_TIMEOUT", 0.05)
    thread = threading.Thread(target=failure, args=(ConnectionOptions("hanging_keys.current"),))
    thread.start()
    assert is_importing.wait(HANG_GUARD)
    site.current = lambda: (V2_KEY, CELL)

    assert V2_KEY == fetch(CALLABLE).api_key
    assert not release.is_set()
