"""Observers of events: of the process and of one alias."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from django_momento import events
from django_momento.events import CallEvent
from django_momento.exceptions import ConfigurationError
from tests.conftest import MakeCache
from tests.kit.tables import table


def test_an_observer_that_raises_is_logged_once_and_dropped(
    make_cache: MakeCache, seen: list[CallEvent], caplog: pytest.LogCaptureFixture
) -> None:
    """And never fails the call, nor keeps the event from other observers."""
    told = []

    def broken(event: CallEvent) -> None:
        told.append(event)
        raise RuntimeError("broken")

    events.observers.insert(0, broken)
    cache = make_cache()
    with caplog.at_level(logging.ERROR, "django_momento"):
        cache.set("k", 1)
        assert cache.get("k") == 1
        asyncio.run(cache.aget("k"))

    assert len(told) == 1
    assert len(seen) == 3
    assert len(caplog.records) == 1
    assert broken not in events.observers


def test_an_observer_that_uses_the_cache_makes_no_events(
    make_cache: MakeCache, seen: list[CallEvent]
) -> None:
    cache = make_cache()

    def curious(event: CallEvent) -> None:
        cache.get("curious")

    events.observers.append(curious)
    try:
        cache.get("k")
    finally:
        events.observers.remove(curious)
    assert len(seen) == 1


NUMBER = 1024
_told: list[CallEvent] = []


_tell = _told.append


async def _coroutine_function(event: CallEvent) -> None:
    """An observer that nobody would await."""


@table(
    "option", [f"{__name__}._tell,{__name__}._tell", [f"{__name__}._tell", f"{__name__}._tell"]], afresh=True
)
def test_observers_of_an_alias_hear_of_both_faces(option: Any, make_cache: MakeCache) -> None:
    """And of no other alias; a list and a text with commas say the same."""
    _told.clear()
    cache = make_cache(OPTIONS={"OBSERVERS": option})
    cache.get("k")
    asyncio.run(cache.aget("k"))
    make_cache(alias="default").get("k")
    assert [event.alias for event in _told] == ["default"] * 4


@table(
    ("option", "value", "word"),
    [
        ("OBSERVERS", "nowhere.found", "cannot be imported"),
        ("OBSERVERS", f"{__name__}._coroutine_function", "coroutine function"),
        ("OBSERVERS", f"{__name__}._told", "of type list"),
        ("OBSERVERS", "no path", "dotted paths"),
        ("OBSERVERS", 5, "dotted paths"),
        ("KEY_GROUP", "nowhere.found", "cannot be imported"),
        ("KEY_GROUP", "no path", "dotted path"),
        ("KEY_GROUP", f"{__name__}.NUMBER", "of type int"),
    ],
    afresh=True,
)
def test_a_wrong_observer_or_key_group_is_refused_with_its_option(
    option: str, value: Any, word: str, make_cache: MakeCache
) -> None:
    with pytest.raises(ConfigurationError, match=option) as caught:
        make_cache(OPTIONS={option: value}).check_settings()
    assert word in str(caught.value)
