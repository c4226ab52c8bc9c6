"""A connection that is replaced when it may have died of idleness."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from time import sleep

import pytest

from django_momento.client import channel
from django_momento.client.channel import MAX_IDLE, Recycled
from django_momento.exceptions import ServerError
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.starting import on_this_thread
from tests.kit.waiting import HANG_GUARD


class Connection:
    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def recycled(
    connect: Callable[[int], Connection] = Connection, generation: int | None = None
) -> Recycled[Connection]:
    return Recycled(connect, Connection.close, generation)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(channel, "wall", clock)
    return clock


def test_a_connection_in_use_is_kept(clock: Clock) -> None:
    """However long it is used, as long as no pause between two uses is too long."""
    ours = recycled()
    first = ours.get()
    for _ in range(10):
        clock.advance(MAX_IDLE)
        assert ours.get() is first


@pytest.mark.parametrize("passed", [MAX_IDLE + 1, -MAX_IDLE - 1], ids=["forwards", "backwards"])
def test_an_idle_connection_is_replaced(clock: Clock, passed: float) -> None:
    """Wall time may jump either way while a container is frozen: nobody knows how long it really was."""
    ours = recycled()
    first = ours.get()
    clock.advance(passed)
    second = ours.get()
    assert second is not first
    assert ours.get() is second


def test_a_replacement_is_of_another_generation(clock: Clock) -> None:
    """gRPC would let it share the connection that may be dead if its arguments were the same."""
    ours = recycled()
    first = ours.get()
    assert first.generation == ours.generation
    clock.advance(MAX_IDLE + 1)
    second = ours.get()
    assert second.generation == ours.generation != first.generation


def test_no_two_connections_are_of_one_generation_unless_told_so() -> None:
    """A connection is made with another's generation in order to share its connection."""
    first, second = recycled(), recycled()
    assert first.generation != second.generation
    assert recycled(generation=first.generation).generation == first.generation


def test_threads_that_come_together_make_one_connection(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first use, and when it is replaced."""
    monkeypatch.setattr(channel, "MAX_WAIT", HANG_GUARD)
    made = []

    def slowly(generation: int) -> Connection:
        sleep(0.01)
        made.append(Connection(generation))
        return made[-1]

    ours = recycled(slowly)
    for replaced in range(3):
        opened = at_once(50, ours.get)
        assert replaced + 1 == len(made)
        assert {made[-1]} == set(opened)
        clock.advance(MAX_IDLE + 1)


def test_a_connection_that_could_not_be_made_is_tried_again(clock: Clock) -> None:
    """The caller hears of the failure, and nothing is left behind."""
    errors = [OSError("no file with the certificates")]

    def fails_once(generation: int) -> Connection:
        if errors:
            raise errors.pop()
        return Connection(generation)

    ours = recycled(fails_once)
    with pytest.raises(OSError, match="certificates"):
        ours.get()
    assert isinstance(ours.get(), Connection)


def test_a_closed_connection_is_not_made_again() -> None:
    """Neither one that was open nor one that never was."""
    used, unused = recycled(), recycled()
    connection = used.get()
    for ours in (used, unused):
        ours.close()
        ours.close()
        with pytest.raises(ServerError, match="closed"):
            ours.get()
    assert connection.is_closed


def test_a_discarded_connection_is_replaced_and_not_closed(clock: Clock) -> None:
    """Closing it would wait for ever. A connection that was replaced already is left alone."""
    ours = recycled()
    first = ours.get()
    ours.discard(first)
    second = ours.get()
    assert second is not first
    assert second.generation != first.generation
    assert not first.is_closed
    ours.discard(first)
    assert ours.get() is second


def test_nothing_is_connected_after_a_discard_until_threads_can_start(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without threads would be discarded in turn, and each costs a descriptor."""
    made: list[int] = []

    def connect(generation: int) -> Connection:
        made.append(generation)
        return Connection(generation)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours = recycled(connect)
    ours.discard(ours.get())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(refuse))
        for _ in range(3):
            with pytest.raises(RuntimeError):
                ours.get()
    assert 1 == len(made)
    assert isinstance(ours.get(), Connection)


@pytest.mark.parametrize("let_go", ["idle", "closed"])
def test_a_connection_that_is_let_go_of_is_gone_at_once(clock: Clock, let_go: str) -> None:
    """A connection closes when nothing refers to it: not some time later, when garbage is collected."""
    ours = recycled()
    gone = weakref.ref(ours.get())
    gc.disable()
    try:
        if let_go == "idle":
            clock.advance(MAX_IDLE + 1)
            ours.get()
        else:
            ours.close()
        assert gone() is None
    finally:
        gc.enable()
