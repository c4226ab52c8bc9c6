"""Flights after their landing, and flights whose leader is gone."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.policies.flights import MAX_LANDINGS, flights
from tests.conftest import MakeCache
from tests.kit.faces import EACH_FACE, call
from tests.kit.tables import table
from tests.kit.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_flight_is_left")

# Seconds. Long enough for a busy machine.
LONG = 60.0


def test_a_caller_that_read_before_a_landing_reads_again(make_cache: MakeCache) -> None:
    """It missed the value that was stored before it could join the flight."""
    cache = make_cache()
    runs: list[int] = []

    class Late(MomentoCache):
        def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
            value = super().get(key, default, version)
            if not runs:
                cache.get_or_set("key", lambda: runs.append(1) or "first")
            return value

    late = Late("tests", {"OPTIONS": dict(caches.settings["default"]["OPTIONS"])})

    assert late.get_or_set("key", lambda: runs.append(2) or "second") == "first"
    assert runs == [1]


def test_landings_that_are_forgotten_count_as_landings() -> None:
    """Memory is bounded, and the price of it is a read."""
    cache = object.__new__(MomentoCache)  # any caller
    flight, _ = flights.join("first", cache, False)
    assert flight is not None
    tick = flights.tick
    flights.land(flight)
    assert flights.has_landed_since(tick, "first")
    ticks = {}
    for number in range(3 * MAX_LANDINGS):
        flight, _ = flights.join(number, cache, False)
        assert flight is not None
        flights.land(flight)
        ticks[number] = flights.tick
    assert flights.has_landed_since(tick, "first")
    assert not flights.has_landed_since(flights.tick, "first")
    # One that is remembered is told from a later one. Any other may be later, for all that is known.
    remembered = [number for number, tick in ticks.items() if not flights.has_landed_since(tick, number)]
    assert MAX_LANDINGS <= len(remembered) <= 2 * MAX_LANDINGS


def test_a_flight_whose_leader_is_gone_is_replaced() -> None:
    """As after an exception of a signal's handler between two lines."""

    class Caller:
        pass

    gone = Caller()
    flight, _ = flights.join("key", gone, False)
    del gone, _
    here = Caller()
    mine, waiter = flights.join("key", here, False)

    assert mine is not flight
    assert waiter is None
    assert mine is not None
    flights.hand_over(mine)


@EACH_FACE
@table("verb", ["delete", "delete_many", "clear"], afresh=True)
def test_a_value_that_was_computed_before_its_key_was_deleted_is_not_given_to_later_callers(
    make_cache: MakeCache, face: str, verb: str
) -> None:
    """Nor is it stored. Those who waited before get it, and a computation may delete its own key."""
    cache = make_cache()
    arguments: list[Any] = {"delete": ["key"], "delete_many": [["other", "key"]], "clear": []}[verb]  # type: ignore[assignment]  # arguments of several types
    has_begun, may_end = threading.Event(), threading.Event()
    results: list[str] = []

    def old() -> str:
        call(cache, face, verb, *arguments)
        has_begun.set()
        may_end.wait(LONG)
        return "old"

    callers = [
        threading.Thread(target=lambda: results.append(cache.get_or_set("key", old, wait=LONG)))
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    has_begun.wait(LONG)
    eventually(lambda: events.counts("default").get("joined") == 1)

    call(cache, face, verb, *arguments)
    assert call(cache, face, "get_or_set", "key", lambda: "new", wait=LONG) == "new"
    call(cache, face, verb, *arguments)
    may_end.set()
    for caller in callers:
        caller.join()

    assert results == ["old", "old"]
    assert cache.get("key") is None
