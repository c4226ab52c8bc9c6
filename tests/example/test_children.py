"""The demo's child processes: they end with their parent, and a failure shows the output."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project import children as module
from example_project.children import Child, ChildFailed, Children, Stopped
from tests.kit.waiting import HANG_GUARD

SLEEP = ("-u", "-c", "import time; print('up'); time.sleep(600)")
STUBBORN = (
    "-u",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)",
)


@pytest.fixture
def children() -> Iterator[Children]:
    """An empty family, and pytest's own signal handlers again afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        with Children(Path.cwd()) as family:
            yield family
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def is_up(child: Child) -> bool:
    return "up" in child.output


@pytest.mark.parametrize(
    ("command", "patience", "end"), [(SLEEP, HANG_GUARD, signal.SIGTERM), (STUBBORN, 0.3, signal.SIGKILL)]
)
def test_a_child_ends_with_its_parent(children, monkeypatch, command, patience, end):
    """Leaving the block terminates a child, and kills it if it does not listen."""
    monkeypatch.setattr(module, "STOP_SECONDS", patience)
    with children:
        children.start("sleeper", *command, ready=is_up)

    assert [-end] == [child.status for child in children.services]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait(children, number):
    """Ctrl-C, a polite kill and a closed terminal all stop the parent at its next pause."""
    os.kill(os.getpid(), number)

    with pytest.raises(Stopped):
        children.start("sleeper", *SLEEP, ready=lambda child: False)


def test_a_service_that_ends_by_itself_is_reported(children):
    """A failure names the process, its status and the end of its output."""
    with pytest.raises(ChildFailed, match=r"(?s)oven ended unexpectedly with status 3.*    smoke"):
        children.start("oven", "-c", "print('smoke'); raise SystemExit(3)", ready=lambda child: False)


def test_a_service_that_ended_is_the_reason_of_a_failed_command(children, monkeypatch):
    """Also if the command fails before the parent looks at its services."""
    children.start("oven", *SLEEP, ready=is_up)

    def end_both() -> None:
        for child in (*children.services, *children.commands):
            child.process.kill()
            child.process.wait()

    monkeypatch.setattr(children, "pause", end_both)

    with pytest.raises(ChildFailed, match="oven ended unexpectedly with status -9"):
        children.run("worker", *SLEEP)


def test_a_service_that_never_gets_ready_is_reported(children, monkeypatch):
    """Waiting has an end."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0)

    with pytest.raises(ChildFailed, match="sleeper was not ready after 0 seconds"):
        children.start("sleeper", *SLEEP, ready=lambda child: False)


def test_a_command_answers_what_it_printed(children):
    """A command is waited for."""
    assert children.run("worker", "-c", "print('done')") == "done"


def test_a_failing_command_is_reported(children):
    """A command's exit status is not overlooked."""
    with pytest.raises(ChildFailed, match="worker ended with status 1"):
        children.run("worker", "-c", "raise SystemExit(1)")
