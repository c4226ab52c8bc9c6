"""Calls of a signal's handler that interrupted gRPC while its thread had the lock of all calls."""

from __future__ import annotations

import threading
from typing import Any

import grpc._observability as observability
import pytest

from django_momento.client.shared_lock import SharedLock
from tests.conftest import MakeCache
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, eventually, is_inside


def waits_for_the_lock(thread: threading.Thread) -> bool:
    """Return whether a thread is inside gRPC's function that takes the lock."""
    return is_inside(thread.ident or 0, observability.get_plugin.__wrapped__.__code__)


def is_free(lock: Any) -> bool:
    """Return whether another thread can take the lock, which it gives back."""
    taken: list[bool] = []

    def take() -> None:
        taken.append(lock.acquire(blocking=False))
        if taken[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return taken[0]


@table(
    ("verb", "arguments", "result"),
    [
        ("incr", ("number",), 2),
        ("get", ("number",), 1),
        ("set", ("text", "a"), None),
        ("get_many", (["number", "text"],), {"number": 1, "text": "a"}),
        ("delete_many", (["number", "text"],), None),
    ],
)
def test_a_call_beside_a_thread_that_waits_for_the_lock_ends(
    make_cache: MakeCache, verb: str, arguments: tuple[Any, ...], result: Any
) -> None:
    """That thread has the lock of the channel, which the call needs."""
    cache = make_cache()
    cache.set_many({"number": 1, "text": "a"})
    results: list[Any] = []

    def interrupted() -> None:
        with observability.get_plugin():
            other.start()
            eventually(lambda: waits_for_the_lock(other))
            results.append(getattr(cache, verb)(*arguments))

    other = threading.Thread(target=lambda: cache.delete_many(["one", "two"]), daemon=True)
    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(HANG_GUARD)
    assert [result] == results
    other.join(HANG_GUARD)
    assert not other.is_alive()


def test_the_lock_comes_back_as_often_as_it_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """And other threads can have it meanwhile, also if the call fails."""
    lock, shared = threading.RLock(), SharedLock()
    monkeypatch.setattr(observability, "_plugin_lock", lock)
    shared.find()

    def fail() -> None:
        with shared.given_away():
            assert is_free(lock)
            raise KeyError

    assert not shared.is_owned()
    with lock, lock:
        assert shared.is_owned()
        with pytest.raises(KeyError):
            fail()
        assert shared.is_owned()
        assert not is_free(lock)
    assert is_free(lock)


def test_a_grpc_without_such_a_lock_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(observability, "_plugin_lock")
    shared = SharedLock()
    shared.find()
    assert not shared.is_owned()
