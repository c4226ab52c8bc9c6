"""Group: ``get`` and ``set`` without observers, and with the meter and others that observe every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from .clients import OURS
from .measure import Case, Contender, Run
from .verbs import OPERATIONS, gets, sets

WITH_NOTHING = "no observer"
WITH_STATS = "stats"
WITH_OPENTELEMETRY = "OpenTelemetry without an SDK"


@contextmanager
def observed(observer: str, verb: str) -> Iterator[Run]:
    """Run a verb in a process that has one kind of observer."""
    if observer == WITH_STATS:
        from django_momento.monitoring import stats  # noqa: F401 - starts the meter
    elif observer == WITH_OPENTELEMETRY:
        from django_momento.events import observers
        from django_momento.monitoring.opentelemetry import observe

        observers.append(observe)
    with {"get": gets, "set": sets}[verb](OURS, 100) as run:
        yield run


def cases() -> list[Case]:
    return [
        Case(
            f"{verb} of 100 B, observed",
            OPERATIONS,
            tuple(
                Contender(name, partial(observed, name, verb), None if name == WITH_NOTHING else WITH_NOTHING)
                for name in (WITH_NOTHING, WITH_STATS, WITH_OPENTELEMETRY)
            ),
        )
        for verb in ("get", "set")
    ]
