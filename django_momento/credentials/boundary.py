"""Run a source of credentials on a thread of its own, for a bounded time.

A server that sends one byte a second can hold boto3, the agent's client or a site's own callable for ever. No
timeout of a socket ends that, so the caller waits for the thread, and leaves it behind after FETCH_TIMEOUT.
The thread is a daemon: neither the exit of the process nor a fork waits for it.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from .. import forking
from ..exceptions import CredentialError
from ..interruption import raise_foreign
from ..redaction import quote, redact

T = TypeVar("T")

FETCH_TIMEOUT = 15.0
"""Seconds for a whole fetch, with every attempt, redirect and fallback."""

# A source that never ends leaves a thread behind at each attempt. Attempts are a minute apart after a while.
MAX_THREADS = 32

# Seconds that a fork waits for an import, and an import for another one.
IMPORT_TIMEOUT = 2.0


class RedactedTraceback(Exception):
    """The traceback of a foreign error as text: without local variables, and without anything like a key.

    It is the cause of a CredentialError in place of the foreign error, whose frames may hold the key.
    """

    @classmethod
    def of(cls, error: BaseException) -> RedactedTraceback:
        return cls(redact("".join(traceback.format_exception(error)).rstrip()))


class _Fetch(Generic[T]):
    """One run of a source: its result, or the error that it ended with."""

    def __init__(self, name: str, source: Callable[[], T]) -> None:
        # A bare lock: the exception of a signal's handler cannot leave it locked for the thread that releases
        # it, as it can the lock of a threading.Event.
        self._is_running = threading.Lock()
        self._is_running.acquire()
        self.thread: threading.Thread | None = None
        self.result: T | None = None
        self.error: CredentialError | None = None
        self._name = name
        self._source = source

    def run(self, *, is_on_own_thread: bool = True) -> None:
        try:
            _running.add(self)
            self.result = self._source()
        except CredentialError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            if not is_on_own_thread:
                raise_foreign(error)
            # Explained here, because the frames of an error that is raised must not hold the foreign error.
            self.error = _explain(self._name, error)
        finally:
            _running.discard(self)
            self._is_running.release()

    def wait(self, seconds: float) -> bool:
        """Return whether the run has ended, after some seconds at most."""
        return self._is_running.acquire(timeout=seconds)

    def get(self) -> T:
        """Return the result of a run that has ended, or raise its error."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set, because there is no error


def _explain(name: str, error: BaseException) -> CredentialError:
    explained = CredentialError(
        f"{name} cannot be read: {type(error).__name__}: {quote(error)}.",
        "The traceback is the cause of this error, as text and without anything that looks like a key.",
    )
    explained.__cause__ = RedactedTraceback.of(error)
    explained.__suppress_context__ = True
    return explained


_running: set[_Fetch[Any]] = set()


def run_source(name: str, source: Callable[[], T], hint: str) -> T:
    """Return the result of ``source``, called on a thread of its own.

    ``name`` begins the sentences of errors, and ``hint`` says what to do if the source takes too long. Raises
    CredentialError after FETCH_TIMEOUT seconds, if a thread cannot start, and for every exception of the
    source.
    """
    if len(_running) >= MAX_THREADS:
        raise CredentialError(
            f"{name} is not fetched again, because {MAX_THREADS} fetches have not returned yet.", hint
        )
    fetch: _Fetch[T] = _Fetch(name, source)
    _start(fetch, name)
    if not fetch.wait(FETCH_TIMEOUT):
        raise CredentialError(f"{name} did not return within {FETCH_TIMEOUT:g} s.", hint)
    return fetch.get()


def run_here(name: str, source: Callable[[], T]) -> T:
    """Return the result of ``source``, called on this thread. Raises CredentialError for every Exception.

    An interruption of this thread, such as KeyboardInterrupt or the exception of a signal's handler, comes
    out as it is.
    """
    fetch: _Fetch[T] = _Fetch(name, source)
    fetch.run(is_on_own_thread=False)
    return fetch.get()


def _start(fetch: _Fetch[T], name: str) -> None:
    # The context goes along: by it a flight recognizes that a callable uses the cache that waits for it.
    thread = threading.Thread(
        target=copy_context().run, args=(fetch.run,), name="momento-credentials", daemon=True
    )
    fetch.thread = thread
    try:
        thread.start()
    except Exception as error:
        raise_foreign(error)
        raise CredentialError(
            f"{name} cannot be read, because no thread can start: {quote(error)}.",
            "Raise the limit of processes and threads of this user or container, or find what leaks threads.",
        ) from error


class _ImportLock:
    """Held while a source imports, because a fork in between gives the child a module that stays locked."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_held_for_fork = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        # A module that hangs in its import must not hold the imports of other sources.
        lock = self._lock
        has_lock = lock.acquire(timeout=IMPORT_TIMEOUT)
        try:
            yield
        finally:
            if has_lock:
                lock.release()

    def before_fork(self) -> None:
        self._is_held_for_fork = self._lock.acquire(timeout=IMPORT_TIMEOUT)

    def after_fork_in_parent(self) -> None:
        if self._is_held_for_fork:
            self._is_held_for_fork = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        # The parent's lock may belong to a thread that does not exist here.
        if not self._is_held_for_fork:
            self._lock = threading.RLock()
        self.after_fork_in_parent()
        _running.clear()


importing = _ImportLock()
forking.register(
    before=importing.before_fork,
    after_in_parent=importing.after_fork_in_parent,
    after_in_child=importing.after_fork_in_child,
)
