"""The reports of all processes, in the cache itself, where the command of another process reads them.

Each process writes its recent figures every few seconds, while it makes calls, as JSON under one of ``SLOTS``
reserved keys. They are in OLD, or in NEW while OLD is out. They end after an hour without a call.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from random import sample
from typing import Any

from ..clock import wall
from ..interruption import is_interruption
from .pair import Pair
from .sides import Plan, Side
from .state import NEW, OLD, Migration

SLOTS = 64
# Slots that a process tries before it gives up until the next report.
ATTEMPTS = 8
# Seconds.
PAUSE = 5.0
LIFETIME = 3600


def report(pair: Pair, phase: str) -> Plan[None]:
    """Write the report of this process if it is time. Raises nothing that a side raises."""
    migration = pair.migration
    if not migration.is_report_due(PAUSE):
        return
    side = pair.new if pair.old.health.is_out else pair.old
    try:
        yield from _write(side, migration, json.dumps(show(migration, phase)))
        if side is pair.old:
            migration.reports += 1
    except Exception as error:  # counted as a failure of its side
        if is_interruption(error):
            raise


def _write(side: Side, migration: Migration, text: str) -> Plan[None]:
    if migration.slot is not None:
        key = report_key(migration.alias, migration.slot)
        owner = _parse((yield side.step("get", key, None)))
        if owner is None or owner["process"] == process_name(migration):
            yield side.step("set", key, text, LIFETIME)
            return
        migration.slot = None  # another process took it after a clear()
    for slot in sample(range(SLOTS), ATTEMPTS):
        if (yield side.step("add", report_key(migration.alias, slot), text, LIFETIME)):
            migration.slot = slot
            return


def find_report(pair: Pair, side: Side) -> Plan[int | None]:
    """Return the number of the report of this process that a side has, or None if it has none."""
    migration = pair.migration
    if side.name != OLD or migration.slot is None:
        return None
    data = _parse((yield side.step("get", report_key(migration.alias, migration.slot), None)))
    is_ours = data is not None and data["process"] == process_name(migration)
    return int(data["number"]) if data is not None and is_ours else None


def show(migration: Migration, phase: str) -> dict[str, Any]:
    """Return the report of this process, as JSON has it. Times are in seconds."""
    return {
        "process": process_name(migration),
        "phase": phase,
        "started": migration.figures.started_at,
        "updated": wall(),
        "number": migration.reports + 1,
        "unsettled": {side: migration.ledger.count(side) for side in (OLD, NEW)},
        "distrusted": [side for side in (OLD, NEW) if not migration.ledger.trusts_all(side)],
        "out": [side for side in (OLD, NEW) if migration.health[side].is_out],
        "figures": migration.figures.show(),
    }


def process_name(migration: Migration) -> str:
    """Return a name of this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{migration.figures.started_at:.3f}"


def read_reports(pair: Pair) -> tuple[list[dict[str, Any]], dict[str, Exception]]:
    """Return the newest report of each process, and the failure of each side that cannot be read."""
    keys = [report_key(pair.migration.alias, slot) for slot in range(SLOTS)]
    found: dict[str, dict[str, Any]] = {}
    failures: dict[str, Exception] = {}
    for side in pair.sides:
        try:
            texts: Iterable[object] = side.cache.get_many(keys).values()
        except Exception as error:  # it is part of the report
            if is_interruption(error):
                raise
            failures[side.name] = error
            continue
        for text in texts:
            data = _parse(text)
            if data is not None and data["updated"] > found.get(data["process"], {"updated": 0})["updated"]:
                found[data["process"]] = data
    return sorted(found.values(), key=lambda data: data["process"]), failures


def report_key(alias: str, slot: int) -> str:
    """Return the reserved key of the reports of one process."""
    return f"django_momento.migration:{alias}:{slot}"


def _parse(text: object) -> dict[str, Any] | None:
    try:
        data: Any = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if isinstance(data, dict) and {"process", "updated", "figures"} <= data.keys():
        return data
    return None
