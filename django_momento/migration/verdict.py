"""Whether it is safe to go on to the next phase, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..clock import wall
from .figures import Window, merge
from .phases import DONE, DUAL, SHADOW
from .state import NEW, OLD

# Compared reads that a verdict needs.
MIN_COMPARED = 1000
# The share of OLD's hits that NEW must have, and of the calls that may fail.
MIN_SHARE = 0.95
MAX_FAILURES = 0.001
# Seconds without a report after which a process counts as silent.
SILENT = 120.0

NEXT = {SHADOW: DUAL, DUAL: DONE, DONE: None}


@dataclass(frozen=True)
class Verdict:
    """Whether all is well for the next phase. ``reasons`` are against it, and ``notes`` are to be known."""

    phase: str | None
    next_phase: str | None
    is_safe: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    processes: int
    figures: dict[str, Any]

    def show(self) -> dict[str, Any]:
        """Return the verdict as JSON has it. Shares are from 0 to 1, and times in seconds."""
        return {
            "phase": self.phase,
            "next": self.next_phase,
            "safe": self.is_safe,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "processes": self.processes,
            "figures": self.figures,
        }


def judge(phase: str, reports: list[dict[str, Any]]) -> Verdict:
    """Return the verdict on the reports of all processes."""
    window = merge(report["figures"] for report in reports)
    reasons = [*_of_processes(phase, reports), *_of_window(phase, window)] if phase != DONE else []
    return Verdict(
        phase=phase,
        next_phase=NEXT[phase],
        is_safe=not reasons,
        reasons=tuple(reasons),
        notes=tuple(_notes(phase)),
        processes=len(reports),
        figures=_figures(phase, window),
    )


def _of_processes(phase: str, reports: list[dict[str, Any]]) -> Iterable[str]:
    if not reports:
        yield (
            "No process has reported in the last hour. Each reports every few seconds while it makes calls."
        )
        return
    behind = [report["process"] for report in reports if report["phase"] != phase]
    if behind:
        yield (
            f"{len(behind)} of {len(reports)} processes have not reported the phase {phase!r} yet, such as "
            f"{behind[0]}. Wait some seconds."
        )
    for side in (OLD, NEW):
        held = [report for report in reports if report["unsettled"][side]]
        if not held:
            continue
        silent = [report for report in held if wall() - report["updated"] > SILENT]
        keys = sum(report["unsettled"][side] for report in held)
        yield (
            f"{keys} keys may have an outdated value in {side.upper()}, after failed calls. Wait for the "
            "repair."
        )
        if silent:
            yield (
                f"{len(silent)} processes with such keys do not report any more, such as "
                f"{silent[0]['process']}. If they have ended, wait until the values have ended too, or empty "
                f"{side.upper()}."
            )
    for side in (OLD, NEW):
        if any(side in report["out"] for report in reports):
            yield f"{side.upper()} cannot be reached by some processes."
        if any(side in report["distrusted"] for report in reports):
            yield (
                f"Some processes read nothing from {side.upper()} any more: too many writes failed there, or "
                f"a clear() did. Empty {side.upper()}, and restart them."
            )


def _of_window(phase: str, window: Window) -> Iterable[str]:
    counts = window.counts
    basis = "sampled_hits" if phase == SHADOW else "hits"
    if counts[basis] < MIN_COMPARED:
        unit = "compared reads" if phase == SHADOW else "hits"
        yield f"There were {counts[basis]} {unit} in the last minutes. A verdict needs {MIN_COMPARED}."
    if counts["different"]:
        yield (
            f"{counts['different']} of {counts['sampled_new_hits']} compared values differ. The log has "
            "their key groups and types."
        )
    share = _share_of_new(phase, window)
    if share is not None and share < MIN_SHARE:
        has = "has {:.1%} of the values of OLD" if phase == SHADOW else "serves {:.1%} of the hits"
        done = "set" if phase == SHADOW else "copied"
        yield f"NEW {has.format(share)}, and {MIN_SHARE:.0%} are needed. Wait until more values were {done}."
    if counts["new_refusals"]:
        yield f"NEW has refused {counts['new_refusals']} values that OLD takes. The log has the errors."
    failed = window.share("new_failures", "new_calls")
    if failed is not None and failed > MAX_FAILURES:
        yield f"{failed:.2%} of the calls to NEW failed. The log has the errors."


def _notes(phase: str) -> Iterable[str]:
    if phase == DUAL:
        yield "Counters and locks are in OLD alone. In 'done' they begin anew."
        yield "After 'done', OLD goes out of date. To go back, empty OLD first."
    if phase == DONE:
        yield "NEW serves alone. Name its backend in this alias, and remove OLD and the DualCache."


def _share_of_new(phase: str, window: Window) -> float | None:
    """Return the share of the hits that NEW has, or would have."""
    if phase == SHADOW:
        return window.share("sampled_new_hits", "sampled_hits")
    return window.share("new_hits", "new_hits", "old_hits")


def _figures(phase: str, window: Window) -> dict[str, Any]:
    counts = window.counts
    sampled = phase == SHADOW
    return {
        "seconds": window.seconds,
        "lookups": counts["lookups"],
        "hit_rate": window.share("hits", "lookups"),
        "hit_rate_of_new": window.share(
            *("sampled_new_hits", "sampled") if sampled else ("new_hits", "lookups")
        ),
        "share_of_new": _share_of_new(phase, window),
        "compared": counts["sampled_new_hits"],
        "different": counts["different"],
        "only_in_new": counts["only_new"],
        "copied": counts["copies"],
        "not_copied": counts["not_copied"],
        "counters": counts["counters"] + counts["sampled_counters"],
        "repaired": counts["repaired"],
        "latency": {
            side: {
                kind: {
                    name: window.percentile(f"{side}_{kind}", share)
                    for name, share in (("p50", 0.5), ("p99", 0.99))
                }
                for kind in ("reads", "writes")
            }
            for side in (OLD, NEW)
        },
        "calls": {side: counts[f"{side}_calls"] for side in (OLD, NEW)},
        "failures": {side: counts[f"{side}_failures"] for side in (OLD, NEW)},
        "refusals": {side: counts[f"{side}_refusals"] for side in (OLD, NEW)},
        "operations": counts["operations"],
        "operations_per_second": counts["operations"] / window.seconds if window.seconds else None,
        "operations_peak": window.peak,
    }


def text(verdict: Mapping[str, Any], alias: str, old: str, new: str) -> Iterable[str]:
    """Yield the lines of a verdict for people. ``verdict`` is as show() returns it."""
    phase, processes = verdict["phase"], verdict["processes"]
    unit = "process" if processes == 1 else "processes"
    yield f"{alias}: from {old} (OLD) to {new} (NEW), phase {phase}, {processes} {unit}"
    if phase != DONE:
        yield from _lines_of_figures(phase, verdict["figures"])
    if verdict["next"] is None:
        yield "Done."
    elif verdict["safe"]:
        yield f"It is safe to go on to {verdict['next']!r}."
    else:
        yield f"It is not safe to go on to {verdict['next']!r} yet:"
        yield from (f"  - {reason}" for reason in verdict["reasons"])
    yield from (f"  Note: {note}" for note in verdict["notes"])


def _lines_of_figures(phase: str, figures: Mapping[str, Any]) -> Iterable[str]:
    yield f"  hit rate     {_percent(figures['hit_rate'])} of {figures['lookups']} lookups"
    verb = "would serve" if phase == SHADOW else "serves"
    yield f"  NEW          {verb} {_percent(figures['share_of_new'])} of these hits, without counters"
    if phase == SHADOW:
        yield f"  compared     {figures['compared']} values, of which {figures['different']} differ"
    else:
        yield f"  copied       {figures['copied']} values; {figures['not_copied']} more could not be"
    for side in (OLD, NEW):
        latency = figures["latency"][side]
        reads, writes = (
            f"{kind} {_ms(latency[kind]['p50'])} (p99 {_ms(latency[kind]['p99'])})"
            for kind in ("reads", "writes")
        )
        failed = f"{figures['failures'][side]} of {figures['calls'][side]} calls failed"
        yield f"  {side.upper():12} {reads}, {writes}, {failed}"
    if figures["operations"]:
        rate, peak = figures["operations_per_second"], figures["operations_peak"]
        yield f"  operations   {rate:.1f} a second at Momento, at most {peak} within a second"


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.1%}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2g} ms"
