"""A command in a pseudo-terminal: what it wrote there, and what a screen would show of it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from time import monotonic
from typing import Any

from tests.kit.waiting import HANG_GUARD

CTRL_C = b"\x03"
# The first process of a session makes the terminal it opens its own, and so is sent what Ctrl-C means.
TAKE_OVER = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A command that runs in a pseudo-terminal of so many columns, until the end of a with block."""

    def __init__(self, command: list[str], columns: int = 100, **environment: Any) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_OVER, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**variables, "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        # A read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.written = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read_until(self, pattern: str) -> None:
        """Wait until what was written since the start matches. Raises AssertionError if it never does."""
        while not re.search(pattern, self.written):
            assert self._read(), f"{pattern!r} is not in {self.written!r}"

    def ended(self) -> int:
        """Wait for the end and answer the exit status."""
        while self._read():
            pass
        return self._process.wait(HANG_GUARD)

    @property
    def screen(self) -> list[str]:
        """The lines as they are seen: colours left out, carriage returns obeyed."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.written).replace("\r\n", "\n")
        return [_overwritten(line) for line in plain.split("\n")]

    def _read(self) -> bool:
        deadline = monotonic() + HANG_GUARD
        ready, _, _ = select.select([self._ours], [], [], max(0, deadline - monotonic()))
        try:
            # Linux says by an error that the other end was closed.
            data = os.read(self._ours, 65536) if ready else b""
        except OSError:
            data = b""
        self.written += self._decoder.decode(data)
        return bool(data)


def _overwritten(line: str) -> str:
    cells: list[str] = []
    for part in line.split("\r"):
        cells[: len(part)] = part
    return "".join(cells).rstrip()
