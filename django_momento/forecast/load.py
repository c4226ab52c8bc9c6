"""Operations of each second, and the figures about them."""

from __future__ import annotations

from itertools import zip_longest
from typing import NamedTuple

SECONDS_OF_A_MINUTE = 60


class Percentiles(NamedTuple):
    """Operations per second: of half of the seconds, of 99 in 100 seconds, and of the busiest second."""

    p50: float
    p99: float
    max: float


class Load:
    """The operations of each second of a trace."""

    def __init__(self) -> None:
        self.seconds: list[float] = [0]

    def add(self, second: int, operations: float) -> None:
        """Count operations in a second, by its number."""
        try:
            self.seconds[second] += operations
        except IndexError:
            self.seconds.extend([0] * (second + 1 - len(self.seconds)))
            self.seconds[second] += operations

    def __add__(self, other: Load) -> Load:
        """Return the sum, second by second."""
        found = Load()
        found.seconds = [sum(pair) for pair in zip_longest(self.seconds, other.seconds, fillvalue=0)]
        return found

    def times(self, factor: float) -> Load:
        """Return this load multiplied by a number."""
        found = Load()
        found.seconds = [count * factor for count in self.seconds]
        return found

    @property
    def total(self) -> float:
        """The operations of all seconds."""
        return sum(self.seconds)

    def percentiles(self) -> Percentiles:
        """Return the figures over all seconds, those without operations included."""
        ordered = sorted(self.seconds)
        last = len(ordered) - 1
        return Percentiles(
            ordered[round(last * 0.5)],
            ordered[round(last * 0.99)],
            ordered[last],
        )

    def minutes_over(self, limit: float) -> int:
        """Return the number of minutes in which at least one second has more operations than the limit."""
        return len(
            {second // SECONDS_OF_A_MINUTE for second, count in enumerate(self.seconds) if count > limit}
        )

    def excess(self, limit: float) -> float:
        """Return the number of operations above the limit of their second, which would be refused."""
        return sum(count - limit for count in self.seconds if count > limit)

    def series(self, points: int) -> list[tuple[int, float, float]]:
        """Return at most so many stretches of time: the first second, and the mean and the maximum in it."""
        step = max(1, -(-len(self.seconds) // points))
        found = []
        for start in range(0, len(self.seconds), step):
            part = self.seconds[start : start + step]
            found.append((start, sum(part) / len(part), max(part)))
        return found
