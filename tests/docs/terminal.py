"""A terminal for following a page. A line that changes the environment changes it for the next line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kit.waiting import HANG_GUARD, patience


class Terminal:
    """Directory and environment of somebody who types; ``notes`` is a directory out of their sight."""

    def __init__(self, directory: Path, environment: dict[str, str], notes: Path) -> None:
        self.directory = directory
        self.environment = environment
        self._notes = notes

    def type(self, text: str) -> str:
        """Run lines to their end and return their output. Raise AssertionError if one fails."""
        after, where = self._notes / "environment", self._notes / "directory"
        ran = subprocess.run(
            ["bash", "-e", "-c", f"{text}\nenv -0 > '{after}'\npwd > '{where}'"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_GUARD,
            check=False,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}"
        self.environment = dict(it.split("=", 1) for it in after.read_text().split("\0") if it)
        self.directory = Path(where.read_text().rstrip("\n"))
        return ran.stdout

    @contextmanager
    def serving(self, line: str, port: int) -> Iterator[None]:
        """Run a line that serves on a port, until Ctrl-C at the end."""
        log = self._notes / f"{port}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait_for(port, process, log)
            yield
            process.send_signal(signal.SIGINT)
            process.wait(HANG_GUARD)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in patience():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text(errors="replace")
    raise AssertionError(log.read_text(errors="replace"))
