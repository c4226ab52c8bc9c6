"""What is counted and logged of a cache that fails quietly."""

from __future__ import annotations

import os
import threading

import pytest

from django_momento import events as module
from django_momento.events import PAUSE, Events, events
from tests.kit.at_once import at_once
from tests.kit.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(0.0)  # As after a boot: the first event of all is no exception.
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {(record.name, record.levelname) for record in caplog.records} <= {("django_momento", "WARNING")}
    return [record.getMessage() for record in caplog.records]


def test_an_event_is_logged_with_its_cache(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """One of several caches fails: the log says which."""
    Events().record("sessions", "ignored_exceptions", "ignored %s: %s", "CallTimedOut", "100 % of it.")
    assert ["Cache 'sessions': ignored CallTimedOut: 100 % of it."] == messages(caplog)


def test_one_of_many_events_is_logged_with_the_number_of_the_others(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Thousands a minute are one warning every few seconds, and none of them goes unmentioned."""
    ours = Events()
    for seconds in (0, PAUSE, 1, PAUSE - 1):
        clock.advance(seconds)
        for _ in range(1000):
            ours.record("default", "unreadable_values", "unreadable")
    held_back = "Cache 'default': unreadable (%d more since the last such warning)"
    assert ["Cache 'default': unreadable", held_back % 999, held_back % 1999] == messages(caplog)
    assert {"unreadable_values": 4000} == ours.counts("default")


def test_an_event_of_every_call_may_be_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Of each alias, however long it goes on; all are counted."""
    ours = Events()
    for alias in ("default", "pages"):
        for _ in range(3):
            ours.record(alias, "cut_timeouts", "cut", once=True)
            clock.advance(1000 * PAUSE)
    assert ["Cache 'default': cut", "Cache 'pages': cut"] == messages(caplog)
    assert {"cut_timeouts": 3} == ours.counts("pages")


def test_caches_and_kinds_of_events_do_not_silence_each_other(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has its own count and its own pause."""
    ours = Events()
    for alias, kind in [("a", "one"), ("a", "two"), ("b", "one")] * 2:
        ours.record(alias, kind, f"{kind} happened")
    assert [
        "Cache 'a': one happened",
        "Cache 'a': two happened",
        "Cache 'b': one happened",
    ] == messages(caplog)
    assert ({"one": 2, "two": 2}, {"one": 2}, {}) == (ours.counts("a"), ours.counts("b"), ours.counts("c"))


def test_what_is_not_to_be_logged_is_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """And is mentioned by number if one of its kind is logged later."""
    ours = Events()
    for _ in range(3):
        ours.record("default", "ignored_exceptions")
    assert [] == messages(caplog)
    ours.record("default", "ignored_exceptions", "ignored")
    assert {"ignored_exceptions": 4} == ours.counts("default")
    assert ["Cache 'default': ignored (3 more since the last such warning)"] == messages(caplog)


def test_threads_that_note_together_are_all_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """No event is lost, and one warning is logged for all of them."""
    ours = Events()

    def note() -> None:
        for _ in range(500):
            ours.record("default", "ignored_exceptions", "ignored")

    at_once(16, note)
    assert {"ignored_exceptions": 8000} == ours.counts("default")
    assert 1 == len(messages(caplog))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_for_itself() -> None:
    """Also if a thread of its parent, which it does not have, was just writing."""
    locked, forked = threading.Event(), threading.Event()

    class Alias(str):
        """A name that is looked up for as long as a fork takes."""

        __slots__ = ()

        def __hash__(self) -> int:
            locked.set()
            assert forked.wait(60)
            return super().__hash__()

    def write() -> None:
        events.record(Alias("default"), "ignored_exceptions")

    writer = threading.Thread(target=write)
    writer.start()
    assert locked.wait(60)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            events.record("default", "unreadable_values")
            status = 0 if events.counts("default") == {"unreadable_values": 1} else 2
        finally:
            os._exit(status)
    forked.set()
    writer.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert {"ignored_exceptions": 1} == events.counts("default")
