"""A first call that is interrupted by a signal, as a time limit of Celery or RQ does."""

from __future__ import annotations

import json

from tests.kit.processes import run


def test_an_exception_of_a_signals_handler_at_any_moment_of_a_first_call_concerns_one_caller(
    address: str,
) -> None:
    """It comes out as it is. All others get the key at once, and no call stays in flight."""
    result = json.loads(run("first_fetch", "3", address=address).stdout)
    assert [] == result["failures"]
    assert 100 < result["interruptions"]
