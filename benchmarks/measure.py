"""How everything is measured: contenders take turns, in short slices, in one run.

Each contender lives in a process of its own, so that none inherits another's threads, connections or
garbage, and only the one whose turn it is does anything. The order is shuffled every round. What is compared
is a round's slice beside the same round's slice of another contender: load from elsewhere then hits both.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

# Does that many operations, as they come after another.
Run = Callable[[int], None]
# One slice's figures by their column.
Sample = Mapping[str, float]

WALL = "wall µs"
CPU = "CPU µs"

WARM_UP_SLICES = 2


@dataclass(frozen=True)
class Contender:
    """``start`` is called in the contender's own process and must be picklable.

    ``beside`` names the contender of the same case that it is compared with, if any.
    """

    name: str
    start: Callable[[], AbstractContextManager[Run]]
    beside: str | None = None
    needs_redis: bool = False


@dataclass(frozen=True)
class Case:
    """What its contenders do, each the same number of ``operations`` a slice."""

    title: str
    operations: int
    contenders: tuple[Contender, ...]


@dataclass
class Table:
    """The figures of one case: for each contender a sample a round, in the rounds' order."""

    group: str
    title: str
    note: str = ""
    beside: dict[str, str] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def compare(self, name: str, beside: str | None) -> None:
        self.samples[name] = []
        if beside is not None:
            self.beside[name] = beside


class ContenderFailed(Exception):
    """A contender's process ended; it has said on stderr why."""


class Worker:
    """A contender in its own process, which waits until it is its turn."""

    def __init__(self, contender: Contender) -> None:
        self._name = contender.name
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender.start), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # It has ended already.
            self._connection.send(None)
        self._process.join(timeout=10)
        self._process.kill()

    def run(self, operations: int) -> Sample:
        try:
            self._connection.send(operations)
            sample: Sample = self._connection.recv()
        except (EOFError, OSError) as error:
            raise ContenderFailed(f"{self._name} failed.") from error
        return sample


def _serve(connection: Connection[Any, int | None], start: Callable[[], AbstractContextManager[Run]]) -> None:
    import django

    django.setup()
    with start() as run:
        while (operations := connection.recv()) is not None:
            connection.send(timed(run, operations))


def timed(run: Run, operations: int) -> Sample:
    """Return the wall time of an operation, and the CPU time of this process, all its threads included."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    run(operations)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {WALL: wall / operations * 1e6, CPU: cpu / operations * 1e6}


def race(group: str, case: Case, rounds: int) -> Table:
    """Let the contenders of a case take turns for that many rounds."""
    table = Table(group, case.title)
    with ExitStack() as stack:
        workers = {contender.name: stack.enter_context(Worker(contender)) for contender in case.contenders}
        for contender in case.contenders:
            table.compare(contender.name, contender.beside)
            for _ in range(WARM_UP_SLICES):
                workers[contender.name].run(case.operations)
        for _ in range(rounds):
            for name in shuffled(workers):
                table.samples[name].append(workers[name].run(case.operations))
    return table


def shuffled(names: Iterable[str]) -> list[str]:
    order = list(names)
    random.shuffle(order)
    return order
