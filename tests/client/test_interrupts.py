"""Conditions stay usable for other threads, whichever of their instructions an exception comes between."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from django_momento.client.interrupts import release_interrupted_locks
from django_momento.client.streams import take_last_events
from django_momento.interruption import hidden_interruption
from tests.conftest import MakeCache
from tests.kit.collecting import no_collection
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, eventually, is_inside, once_it_waits

MANAGERS = (threading.Condition, type(contextmanager(lambda: iter([None]))()))
MANAGER_CODE = [function.__code__ for each in MANAGERS for function in (each.__enter__, each.__exit__)]


class Interrupted(BaseException):
    """As the handler of a signal may raise, wherever its thread is."""


def is_free(condition: Any) -> bool:
    """Return whether another thread can take the lock."""
    taken = []
    thread = threading.Thread(target=lambda: taken.append(condition.acquire(blocking=False)))
    thread.start()
    thread.join()
    return taken == [True]


def at_signal_checks(act: Any, number: int) -> bool:
    """Raise at the check for signals of that number within a ``with``; return whether there were so many."""
    left = number

    def profile(frame: FrameType, event: str, _: object) -> None:
        # Python looks for signals at the start of a function and after a call of one that is written in C.
        nonlocal left
        if event in ("call", "c_return") and frame.f_code in MANAGER_CODE:
            if not left:
                sys.setprofile(None)
                raise Interrupted
            left -= 1

    before = sys.getprofile()
    with no_collection():
        sys.setprofile(profile)
        try:
            act()
        except Interrupted as error:
            release_interrupted_locks(error)
            release_interrupted_locks(error)  # Once more, as on its way out.
            return True
        finally:
            sys.setprofile(before)
    return False


@table("depth", [0, 1], ids=["free", "taken before"])
def test_an_interrupted_condition_is_as_free_as_before(depth: int) -> None:
    """Its lock is released once if it was taken in vain, and never for a block that goes on."""

    def act() -> None:
        with condition:
            len("guarded")

    number, goes_on = 0, True
    while goes_on:
        condition = threading.Condition()
        for _ in range(depth):
            condition.acquire()
        goes_on = at_signal_checks(act, number)
        for _ in range(depth):
            assert not is_free(condition)
            condition.release()
        assert is_free(condition), number
        number += goes_on
    assert 4 == number


def test_the_lock_of_an_interrupted_generator_is_free_although_the_exception_is_kept() -> None:
    """gRPC takes a lock of the whole process by a generator. Whoever reports errors keeps tracebacks."""
    kept: list[BaseException] = []

    @contextmanager
    def locked() -> Iterator[None]:
        with lock:
            yield

    def act() -> None:
        try:
            with locked():
                len("guarded")
        except Interrupted as error:
            kept.append(error)
            raise

    number, goes_on = 0, True
    while goes_on:
        lock = threading.RLock()
        goes_on = at_signal_checks(act, number)
        assert is_free(lock), number
        number += goes_on
    assert number == len(kept) >= 3


def test_the_lock_of_another_thread_is_left_alone() -> None:
    """A thread that is interrupted before it has waited for a lock has none to release."""
    condition = threading.Condition()
    with condition:
        interrupted: list[bool] = []
        thread = threading.Thread(target=lambda: interrupted.append(at_signal_checks(condition.__enter__, 0)))
        thread.start()
        thread.join()
        assert [True] == interrupted
        assert not is_free(condition)
    assert is_free(condition)


@table("condition", [threading.Condition(), threading.Condition(threading.Lock())])
@table("interruption", [Interrupted(), None])
def test_an_exception_that_the_error_of_a_lock_hides_is_found(
    condition: threading.Condition, interruption: BaseException | None
) -> None:
    """As where a wait is interrupted when its lock is free already."""
    with pytest.raises(RuntimeError) as caught, condition:  # noqa: PT012 - the with block must fail
        condition.release()
        if interruption is not None:
            raise interruption
    assert hidden_interruption(caught.value) is interruption


def test_an_exception_that_a_started_thread_hides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """``Thread.start`` removes the thread from a table, from which the thread has removed itself."""

    class TimeLimit(Exception):
        pass

    def handler(signum: int, frame: FrameType | None) -> None:
        raise TimeLimit

    def target() -> None:
        is_begun.set()
        is_over.wait()

    def start_and_interrupt(*arguments: Any, **options: Any) -> None:
        start(*arguments, **options)
        assert is_begun.wait(HANG_GUARD)
        handler(14, inspect.currentframe())

    # Where CPython starts a thread. No public function lies between that and the end of Thread.start().
    name = "_start_new_thread" if sys.version_info < (3, 13) else "_start_joinable_thread"
    start, is_begun, is_over = getattr(threading, name), threading.Event(), threading.Event()
    thread = threading.Thread(target=target)
    monkeypatch.setattr(threading, name, start_and_interrupt)
    with pytest.raises(KeyError) as caught:
        thread.start()
    is_over.set()
    assert isinstance(hidden_interruption(caught.value), TimeLimit)


def test_an_exception_that_an_interrupted_import_hides_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to Python 3.11 a thread has one place in a table, which an import of the handler frees."""

    class TimeLimit(Exception):
        pass

    def handler(signum: int, frame: FrameType | None) -> None:
        import_module("momento_other_module")
        raise TimeLimit

    events: Any = ModuleType("momento_events")
    events.is_begun, events.is_over = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "momento_events", events)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "momento_other_module.py").touch()
    (tmp_path / "momento_slow_module.py").write_text(
        f"import momento_events as events\nevents.is_begun.set()\nevents.is_over.wait({HANG_GUARD})\n"
    )
    thread = threading.Thread(target=import_module, args=("momento_slow_module",))
    before = signal.signal(signal.SIGALRM, handler)
    thread.start()
    try:
        assert events.is_begun.wait(HANG_GUARD)
        bootstrap: Any = sys.modules["_frozen_importlib"]  # which waits for the locks of modules
        us, waits = threading.get_ident(), bootstrap._ModuleLock.acquire.__code__  # noqa: SLF001 - see above
        with (
            # It comes while this thread waits for the other one's import.
            once_it_waits(lambda: signal.pthread_kill(us, signal.SIGALRM), waits),
            pytest.raises((KeyError, TimeLimit)) as caught,
        ):
            import_module("momento_slow_module")
    finally:
        signal.signal(signal.SIGALRM, before)
        events.is_over.set()
        thread.join()
    assert isinstance(hidden_interruption(caught.value) or caught.value, TimeLimit)
    assert hidden_interruption(KeyError(threading.get_ident())) is None


