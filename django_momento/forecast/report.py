"""The figures of a forecast, as values that the text, the JSON and the page show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from .load import Percentiles
from .verdict import Verdict, judge


@dataclass(frozen=True)
class TraceFacts:
    """Facts about a trace. ``started`` is in seconds since the epoch, ``sampled_keys`` are different keys.

    ``seconds`` is the length without pauses of more than a day, which are ``paused_seconds``.
    """

    files: int
    processes: int
    sample: float
    events: int
    skipped: int
    lost: int
    started: float
    seconds: float
    paused_seconds: float
    sampled_keys: int
    recorded_hit_rate: float | None


@dataclass(frozen=True)
class Outcome:
    """The figures of one replay. ``cost`` is that of a month, None without a price.

    ``change`` names the change against the site as it is. ``note`` names other effects.
    """

    name: str
    change: str
    reads: float
    hits: float
    hit_rate: float | None
    operations: float
    per_second: Percentiles
    minutes_over: int
    over_limit: float
    cost: float | None
    note: str = ""


@dataclass(frozen=True)
class GroupRow:
    """The figures of a key group or a verb. ``share`` is its share of all operations."""

    name: str
    keys: float
    reads: float
    hits: float
    hit_rate: float | None
    operations: float
    share: float
    largest: int
    too_large: float
    cut: float
    cost: float | None


@dataclass(frozen=True)
class Elasticache:
    """The same traffic at ElastiCache Serverless."""

    units: float
    units_of_a_month: float
    mean_bytes: float
    cost: float | None


@dataclass(frozen=True)
class Report:
    """A forecast. Errors are half widths of intervals of 95 %, and 0 without sampling."""

    trace: TraceFacts
    limit: float
    baseline: Outcome
    hit_rate_error: float
    operations_error: float
    calls: float
    keys: float
    mean_per_second: float
    minutes: int
    operations_of_a_month: float
    peak_bytes: float
    storage: int
    too_large: float
    cut: float
    writes: float
    elasticache: Elasticache
    groups: list[GroupRow]
    verbs: list[GroupRow]
    what_ifs: list[Outcome]
    series: list[tuple[int, float, float]] = field(repr=False)

    @cached_property
    def verdict(self) -> Verdict:
        """The conclusion."""
        return judge(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values of JSON, without the points of the plot."""
        found = asdict(self)
        del found["series"]
        found["verdict"] = asdict(self.verdict)
        for outcome in (found["baseline"], *found["what_ifs"]):
            outcome["per_second"] = outcome["per_second"]._asdict()
        return found
