"""What a terminal sees of progress, and that nothing else does."""

from __future__ import annotations

import io
import logging

import pytest
from django.core.management.base import OutputWrapper

from django_momento.diagnostics.terminal import ProgressLine, bar_for, escape, width_of
from tests.kit.tables import table


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, and can tell what its last line shows."""

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        cells: list[str] = []
        column = 0
        for character in self.getvalue().rpartition("\n")[2]:
            if character == "\r":
                column = 0
            else:
                cells[column : column + 1] = [character]
                column += 1
        return "".join(cells).rstrip()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "40")
    return Terminal()


def test_progress_is_one_line_that_changes(terminal: Terminal) -> None:
    """Each text replaces the one before it, however long that was."""
    progress = ProgressLine(OutputWrapper(terminal))

    progress("credentials", 0, 0)
    assert "  ...   credentials" == terminal.shown
    progress("cache", 5, 20)
    assert "  ...   cache  5 of 20" == terminal.shown
    assert "\n" not in terminal.getvalue()


def test_progress_leaves_nothing_behind(terminal: Terminal) -> None:
    """Not even the ^C that a terminal writes when it is interrupted; and without escape sequences."""
    progress = ProgressLine(OutputWrapper(terminal))
    progress("waiting", 0, 0)
    terminal.write("^C")
    progress.clear()

    assert "" == terminal.shown
    assert "\x1b" not in terminal.getvalue()


def test_progress_makes_way_for_a_log(terminal: Terminal) -> None:
    """A warning on the same terminal must not be written behind it."""
    progress = ProgressLine(OutputWrapper(terminal))
    logger = logging.Logger("tests")
    logger.addFilter(progress)
    logger.addHandler(logging.StreamHandler(terminal))
    progress("connection", 0, 0)
    logger.warning("Momento is away.")

    assert terminal.getvalue().endswith("\rMomento is away.\n")


def test_progress_never_wraps(terminal: Terminal) -> None:
    """A line that wrapped could not be taken back."""
    ProgressLine(OutputWrapper(terminal))("a step with a very long name indeed, and more", 0, 0)
    assert 40 > max(map(len, terminal.getvalue().split("\r")))


def test_progress_changes_seldom_while_it_counts(terminal: Terminal) -> None:
    """Writing to a terminal takes longer than many a call that is measured."""
    progress = ProgressLine(OutputWrapper(terminal))
    for done in range(1000):
        progress("latency", done, 1000)
    assert terminal.getvalue().count("latency") < 1000


def test_an_interrupt_leaves_nothing_behind(terminal: Terminal) -> None:
    """The terminal writes ^C by itself, also while no progress is shown."""
    progress = ProgressLine(OutputWrapper(terminal))
    terminal.write("^C")
    progress.clear(interrupted=True)

    assert "" == terminal.shown


def test_progress_says_nothing_to_a_file() -> None:
    """A log has no use for it."""
    file = io.StringIO()
    progress = ProgressLine(OutputWrapper(file))
    progress("latency", 1, 2)
    progress.clear()
    progress.clear(interrupted=True)
    assert "" == file.getvalue()


def test_only_a_terminal_has_a_width(terminal: Terminal) -> None:
    """A file takes lines of any length."""
    assert 40 == width_of(OutputWrapper(terminal))
    assert width_of(OutputWrapper(io.StringIO())) is None


@table(("encoding", "expected"), [("utf-8", "█"), ("cp437", "█"), ("ascii", "#"), ("latin-1", "#")])
def test_bars_are_drawn_with_what_can_be_written(encoding: str, expected: str) -> None:
    """A report must not end in a UnicodeEncodeError."""
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as stream:
        assert expected == bar_for(OutputWrapper(stream))


def test_a_stream_without_an_encoding_gets_ascii() -> None:
    """Whatever it is, that is safe."""
    assert "#" == bar_for(OutputWrapper(io.StringIO()))


@table(
    ("text", "encoding", "expected"),
    [
        ("café █", "utf-8", "café █"),
        ("café █", "ascii", "caf\\xe9 \\u2588"),
        ("café █", "latin-1", "café \\u2588"),
        ("\ud800", "utf-8", "\\ud800"),
        ("café", None, "café"),
    ],
)
def test_characters_that_a_stream_does_not_have_are_escaped(
    text: str, encoding: str | None, expected: str
) -> None:
    """A report must not end in a UnicodeEncodeError."""
    assert expected == escape(text, encoding)
