"""Child processes that end with their parent, in whatever way it ends.

Each child runs in a session of its own, so that Ctrl-C in a terminal reaches only the parent, which then ends
the children in order. Their output is kept, and shown if they fail.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

WAIT_SECONDS = 60
STOP_SECONDS = 5
TAIL_LINES = 15


class ChildFailed(Exception):
    """A child did not start, or ended by itself. The message is for the user."""


class Stopped(Exception):
    """The user asked for the end."""


class Child:
    """A running process with a log of its output."""

    def __init__(self, name: str, command: tuple[str, ...], log: Path, directory: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self.process.poll()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace").rstrip()

    def failure(self, event: str) -> ChildFailed:
        tail = "\n".join(self.output.splitlines()[-TAIL_LINES:]) or "(nothing)"
        return ChildFailed(f"{self.name} {event}. The end of its output:\n{indent_lines(tail)}")


class Children:
    """The children of one parent. Leaving the ``with`` block ends them, the newest first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.services: list[Child] = []
        self.commands: list[Child] = []
        self.stopping = False
        self.logs = tempfile.TemporaryDirectory(prefix="momento-demo-")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *exc_info: object) -> None:
        children = [*reversed(self.commands), *reversed(self.services)]
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.logs.cleanup()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # Only set a flag. An exception here could lose a child between its start and its registration.
        self.stopping = True

    def _log(self) -> Path:
        return Path(self.logs.name, f"{len(self.services) + len(self.commands)}.log")

    def start(self, name: str, *command: str, ready: Callable[[Child], bool]) -> None:
        """Start a service that runs as long as its parent, and wait until it is ready."""
        self.services.append(child := Child(name, command, self._log(), self.directory))
        self._wait(child, ready)

    def run(self, name: str, *command: str) -> str:
        """Run a command to its end and return its output. Raise ChildFailed if its status is not 0."""
        self.commands.append(child := Child(name, command, self._log(), self.directory))
        self._wait(child, lambda child: child.status is not None)
        if child.status:
            # A command may fail because a service has ended, which is the failure to show then.
            self._check_services()
            raise child.failure(f"ended with status {child.status}")
        return child.output

    def _wait(self, child: Child, ready: Callable[[Child], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready(child):
            self.pause()
            if time.monotonic() > deadline:
                raise child.failure(f"was not ready after {WAIT_SECONDS} seconds")

    def pause(self) -> None:
        """Sleep for 0.1 s. Raise Stopped if the user asked for it, or ChildFailed if a service ended."""
        time.sleep(0.1)
        if self.stopping:
            raise Stopped
        self._check_services()

    def _check_services(self) -> None:
        for child in self.services:
            if child.status is not None:
                raise child.failure(f"ended unexpectedly with status {child.status}")


def indent_lines(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
