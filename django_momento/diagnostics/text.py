"""Write the report of ``momento_check`` as lines of text, for a terminal of any width or for a file.

This module holds words and layout only. Colours come from Django's ``style``. Nothing here prints.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from django.core.checks import CheckMessage

from .examination import Step
from .latency import Latency

# A name on the left and a duration on the right share a column.
_NAME_WIDTH = 21
# Two spaces, a mark of four, and two between a column and the next.
_DETAIL_COLUMN = 2 + 4 + 2 + _NAME_WIDTH + 2
_NARROW_COLUMN = 2 + 4 + 2
# If the room beside the columns is less than this, details go below them.
_MIN_DETAIL_WIDTH = 30
_MAX_BAR = 30

# Four characters, and the function that colours them.
_Mark = tuple[str, Callable[[str], str]]
_BLANK: _Mark = ("    ", str)


class TextReport:
    """Render steps and system checks as lines.

    ``style`` is Django's, with or without colours. ``width`` is the number of columns, or None to break no
    line. ``bar`` is the character for the histogram.
    """

    def __init__(self, style: Any, width: int | None = None, bar: str = "#") -> None:
        self._ok: _Mark = ("ok  ", style.SUCCESS)
        self._failed: _Mark = ("FAIL", style.ERROR)
        self._note: _Mark = ("note", style.WARNING)
        self._coloured_heading: Callable[[str], str] = style.MIGRATE_HEADING
        self._width = width or sys.maxsize
        self._bar = bar
        self._is_narrow = self._width - _DETAIL_COLUMN < _MIN_DETAIL_WIDTH

    def heading(self, title: str) -> str:
        return self._coloured_heading(title)

    def step(self, step: Step) -> Iterator[str]:
        """Return the lines of a step: its result, or the cause of its failure and the fix."""
        took = f"{step.seconds * 1000:.0f} ms"
        first, *others = (step.found or step.cause).splitlines() or [""]
        yield from self._row(self._mark(step), step.name, took, first)
        # The problems of an alias, one a line.
        for line in others:
            yield from self._row(_BLANK, "", "", line)
        yield from self._fix(step.fix)
        if step.latency is not None:
            yield from self._histogram(step.latency)
        for fact in step.facts:
            if fact.says:
                yield from self._row(_BLANK if fact.ok else self._note, "", "", fact.says)

    def checks(self, messages: list[CheckMessage]) -> Iterator[str]:
        """Return the lines of the messages of the system checks."""
        for message in messages:
            mark = self._failed if message.is_serious() else self._note
            yield from self._row(mark, message.id or "", "", message.msg)
            yield from self._fix(message.hint or "")
        if not messages:
            yield from self._row(self._ok, "all", "", "no remarks")

    def round(self, at: str, alias: str, steps: list[Step], before: list[Step]) -> Iterator[str]:
        """Return the line of a round of watching: the latency, or the failure.

        A failure that is the same as in the round ``before`` is shortened.
        """
        last = steps[-1]
        says = next((str(step.latency) for step in steps if step.latency is not None), "")
        if not last.ok:
            is_same = (last.name, last.cause) == (before[-1].name, before[-1].cause)
            says = f"{last.name}: " + (f"{last.error}, as before" if is_same else f"{last.cause} {last.fix}")
        yield from self._lines(self._mark(last), f"  ....  {at}  {alias}  ", says, _NARROW_COLUMN)

    def _mark(self, step: Step) -> _Mark:
        return self._ok if step.ok else self._failed

    def _fix(self, fix: str) -> Iterator[str]:
        if fix:
            yield from self._row(_BLANK, "fix", "", fix)

    def _row(self, mark: _Mark, name: str, took: str, detail: str) -> Iterator[str]:
        columns = f"  ....  {name:<{_NAME_WIDTH - len(took)}}{took}  "
        if not self._is_narrow:
            yield from self._lines(mark, columns, detail, _DETAIL_COLUMN)
            return
        if name:
            yield from self._lines(mark, columns, "", _NARROW_COLUMN)
            mark = _BLANK
        yield from self._lines(mark, "  ....  ", detail, _NARROW_COLUMN)

    def _histogram(self, latency: Latency) -> Iterator[str]:
        column = _NARROW_COLUMN if self._is_narrow else _DETAIL_COLUMN
        most = max(bucket.requests for bucket in latency.histogram)
        # Beside the bar stand "up to 0.05 ms", the number of requests, and what is between them.
        longest = min(_MAX_BAR, self._width - column - 20 - len(str(most)))
        for bucket in latency.histogram:
            label = f"up to {bucket.up_to:g} ms"
            bar = self._bar * -(-bucket.requests * longest // most)
            yield from self._row(_BLANK, "", "", f"{label:<14}  {bar} {bucket.requests or ''}".rstrip())

    def _lines(self, mark: _Mark, columns: str, detail: str, indent: int) -> Iterator[str]:
        """Break a line that is too long, and replace the dots by the coloured mark."""
        lines = textwrap.wrap(
            detail,
            self._width,
            initial_indent=columns,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        first, *others = lines or [columns]
        text, coloured = mark
        yield f"{first[:2]}{coloured(text)}{first[6:]}".rstrip()
        yield from others
