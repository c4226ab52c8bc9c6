"""Compare the events of calls with the count at the server."""

from __future__ import annotations

from django_momento.events import CallEvent
from django_momento.local import LocalServer


def assert_equal(seen: list[CallEvent], server: LocalServer) -> None:
    """Assert that the requests and the operations of all events are those that the server has counted."""
    assert sum(event.requests for event in seen) == server.calls.total()
    assert sum(event.operations for event in seen) == server.operations.total()
