"""The way back from ``done``, in which OLD goes out of date. A mark in OLD tells all processes so.

A process that saw the change to ``done`` writes the mark when it has stopped writing to OLD. While it is
there, each process stays in ``done``, whatever PHASE says. Emptying OLD removes the mark.
"""

from __future__ import annotations

from ..clock import monotonic
from ..events import events
from ..interruption import is_interruption
from .pair import Pair
from .phases import DONE, LINGER
from .sides import Plan
from .state import Migration

# Seconds between two looks at the mark. It must be found before OLD can be out of date.
PAUSE = LINGER / 2
# The same while the mark is there, so that emptying OLD takes effect soon.
SHORT_PAUSE = 1.0


def key_of(alias: str) -> str:
    """Return the reserved key of the mark."""
    return f"django_momento.migration:{alias}:left"


def look_at_mark(pair: Pair, phase: str) -> Plan[None] | None:
    """Return the plan that writes or reads the mark, if it is time for that."""
    migration = pair.migration
    if phase == DONE:
        migration.looked_in = DONE
        if migration.phase.has_lingered and not migration.has_left_old:
            migration.has_left_old = True
            return _write(pair)
        return None
    migration.has_left_old = False
    pause = SHORT_PAUSE if migration.is_held else PAUSE
    if monotonic() - migration.looked_at < pause and migration.looked_in == phase:
        return None
    migration.looked_at, migration.looked_in = monotonic(), phase
    return _read(pair, phase)


def decide(migration: Migration, phase: str) -> str:
    """Return the phase of a call: ``done`` while OLD is marked as out of date."""
    return DONE if migration.is_held else phase


def _write(pair: Pair) -> Plan[None]:
    try:
        yield pair.old.step("set", key_of(pair.migration.alias), DONE, None)
    except Exception as error:  # counted as a failure of OLD, which may be gone already
        if is_interruption(error):
            raise
        return


def _read(pair: Pair, phase: str) -> Plan[None]:
    migration = pair.migration
    try:
        mark = yield pair.old.step("get", key_of(migration.alias), None, is_essential=True)
    except Exception as error:  # counted as a failure of OLD, and read again later
        if is_interruption(error):
            raise
        return
    migration.is_held = mark is not None
    if migration.is_held:
        events.record(
            migration.alias,
            "held_in_done",
            "the phase is %r again, but OLD (%s) is out of date since 'done'. NEW serves alone until OLD was "
            "emptied.",
            phase,
            migration.pairing.old,
        )
