"""Conditions stay usable for other threads, whichever of their instructions an exception comes between."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from django_momento.client.interrupts import hidden_interruption, release_interrupted_locks
from tests.kit.tables import table

CONDITION_CODE = (threading.Condition.__enter__.__code__, threading.Condition.__exit__.__code__)


class Interrupted(BaseException):
    """As the handler of a signal may raise, wherever its thread is."""


def is_free(condition: threading.Condition) -> bool:
    """Return whether another thread can take the lock."""
    taken = []
    thread = threading.Thread(target=lambda: taken.append(condition.acquire(blocking=False)))
    thread.start()
    thread.join()
    return taken == [True]


def at_signal_checks(act: Any, number: int) -> bool:
    """Raise at the check for signals of that number within a condition; return whether there were so many."""
    left = number

    def profile(frame: FrameType, event: str, _: object) -> None:
        # Python looks for signals at the start of a function and after a call of one that is written in C.
        nonlocal left
        if event in ("call", "c_return") and frame.f_code in CONDITION_CODE:
            if not left:
                sys.setprofile(None)
                raise Interrupted
            left -= 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        act()
    except Interrupted as error:
        release_interrupted_locks(error.__traceback__)
        return True
    finally:
        sys.setprofile(before)
    return False


@pytest.mark.parametrize("depth", [0, 1], ids=["free", "taken before"])
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
