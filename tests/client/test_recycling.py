"""A connection that is replaced when it may have died of idleness."""

from __future__ import annotations

import gc
import weakref
from time import sleep

import pytest

from django_momento.client import line
from django_momento.client.channel import LONGEST_IDLE, Line
from django_momento.exceptions import ServerError
from tests.kit.at_once import at_once
from tests.kit.clock import Clock


class Connection:
    def __init__(self, generation: int) -> None:
        self.generation = generation


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(line, "time", clock)
    return clock


def test_a_connection_in_use_is_kept(clock: Clock) -> None:
    """However long it is used, as long as no pause between two uses is too long."""
    ours: Line[Connection] = Line()
    first = ours.opened(Connection)
    for _ in range(10):
        clock.advance(LONGEST_IDLE)
        assert ours.opened(Connection) is first


@pytest.mark.parametrize("passed", [LONGEST_IDLE + 1, -LONGEST_IDLE - 1], ids=["forwards", "backwards"])
def test_an_idle_connection_is_replaced(clock: Clock, passed: float) -> None:
    """Wall time may jump either way while a container is frozen: nobody knows how long it really was."""
    ours: Line[Connection] = Line()
    first = ours.opened(Connection)
    clock.advance(passed)
    second = ours.opened(Connection)
    assert second is not first
    assert ours.opened(Connection) is second


def test_a_replacement_is_of_another_generation(clock: Clock) -> None:
    """gRPC would let it share the connection that may be dead if its arguments were the same."""
    ours: Line[Connection] = Line()
    first = ours.opened(Connection)
    assert first.generation == ours.generation
    clock.advance(LONGEST_IDLE + 1)
    second = ours.opened(Connection)
    assert second.generation == ours.generation != first.generation


def test_no_two_lines_are_of_one_generation_unless_told_so() -> None:
    """A line is made with another's generation in order to share its connection."""
    first, second = Line[Connection](), Line[Connection]()
    assert first.generation != second.generation
    assert Line[Connection](first.generation).generation == first.generation


def test_threads_that_come_together_make_one_connection(clock: Clock) -> None:
    """At first use, and when it is replaced."""
    made = []

    def slowly(generation: int) -> Connection:
        sleep(0.01)
        made.append(Connection(generation))
        return made[-1]

    ours: Line[Connection] = Line()
    for replaced in range(3):
        opened = at_once(50, lambda: ours.opened(slowly))
        assert replaced + 1 == len(made)
        assert {made[-1]} == set(opened)
        clock.advance(LONGEST_IDLE + 1)


def test_a_line_that_could_not_be_opened_is_tried_again(clock: Clock) -> None:
    """What fails is the caller's to hear of, and leaves nothing behind."""
    ours: Line[Connection] = Line()

    def fails(generation: int) -> Connection:
        raise OSError("no file with the certificates")

    with pytest.raises(OSError, match="certificates"):
        ours.opened(fails)
    assert isinstance(ours.opened(Connection), Connection)


def test_a_closed_line_is_not_opened_again() -> None:
    """Neither one that was open nor one that never was."""
    used, unused = Line[Connection](), Line[Connection]()
    used.opened(Connection)
    for ours in (used, unused):
        ours.close()
        ours.close()
        with pytest.raises(ServerError, match="closed"):
            ours.opened(Connection)


class Owner:
    def __init__(self) -> None:
        self._line: Line[Connection] = Line()

    def connection(self) -> Connection:
        return self._line.opened(self._connect)

    def close(self) -> None:
        self._line.close()

    def _connect(self, generation: int) -> Connection:
        return Connection(generation)


@pytest.mark.parametrize("let_go", ["idle", "closed", "forgotten"])
def test_what_is_let_go_of_is_gone_at_once(clock: Clock, let_go: str) -> None:
    """A connection closes when nothing refers to it: not some time later, when garbage is collected."""
    owner: Owner | None = Owner()
    assert owner is not None
    gone = weakref.ref(owner.connection())
    gc.disable()
    try:
        if let_go == "idle":
            clock.advance(LONGEST_IDLE + 1)
            owner.connection()
        elif let_go == "closed":
            owner.close()
        else:
            owner = None
        assert gone() is None
    finally:
        gc.enable()
