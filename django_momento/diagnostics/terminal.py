"""The terminal of a command: its width, its characters, and a line of progress that disappears again."""

from __future__ import annotations

import os
import shutil
import sys
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from logging import LogRecord

    from django.core.management.base import OutputWrapper

# Seconds between two changes of a progress line: often enough to be seen, too rarely to be felt.
_PAUSE = 0.1


def width_of(stream: OutputWrapper) -> int | None:
    """Return the number of columns of a stream, or None if it is not a terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def bar_for(stream: OutputWrapper) -> str:
    """Return the best character for a bar that a stream can encode."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return "█" if escape("█", encoding) == "█" else "#"


def escape(text: str, encoding: str | None) -> str:
    """Return a text with an escape such as ``\\xe9`` for each character that an encoding does not have.

    Without an encoding, as of a stream in memory, the text is returned as it is.
    """
    return text if encoding is None else text.encode(encoding, "backslashreplace").decode(encoding)


def exit_without_reader() -> NoReturn:
    """End a command with status 1 after a BrokenPipeError: the reader of the pipe is gone.

    Python flushes the standard output once more when it ends, and would report the pipe again.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


class ProgressLine:
    """One line on a terminal that shows progress. On a stream that is not a terminal it shows nothing."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._name = ""
        self._written_at = 0.0
        self._is_terminal = stream.isatty()

    def __call__(self, name: str, done: int, of: int) -> None:
        """Show the progress of a step; see ``examination.Progress``."""
        now = monotonic()
        if not self._is_terminal or (name == self._name and now - self._written_at < _PAUSE):
            return
        # Stored first: if an interrupt stops the writing, clear() still removes the line.
        self._name, self._written_at = name, now
        self._write(f"  ...   {name}" + (f"  {done} of {of}" if of else ""))

    def clear(self, interrupted: bool = False) -> None:
        """Remove the line. If ``interrupted``, remove the ``^C`` that the terminal has echoed as well."""
        if self._name or (interrupted and self._is_terminal):
            self._write("")
            self._name = ""

    def filter(self, record: LogRecord) -> bool:
        """Remove the line before a logger writes, as a filter of the logger."""
        self.clear()
        return True

    def _write(self, text: str) -> None:
        # Spaces and carriage returns work on every terminal, escape sequences do not. The whole line is
        # cleared, because a ^C may stand behind the text.
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r{' ' * (columns - 1)}\r{text[: columns - 3]}", str, ending="")
        self._stream.flush()
