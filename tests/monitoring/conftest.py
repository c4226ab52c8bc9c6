"""The fixture that collects events."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from django_momento import events
from django_momento.events import CallEvent


@pytest.fixture
def seen() -> Iterator[list[CallEvent]]:
    """Return the list to which each event of this process is added."""
    found: list[CallEvent] = []
    events.observers.append(found.append)
    yield found
    events.observers.remove(found.append)


@pytest.fixture
def start_afresh(request: pytest.FixtureRequest, start_afresh: Callable[[], None]) -> Callable[[], None]:
    """Forget the events of a row, too."""
    found: list[CallEvent] = request.getfixturevalue("seen") if "seen" in request.fixturenames else []

    def start_afresh_without_events() -> None:
        start_afresh()
        found.clear()

    return start_afresh_without_events
