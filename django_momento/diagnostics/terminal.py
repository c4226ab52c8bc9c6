"""What a command needs of a terminal: how wide it is, what it can show, and a line that goes away again."""

from __future__ import annotations

import shutil
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import LogRecord

    from django.core.management.base import OutputWrapper

# Seconds between two changes of a progress line: often enough to be seen, too rarely to be felt.
_PAUSE = 0.1


def width_of(stream: OutputWrapper) -> int | None:
    """Answer how many columns a stream has, or None if it is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def bar_for(stream: OutputWrapper) -> str:
    """Answer the best character for a bar that a stream can encode."""
    try:
        "█".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


class ProgressLine:
    """One line on a terminal that says what is being done. On anything else it says nothing."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._name = ""
        self._written_at = 0.0
        self._is_seen = stream.isatty()

    def __call__(self, name: str, done: int, of: int) -> None:
        """Say how much of a step is done; see ``status.Progress``."""
        now = monotonic()
        if not self._is_seen or (name == self._name and now - self._written_at < _PAUSE):
            return
        # Noted first: an interrupt while it is written must not leave a line that nobody clears.
        self._name, self._written_at = name, now
        self._write(f"  ...   {name}" + (f"  {done} of {of}" if of else ""))

    def clear(self) -> None:
        """Leave no trace of it."""
        if self._name:
            self._write("")
            self._name = ""

    def filter(self, record: LogRecord) -> bool:
        """Make way for a line of a log, as a filter of its logger."""
        self.clear()
        return True

    def _write(self, text: str) -> None:
        # Spaces and carriage returns work on every terminal, whatever it makes of escape sequences. The whole
        # line goes: behind the text may be the ^C of whoever has seen enough.
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r{' ' * (columns - 1)}\r{text[: columns - 3]}", str, ending="")
        self._stream.flush()
