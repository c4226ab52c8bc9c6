"""What the backend is meant to reach, as ratios within one run, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .clients import ASYNC_SDK, DJANGO_REDIS, LOCMEM, OURS, REDIS_PY, SDK
from .cold_start import AGENT, BARE_SECRET, OURS_WITH_BOTO3
from .measure import CPU, WALL, Table
from .summary import ratio


@dataclass(frozen=True)
class Target:
    """At most ``limit`` times the figure of ``beside``, in the table of that title."""

    title: str
    figure: str
    beside: str
    limit: float


@dataclass(frozen=True)
class Outcome:
    target: Target
    ratio: float
    line_to_beat: float | None = None

    @property
    def is_met(self) -> bool:
        return self.ratio <= self.target.limit

    def __str__(self) -> str:
        target = self.target
        text = (
            f"{target.title}, {target.figure}: {self.ratio:.3f} x {target.beside} "
            f"(at most {target.limit:.3f}): {'met' if self.is_met else 'MISSED'}"
        )
        if self.line_to_beat is not None:
            text += f"; {DJANGO_REDIS} beside {REDIS_PY}: {self.line_to_beat:.3f}"
        return text


# 1.4 times the throughput is 1 / 1.4 of the wall time of a call.
_THROUGHPUT = 1 / 1.4
TARGETS = (
    Target("get of 100 B", CPU, SDK, 1.05),
    Target("set of 100 B", CPU, SDK, 1.05),
    Target("get_many of 100 keys", CPU, f"loop of {SDK}.get", 0.35),
    Target("get_many of 100 keys", WALL, f"loop of {SDK}.get", 0.2),
    Target("aget, 1 in flight", CPU, ASYNC_SDK, 1.2),
    Target("aget, 50 in flight", WALL, ASYNC_SDK, _THROUGHPUT),
    Target("aget, 300 in flight", WALL, ASYNC_SDK, _THROUGHPUT),
    Target("aget, an event loop per call (asyncio.run)", WALL, ASYNC_SDK, 0.4),
    Target(
        "first get, key from Secrets Manager, in a process that has started Django",
        "wall ms",
        BARE_SECRET,
        1.0,
    ),
    Target("near hit of 100 B", CPU, LOCMEM, 1.3),
    Target("near hit of 10 KB", CPU, LOCMEM, 1.3),
    Target(AGENT, "wall ms", OURS_WITH_BOTO3, 0.6),
)


def outcomes(tables: Iterable[Table]) -> list[Outcome]:
    """Return the outcomes of the targets whose tables there are."""
    by_title = {table.title: table for table in tables}
    return [
        Outcome(
            target,
            ratio(table, OURS, target.beside, target.figure),
            ratio(table, DJANGO_REDIS, REDIS_PY, target.figure) if REDIS_PY in table.samples else None,
        )
        for target in TARGETS
        if (table := by_title.get(target.title))
    ]
