"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FakeClock:
    """Milliseconds, as the server's own clock counts them."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds
