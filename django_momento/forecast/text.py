"""The report of a forecast as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

from .report import GroupRow, Outcome, Report
from .verdict import percent, plural

MAX_GROUPS = 15


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report."""
    yield from trace_lines(report)
    yield ""
    yield "Forecast for Momento"
    yield from _table(figure_rows(report))
    yield ""
    yield "Key groups by operations"
    yield from _table([group_heads(report), *map(group_cells, report.groups[:MAX_GROUPS])], header=True)
    if len(report.groups) > MAX_GROUPS:
        yield f"  and {len(report.groups) - MAX_GROUPS} more; --json has them all"
    yield ""
    yield "What if"
    changes = (report.baseline, *report.what_ifs)
    yield from _table([what_if_heads(report), *map(what_if_cells, changes)], header=True)
    for each in report.what_ifs:
        if each.note:
            yield f"  {each.change}: {each.note}"
    yield ""
    yield report.verdict.sentence
    for reason in report.verdict.reasons:
        yield f"  - {reason}"


def trace_lines(report: Report) -> Iterator[str]:
    """Yield the facts about the trace."""
    trace = report.trace
    started = datetime.fromtimestamp(trace.started, timezone.utc)
    yield (
        f"Trace of {duration(trace.seconds)} from {started:%Y-%m-%d %H:%M} UTC: "
        f"{plural(trace.events, 'event', 'events')} of "
        f"{plural(trace.processes, 'process', 'processes')} in {plural(trace.files, 'file', 'files')}, "
        f"{percent(trace.sample)} of the keys"
    )
    if trace.paused_seconds:
        yield (
            f"Left out {duration(trace.paused_seconds)} without an event: pauses of more than a day, or a "
            "clock that was set."
        )
    if trace.skipped:
        lines = plural(trace.skipped, "line that is no event, or is", "lines that are no events, or are")
        yield f"Skipped {lines} cut short as by a killed process."
    if trace.lost:
        yield f"The recorder lost {plural(trace.lost, 'event', 'events')}. The figures are too low by these."


def figure_rows(report: Report) -> list[Sequence[str]]:
    """Return pairs of a name and the text of a figure."""
    base = report.baseline
    rate = "no reads" if base.hit_rate is None else percent(base.hit_rate)
    if report.hit_rate_error:
        rate += f" ± {100 * report.hit_rate_error:.1f} points"
    recorded = report.trace.recorded_hit_rate
    if recorded is not None:
        rate += f" (the recorded cache: {percent(recorded)})"
    operations = f"{base.operations:,.0f}"
    if report.operations_error:
        operations += f" ± {report.operations_error:,.0f}"
    rows: list[Sequence[str]] = [
        ("hit rate", rate),
        ("operations", f"{operations}, for {report.keys:,.0f} keys in {report.calls:,.0f} calls"),
        (
            "operations a second",
            f"mean {report.mean_per_second:,.1f}, {_percentiles(report)}",
        ),
        (
            f"over {report.limit:,g} a second",
            f"{base.minutes_over:,} of {report.minutes:,} minutes, {base.over_limit:,.0f} operations",
        ),
        ("stored", f"at most {size(report.peak_bytes)} of {size(report.storage)}"),
        ("over 5 MiB", f"{report.too_large:,.0f} of {report.writes:,.0f} writes"),
        ("cut to 24 hours", f"{report.cut:,.0f} of {report.writes:,.0f} writes"),
        ("a month at Momento", _cost(base.cost, f"{report.operations_of_a_month:,.0f} operations")),
        (
            "at ElastiCache Serverless",
            _cost(
                report.elasticache.cost,
                _units(report),
            ),
        ),
    ]
    return rows


def _units(report: Report) -> str:
    found = report.elasticache
    return f"{found.units_of_a_month:,.0f} units, {size(found.mean_bytes)} stored"


def _percentiles(report: Report) -> str:
    p50, p99, busiest = report.baseline.per_second
    return f"p50 {p50:,.0f}, p99 {p99:,.0f}, max {busiest:,.0f}"


def _cost(cost: float | None, unit: str) -> str:
    return unit if cost is None else f"{cost:,.2f}, {unit}"


def group_heads(report: Report) -> Sequence[str]:
    """Return the heads of the columns of ``group_cells``."""
    return "group", "operations", "share", "hit rate", "largest", "over 5 MiB", "cut", *_month(report)


def group_cells(row: GroupRow) -> Sequence[str]:
    """Return the cells of a key group."""
    return (
        row.name,
        f"{row.operations:,.0f}",
        percent(row.share),
        "" if row.hit_rate is None else percent(row.hit_rate),
        size(row.largest),
        f"{row.too_large:,.0f}",
        f"{row.cut:,.0f}",
        *([f"{row.cost:,.2f}"] if row.cost is not None else []),
    )


def what_if_heads(report: Report) -> Sequence[str]:
    """Return the heads of the columns of ``what_if_cells``."""
    return "change", "hit rate", "operations", "p99", "max", "minutes over", *_month(report)


def _month(report: Report) -> list[str]:
    return [] if report.baseline.cost is None else ["a month"]


def what_if_cells(outcome: Outcome) -> Sequence[str]:
    """Return the cells of a row of the what-ifs."""
    return (
        outcome.change,
        "" if outcome.hit_rate is None else percent(outcome.hit_rate),
        f"{outcome.operations:,.0f}",
        f"{outcome.per_second.p99:,.0f}",
        f"{outcome.per_second.max:,.0f}",
        f"{outcome.minutes_over:,}",
        *([f"{outcome.cost:,.2f}"] if outcome.cost is not None else []),
    )


def _table(rows: Iterable[Sequence[str]], header: bool = False) -> Iterator[str]:
    """Yield aligned lines. The cells after the first are right-aligned if the first row is a header."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0])]
        cells += [
            cell.rjust(width) if header else cell for cell, width in zip(others, widths[1:], strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives at least 1."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"


def size(count: float) -> str:
    """Return a size in the largest unit that gives at least 1."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count:,.0f} bytes"