@table("verb", ["delete_many", "get_many", "get"])
def test_a_handler_may_call_while_native_code_of_grpc_has_a_lock(make_cache: MakeCache, verb: str) -> None:
    """Another thread has the lock of calls that do not block, and waits for that of the interrupted one."""
    cache = make_cache()
    cache.set_many({"a": 1, "b": 2})
    cache.delete_many(["c", "d"])
    results: list[Any] = []
    other = threading.Thread(target=lambda: cache.delete_many(["e", "f"]), daemon=True)

    def waits() -> bool:
        return is_inside(other.ident or 0, threading.Condition.__enter__.__code__)

    def handle() -> None:
        other.start()
        eventually(waits)
        results.append(getattr(cache, verb)("a" if verb == "get" else ["a", "b"]))

    def profile(frame: FrameType, event: str, _: object) -> None:
        is_release = event == "call" and frame.f_code is threading.Condition.__exit__.__code__
        if is_release and frame.f_back is not None and frame.f_back.f_code is take_last_events.__code__:
            sys.setprofile(None)
            handle()

    def interrupted() -> None:
        sys.setprofile(profile)
        cache.get_many(["a", "b"])

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(HANG_GUARD)
    assert [{"delete_many": None, "get_many": {"a": 1, "b": 2}, "get": 1}[verb]] == results
    other.join(HANG_GUARD)
    assert not other.is_alive()
