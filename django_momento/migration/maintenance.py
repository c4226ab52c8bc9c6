"""The work that a call now and then does for all: repair unsettled keys, and report the figures."""

from __future__ import annotations

from ..events import events
from ..interruption import is_interruption
from .pair import Pair
from .reports import find_report, report
from .sides import Plan, Side
from .state import OLD

# Seconds between two turns of a process.
PAUSE = 1.0


def maintain(pair: Pair, phase: str) -> Plan[None]:
    """Repair what is due on both sides, and report. Raises nothing that a side raises."""
    for side in pair.sides:
        if pair.ledger.is_doubted(side.name):
            yield from _examine(pair, side)
        if pair.ledger.is_due(side.name):
            try:
                yield from _repair(pair, side)
            except Exception as error:  # counted as a failure of its side, and tried again
                if is_interruption(error):
                    raise
    yield from report(pair, phase)


def _examine(pair: Pair, side: Side) -> Plan[None]:
    """Find out whether a side came back from an outage with values of before, as from a snapshot.

    The report that this process has written last is then older than it was, and other values may be too.
    """
    try:
        number = yield from find_report(pair, side)
    except Exception as error:  # counted as a failure of its side, and tried again
        if is_interruption(error):
            raise
        return
    is_older = number is not None and number < pair.migration.reports
    pair.ledger.note_examination(side.name, is_older=is_older)
    if is_older:
        events.record(
            pair.migration.alias,
            "outdated_sides",
            "%s came back from an outage with older values than before, and is not read any more. Empty it.",
            side.name.upper(),
        )


def _repair(pair: Pair, side: Side) -> Plan[None]:
    ledger = pair.ledger
    if ledger.must_clear(side.name):
        yield side.step("clear")
        ledger.settle_clear(side.name)
        return
    due = ledger.due(side.name)
    by_version: dict[int, list[str]] = {}
    for key, version in due:
        # Another process may hold a lock again that this one could not release.
        if side.name != OLD or not ledger.is_lock((key, version)):
            by_version.setdefault(version, []).append(key)
    for version, keys in by_version.items():
        given = None if version == pair.old.cache.version else version
        yield side.step("delete_many", keys, version=given)
    ledger.settle(side.name, due)
    pair.figures.add(repaired=len(due))
