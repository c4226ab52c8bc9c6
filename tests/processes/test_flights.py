"""Flights whose leader is interrupted by a signal, as a time limit of Celery or RQ does."""

from __future__ import annotations

import json

from tests.kit.processes import run


def test_an_exception_of_a_signals_handler_on_any_line_leaves_no_flight(address: str) -> None:
    """Neither other threads nor later calls wait for the caller that was interrupted."""
    result = json.loads(run("flights", "300", "60", address=address).stdout)
    assert {"answered": [60] * 3, "flights": 0} == result
