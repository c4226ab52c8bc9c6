"""The conclusion of a forecast in plain words, with its reasons. It may well be: do not switch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report

SWITCH = "switch"
WITH_CHANGES = "switch with changes"
DO_NOT = "do not switch"
RECORD_MORE = "record more"

_SENTENCES = {
    SWITCH: "Switch: the traffic fits as it is.",
    WITH_CHANGES: "Switch, with the changes below.",
    DO_NOT: "Do not switch with the traffic as it is.",
    RECORD_MORE: "Record more before you decide: nothing speaks against it yet.",
}

# Less evidence decides for nothing.
MIN_SECONDS = 3600
MIN_READS = 1000
# A cache that serves fewer reads is hardly worth its price.
MIN_HIT_RATE = 0.3
# Fewer keys of a sample may have no likeness to all keys.
MIN_SAMPLED_KEYS = 100
# Differences of the hit rate that are worth a word, and that decide.
NOTABLE_LOSS = 0.01
DECISIVE_LOSS = 0.05
# The share of values over the limit of an item that decides.
DECISIVE_TOO_LARGE = 0.01
# The share of a limit from which there is little reserve.
NEAR_LIMIT = 0.7


@dataclass(frozen=True)
class Verdict:
    """A decision, one of the constants of this module, a sentence that says it, and the reasons."""

    decision: str
    sentence: str
    reasons: tuple[str, ...]


class _Judgement:
    """Collects reasons against, changes that are needed, and remarks."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.against: list[str] = []
        self.changes: list[str] = []
        self.remarks: list[str] = []
        self._judge_hit_rate()
        self._judge_limit()
        self._judge_cost()
        self._judge_timeouts()
        self._judge_sizes()
        self._judge_storage()

    def _judge_hit_rate(self) -> None:
        base, error = self.report.baseline, self.report.hit_rate_error
        if base.hit_rate is None:
            self.remarks.append("The trace has no reads, so there is no hit rate.")
        elif base.hit_rate < MIN_HIT_RATE:
            self.against.append(
                f"Only {percent(base.hit_rate)} of the reads find a value. A cache with so few hits costs "
                "more than it saves: look at the key groups with many misses first."
            )
        else:
            between = f" (± {100 * error:.1f} points, from sampling)" if error else ""
            self.remarks.append(f"{percent(base.hit_rate)} of the reads find a value{between}.")
        recorded = self.report.trace.recorded_hit_rate
        if base.hit_rate is not None and recorded is not None and base.hit_rate - recorded > NOTABLE_LOSS:
            self.remarks.append(
                f"The recorded cache found only {percent(recorded)}: it lost items before their timeouts. If "
                "something outside the trace deleted them, the forecast of the hit rate is too high."
            )

    def _judge_limit(self) -> None:
        report, base = self.report, self.report.baseline
        limit, busiest = report.limit, base.per_second.max
        if not base.minutes_over:
            self.remarks.append(
                f"The busiest second has {busiest:,.0f} operations, and the limit is {limit:,g}."
                + (" That leaves little reserve." if busiest > limit * NEAR_LIMIT else "")
            )
            return
        over_limit = plural(base.minutes_over, "minute", "minutes")
        over = (
            f"{over_limit} of {report.minutes:,} exceed the limit of {limit:,g} operations "
            f"a second: {base.over_limit:,.0f} operations would be refused, and the busiest second has "
            f"{busiest:,.0f}."
        )
        # Two changes together are named only if none is enough alone.
        enough = [each for each in report.what_ifs if each.minutes_over == 0]
        enough = [each for each in enough if " and " not in each.name] or enough
        if enough:
            changes = " or ".join(each.change for each in enough)
            self.changes.append(f"{over} This change keeps the traffic under the limit: {changes}.")
        else:
            self.against.append(
                f"{over} None of the changes below is enough. Ask Momento for a limit of "
                f"{ceil(busiest):,}, and run the forecast again with --limit {ceil(busiest)}."
            )

    def _judge_cost(self) -> None:
        momento, other = self.report.baseline.cost, self.report.elasticache.cost
        if momento is None or other is None:
            return
        text = f"A month costs {momento:,.2f} at Momento and {other:,.2f} at ElastiCache Serverless."
        if momento <= other:
            self.remarks.append(text)
            return
        cheaper = [each for each in self.report.what_ifs if each.cost is not None and each.cost <= other]
        if cheaper:
            best = min(cheaper, key=lambda each: each.cost or 0.0)
            self.changes.append(f"{text} With this change Momento costs {best.cost:,.2f}: {best.change}.")
        else:
            self.against.append(f"{text} None of the changes below makes Momento the cheaper one.")

    def _judge_timeouts(self) -> None:
        report = self.report
        longer = next(each for each in report.what_ifs if each.name == "longer timeouts")
        if not report.cut:
            return
        loss = (longer.hit_rate or 0.0) - (report.baseline.hit_rate or 0.0)
        text = f"{report.cut:,.0f} writes have a timeout of more than 24 hours, or none. Momento cuts it."
        if loss >= DECISIVE_LOSS:
            self.against.append(f"{text} This costs {100 * loss:.1f} points of the hit rate.")
        elif loss >= NOTABLE_LOSS:
            self.changes.append(f"{text} This costs {100 * loss:.1f} points of the hit rate: shorten them.")
        else:
            self.remarks.append(f"{text} In this trace that makes no difference to the hit rate.")

    def _judge_sizes(self) -> None:
        report = self.report
        if not report.too_large:
            return
        text = f"{report.too_large:,.0f} values are larger than 5 MiB, which Momento refuses."
        if report.too_large > report.writes * DECISIVE_TOO_LARGE:
            self.against.append(f"{text} That is more than one write in a hundred.")
        else:
            self.changes.append(
                f"{text} Split or compress them; the table of key groups shows where they are."
            )

    def _judge_storage(self) -> None:
        report = self.report
        if report.peak_bytes > report.storage * NEAR_LIMIT:
            self.remarks.append(
                f"At most {report.peak_bytes / 1e6:,.0f} MB are stored at a time, and "
                f"{report.storage / 1e6:,.0f} MB fit. Momento evicts items when no more fit."
            )


def judge(report: Report) -> Verdict:
    """Return the verdict on a forecast."""
    found = _Judgement(report)
    trace, weak = report.trace, ""
    if trace.seconds < MIN_SECONDS:
        weak = f"The trace covers only {trace.seconds / 60:,.1f} minutes. Record a day with its busiest hour."
    elif report.baseline.reads < MIN_READS:
        weak = f"The trace has only {report.baseline.reads:,.0f} reads. Record more traffic."
    elif trace.sample < 1 and trace.sampled_keys < MIN_SAMPLED_KEYS:
        weak = (
            f"The sample has only {plural(trace.sampled_keys, 'key', 'keys')}. Record with a larger SAMPLE."
        )
    if found.against:
        decision = DO_NOT
    elif weak:
        decision = RECORD_MORE
    elif found.changes:
        decision = WITH_CHANGES
    else:
        decision = SWITCH
    reasons = (*found.against, *found.changes, *([weak] if weak else []), *found.remarks)
    return Verdict(decision, _SENTENCES[decision], reasons)


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def plural(count: int, one: str, several: str) -> str:
    """Return a number with the word for one thing or for several."""
    return f"{count:,} {one if count == 1 else several}"
