"""Fixtures of the tests of policies."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from django_momento.policies.flights import flights


@pytest.fixture
def no_flight_is_left() -> Iterator[None]:
    """Fail a test after which a flight of get_or_set() is still on."""
    yield
    gc.collect()
    assert len(flights) == 0
