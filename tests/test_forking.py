"""The handlers of fork: their order, and what an exception in one of them leaves."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from django_momento import forking

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def only_those_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "handlers", forking.Handlers())


def child_status() -> int:
    """Fork a child that ends with the number of entries that its handlers left in ``seen``."""
    child = os.fork()
    if not child:
        os._exit(len(seen))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


seen: list[str] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def test_handlers_run_newest_first_before_a_fork_and_oldest_first_after_it() -> None:
    """A reset may use the modules that its own imports."""
    for name in ("low", "high"):
        forking.register(
            before=partial(seen.append, f"before {name}"),
            after_in_parent=partial(seen.append, f"after {name}"),
            after_in_child=partial(seen.append, f"child {name}"),
        )
    assert 4 == child_status()
    assert ["before high", "before low", "after low", "after high"] == seen


def test_a_thread_is_listed_from_before_the_first_handler_to_before_the_last() -> None:
    """Calls that handlers make in the parent or in the child after the fork go through."""
    listed = []
    forking.register(
        before=lambda: listed.append(list(forking.forking_threads)),
        after_in_parent=lambda: listed.append(list(forking.forking_threads)),
        after_in_child=lambda: seen.extend(map(str, forking.forking_threads)),
    )
    assert 0 == child_status()
    assert [[threading.get_ident()], []] == listed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_in_a_handler_skips_no_other() -> None:
    """A signal's handler may raise in any of them: each reset of a child is done all the same."""

    def interrupted_by(interrupts: list[BaseException]) -> None:
        if interrupts:
            raise interrupts.pop()
        seen.append("done")

    for interrupt in (KeyboardInterrupt(), SystemExit(1)):
        forking.register(after_in_child=partial(interrupted_by, [interrupt]))
    forking.register(after_in_child=lambda: seen.append("last"))
    assert 3 == child_status()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_before_a_fork_leaves_no_thread_listed() -> None:
    """Python goes on with the fork, and so its end is told as well."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    forking.register(before=interrupted, after_in_parent=interrupted)
    for _ in range(3):
        child_status()
    assert [] == forking.forking_threads


def test_two_threads_that_fork_are_listed_until_each_is_done() -> None:
    """The one that ends first does not open the gate for calls into the other's fork."""
    inside, go_on = threading.Event(), threading.Event()

    def wait_in_the_other() -> None:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert go_on.wait(60)

    forking.register(after_in_parent=wait_in_the_other, before=wait_in_the_other)
    other = threading.Thread(target=child_status)
    other.start()
    assert inside.wait(60)
    child_status()
    assert [other.ident] == forking.forking_threads
    go_on.set()
    other.join()
    assert [] == forking.forking_threads
