"""What a run found, as Markdown for people and as JSON with every sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .measure import Table
from .summary import Spread, figures, ratios, spread
from .targets import outcomes

RESULTS = Path(__file__).resolve().parent / "results"

PREFACE = """\
Medians, with the quartiles in brackets. A ratio is the median of the ratios round by round; CPU is that of
the client's process, all its threads included. Momento Local is written in Python and Redis in C: **wall
times beside Redis compare the servers more than the clients**, and on a machine with few cores the server
takes time from the client. Compare CPU, and ratios beside the client of the same server."""


@dataclass
class Report:
    machine: dict[str, str]
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def save(self) -> list[Path]:
        """Write both files, named by the date, and answer their paths."""
        RESULTS.mkdir(exist_ok=True)
        stem = "".join(character for character in self.machine["date"] if character.isdigit())
        content = {**asdict(self), "targets": [str(outcome) for outcome in outcomes(self.tables)]}
        texts = {".md": self.markdown(), ".json": json.dumps(content, indent=1)}
        paths = []
        for suffix, text in texts.items():
            paths.append(path := RESULTS / f"{stem}{suffix}")
            path.write_text(text)
        return paths

    def _lines(self) -> Iterator[str]:
        yield "# Benchmarks"
        yield ""
        yield from (f"- {name}: {text}" for name, text in self.machine.items())
        yield ""
        yield PREFACE
        for note in self.notes:
            yield f"\n**{note}**"
        group = ""
        for table in self.tables:
            if table.group != group:
                group = table.group
                yield f"\n## {group}"
            yield ""
            yield from table_lines(table)
        yield from self.ending()

    def ending(self) -> Iterator[str]:
        """Return the lines that can only be said when everything was measured."""
        if reached := outcomes(self.tables):
            yield "\n## Targets\n"
            yield from (f"- {outcome}" for outcome in reached)


def table_lines(table: Table) -> Iterator[str]:
    columns = list(next(iter(table.samples.values()))[0])
    compared = columns[:2] if table.beside else []
    heads = ["", *columns, *(f"{column.rpartition(' ')[0]} ratio" for column in compared), "beside"]
    rounds = len(next(iter(table.samples.values())))
    yield f"### {table.title}"
    yield f"\n{rounds} rounds.\n"
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "--:|" * (len(heads) - 2) + "---|"
    for name in table.samples:
        beside = table.beside.get(name, "")
        cells = [name, *(_cell(spread(figures(table, name, column))) for column in columns)]
        cells += [
            _ratio(spread(ratios(table, name, beside, column))) if beside else "" for column in compared
        ]
        yield "| " + " | ".join([*cells, beside]) + " |"


def _cell(figure: Spread) -> str:
    return f"{_number(figure.median)} ({_number(figure.low)}-{_number(figure.high)})"


def _ratio(figure: Spread) -> str:
    return f"**{figure.median:.3g}** ({figure.low:.3g}-{figure.high:.3g})"


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
