"""The report of a forecast as one page of HTML, which loads nothing from elsewhere and needs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape

from .plots import bar_plot, load_plot
from .report import GroupRow, Report
from .text import (
    duration,
    figure_rows,
    group_cells,
    group_heads,
    trace_lines,
    what_if_cells,
    what_if_heads,
)
from .verdict import DO_NOT, RECORD_MORE, SWITCH, WITH_CHANGES

MAX_BARS = 12

_MARKS = {SWITCH: "good", WITH_CHANGES: "fair", RECORD_MORE: "fair", DO_NOT: "bad"}

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de;
  --mean: #0a4b9c; --max: #b6d4f5; --limit: #b3261e; --good: #0f6b34; --fair: #8a4b00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --text: #e8eaed; --dim: #a9b1ba;
  --line: #3a4149; --mean: #8cc2ff; --max: #2d4a6b; --limit: #ff9a92; --good: #7ddb9b; --fair: #f3c26b;
  --bad: #ff9a92; } }
* { box-sizing: border-box; }
body { background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 64rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.verdict { border: 2px solid; border-left-width: .6rem; border-radius: .4rem; padding: .2rem 1rem; }
.verdict h2 { margin: .6rem 0; }
.good { border-color: var(--good); } .fair { border-color: var(--fair); } .bad { border-color: var(--bad); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
caption { color: var(--dim); padding: .3rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: right;
  vertical-align: top; }
tr > :first-child { text-align: left; }
.facts td { text-align: left; }
.facts th { width: 14rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--dim); }
svg { display: block; }
.plot { display: grid; gap: .3rem .5rem; grid-template-columns: max-content minmax(0, 1fr); }
.plot svg { height: 15rem; overflow: visible; width: 100%; }
.scale { display: flex; flex-direction: column; justify-content: space-between; margin: -.75rem 0;
  text-align: right; }
.times { display: flex; grid-column: 2; justify-content: space-between; }
.bars { list-style: none; margin: 0; padding: 0; }
.bars li { align-items: center; display: grid; gap: .1rem .8rem; padding: .2rem 0;
  grid-template-columns: 14rem minmax(0, 1fr) 7rem; }
.bars svg { height: 1.3rem; width: 100%; }
.grid, .limit, .mean { vector-effect: non-scaling-stroke; }
.grid { stroke: var(--line); }
.max { fill: var(--max); }
.bar { fill: var(--mean); }
.mean { fill: none; stroke: var(--mean); stroke-width: 1.6; }
.limit { stroke: var(--limit); stroke-dasharray: 7 4; stroke-width: 2; }
.key { display: inline-block; height: .8rem; margin: 0 .3rem 0 .8rem; width: 1.2rem; }
.key.m { background: var(--max); } .key.a { background: var(--mean); } .key.l { background: var(--limit); }
@media (max-width: 46rem) {
  table, caption, tbody, tr, th, td { display: block; width: auto; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  th, td, .facts td { border: 0; padding: .1rem 0; text-align: left; }
  td[data-head]:not(:empty)::before { color: var(--dim); content: attr(data-head) ": "; }
  .bars li { grid-template-columns: minmax(0, 1fr) max-content; }
  .bars svg { grid-column: 1 / -1; grid-row: 2; }
}
"""


def page(report: Report) -> str:
    """Return the page."""
    verdict = report.verdict
    outcomes = (report.baseline, *report.what_ifs)
    facts = _facts(figure_rows(report))
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    started = datetime.fromtimestamp(report.trace.started, timezone.utc)
    about = "".join(f"<p>{escape(line)}</p>" for line in trace_lines(report))
    notes = "".join(
        f"<li>{escape(each.change)}: {escape(each.note)}</li>" for each in report.what_ifs if each.note
    )
    groups = report.groups[:MAX_BARS]
    bars = [(row.name, row.operations, f"{100 * row.share:.1f} %") for row in groups]
    changes = [(each.change, each.operations, f"{each.operations:,.0f}") for each in outcomes]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Should we switch? A forecast for Momento</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Should we switch? A forecast for Momento</h1>
{about}
</header>
<main>
<section class="verdict {_MARKS[verdict.decision]}" aria-labelledby="verdict">
<h2 id="verdict">{escape(verdict.sentence)}</h2>
<ul>{reasons}</ul>
</section>
<section aria-labelledby="figures">
<h2 id="figures">The figures</h2>
<table class="facts" role="table"><caption>The traffic of the trace, as Momento would serve it</caption>
<tbody role="rowgroup">{facts}</tbody></table>
</section>
<section aria-labelledby="load">
<h2 id="load">Operations a second</h2>
<figure>
{load_plot(report.series, report.limit, report.trace.seconds)}
<figcaption><span class="key m"></span>busiest second <span class="key a"></span>mean
<span class="key l"></span>limit of {report.limit:,g}. {_span(started, report.trace.seconds)}</figcaption>
</figure>
</section>
<section aria-labelledby="what-if">
<h2 id="what-if">What if</h2>
<figure>{bar_plot(changes)}
<figcaption>Operations of the trace with each change</figcaption></figure>
{_table("Each change alone, beside the site as it is", what_if_heads(report), map(what_if_cells, outcomes))}
<ul>{notes}</ul>
</section>
<section aria-labelledby="groups">
<h2 id="groups">Key groups by cost</h2>
<figure>{bar_plot(bars)}
<figcaption>Share of the operations, of the {len(groups)} costliest key groups</figcaption></figure>
{_table("Key groups, the costliest first", group_heads(report), map(group_cells, report.groups))}
</section>
<section aria-labelledby="verbs">
<h2 id="verbs">Methods</h2>
{_table("Methods of the cache, the costliest first", _VERB_HEADS, map(_verb_cells, report.verbs))}
</section>
</main>
<footer><p>Operations are an estimate by Momento's documentation. One operation is a started KiB of an item.
A unit of ElastiCache Serverless is counted the same way. Costs are those of 730 hours, by the prices that
were given.</p></footer>
</body>
</html>
"""


_VERB_HEADS = ("method", "keys", "hit rate", "operations", "share")


def _verb_cells(row: GroupRow) -> Sequence[str]:
    rate = "" if row.hit_rate is None else f"{100 * row.hit_rate:.1f} %"
    return row.name, f"{row.keys:,.0f}", rate, f"{row.operations:,.0f}", f"{100 * row.share:.1f} %"


def _span(started: datetime, seconds: float) -> str:
    return f"{duration(seconds)} from {started:%Y-%m-%d %H:%M} UTC"


def _facts(rows: Iterable[Sequence[str]]) -> str:
    return "".join(
        f'<tr role="row"><th role="rowheader" scope="row">{escape(name)}</th>'
        f'<td role="cell">{escape(text)}</td></tr>'
        for name, text in rows
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose rows are blocks on a narrow screen, where its roles tell it is a table still."""
    head = "".join(f'<th role="columnheader" scope="col">{escape(each)}</th>' for each in heads)
    lines = []
    for first, *others in rows:
        cells = "".join(
            f'<td role="cell" data-head="{escape(name)}">{escape(each)}</td>'
            for name, each in zip(heads[1:], others, strict=True)
        )
        header = f'<th role="rowheader" scope="row">{escape(first)}</th>'
        lines.append(f'<tr role="row">{header}{cells}</tr>')
    return (
        f'<table role="table"><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}'
        f'</tr></thead><tbody role="rowgroup">{"".join(lines)}</tbody></table>'
    )
