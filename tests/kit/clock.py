"""A clock that stands still until a test moves it."""

from __future__ import annotations


class Clock:
    """In seconds, as ``time.time`` and ``time.monotonic`` count them, in whose place it is put."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def time(self) -> float:
        """Return what ``time.time()`` would."""
        return self.now

    def milliseconds(self) -> int:
        """Return the time as the local server counts it."""
        return round(self.now * 1000)

    def advance(self, seconds: float) -> None:
        self.now += seconds
