"""Pauses between attempts at something that fails: each about twice the last, up to a longest one.

Every pause is drawn between half of it and the whole, so that the processes of a fleet, which meet an outage
together, do not all come back together.
"""

from __future__ import annotations

import random


class Backoff:
    """Answers one pause after another, in seconds, until it is reset."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self) -> float:
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause * random.uniform(0.5, 1)  # noqa: S311 - nothing secret about it

    def reset(self) -> None:
        self._next = self._first
