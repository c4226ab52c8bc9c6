"""Run the benchmarks: ``python -m benchmarks [--quick] [--only NAME ...]``.

Prints each table as it is measured, and saves them all in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace

from . import batches, cold_start, flights, metering, pages, recording, services, shield, threads, verbs
from .machine import described, load
from .measure import Case, Table, race
from .report import Report, table_lines


@dataclass(frozen=True)
class Effort:
    """How often and how long. Operations are divided by ``divisor``."""

    rounds: int
    processes: int
    page_rounds: int
    page_seconds: float
    shield_seconds: float
    divisor: int = 1


FULL = Effort(rounds=40, processes=25, page_rounds=3, page_seconds=8, shield_seconds=3)
QUICK = Effort(rounds=3, processes=2, page_rounds=1, page_seconds=2, shield_seconds=1, divisor=2)

GROUPS = {
    "verbs": "get and set",
    "metering": "Metering",
    "recording": "Recording",
    "batches": "get_many and set_many",
    "threads": "Threads",
    "async": "Async",
    "page": "The page of the newest rivals",
    "near": "The near cache",
    "shield": "Queries that reach the database",
    "cold-start": "Cold start",
}


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: too short for figures to mean much"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=GROUPS,
        metavar="NAME",
        help=f"one of {', '.join(GROUPS)}; repeatable",
    )
    arguments = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    report = Report(described())
    if arguments.quick:
        report.notes.append("A smoke run: too short for the figures to mean much.")
    try:
        with services.momento_local(), services.redis_server() as redis_port:
            if redis_port is None:
                report.notes.append("There is no redis-server here: the Redis contenders are left out.")
            for table in measured(arguments.only or GROUPS, QUICK if arguments.quick else FULL, redis_port):
                report.tables.append(table)
                say("\n".join(table_lines(table)) + "\n")
    except services.NotStarted as error:
        sys.exit(str(error))
    report.machine["load after"] = load()
    say("\n".join(report.ending()))
    say("Saved: " + ", ".join(str(path) for path in report.save()))


def measured(names: Container[str], effort: Effort, redis_port: int | None) -> Iterator[Table]:
    """Measure the groups of these names, and answer each table as soon as it stands."""
    cases: dict[str, Callable[[], list[Case]]] = {
        "verbs": verbs.cases,
        "metering": metering.cases,
        "recording": recording.cases,
        "batches": batches.cases,
        "threads": threads.cases,
        "async": flights.cases,
        "near": shield.near_cases,
    }
    for name, title in GROUPS.items():
        if name not in names:
            continue
        if name == "page":
            yield from pages.race(title, redis_port, effort.page_rounds, effort.page_seconds)
        elif name == "shield":
            yield from shield.race(title, redis_port, effort.page_rounds, effort.shield_seconds)
        elif name == "cold-start":
            yield from cold_start.race(title, redis_port, effort.processes)
        else:
            for case in cases[name]():
                yield race(title, _fitted(case, effort, redis_port), effort.rounds)


def _fitted(case: Case, effort: Effort, redis_port: int | None) -> Case:
    contenders = tuple(item for item in case.contenders if redis_port or not item.needs_redis)
    return replace(case, operations=max(1, case.operations // effort.divisor), contenders=contenders)


if __name__ == "__main__":
    main()
