"""The fixture that collects events."""

from __future__ import annotations

from collections.abc import Iterator

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
