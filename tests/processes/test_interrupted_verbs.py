"""Verbs that are interrupted by a signal, as a time limit of Celery or RQ does."""

from __future__ import annotations

import json

import pytest

from tests.kit.processes import run

VERBS = (
    "get_or_set",
    "lease",
    "tags",
    "tagged",
    "set",
    "invalidate",
    "near",
    "near_set",
    "shield",
    "prefix",
    "near_tags",
    "memo",
    "lock",
    "acquire",
    "run_once",
    "rate_limit",
    "ignoring",
)

# Each moment takes a call of its own. Verbs that are missing here are interrupted at every thirteenth.
STEPS = {"lease": 5, "set": 1}


@pytest.mark.parametrize("verb", VERBS)
def test_an_exception_of_a_signals_handler_at_any_moment_concerns_one_caller(address: str, verb: str) -> None:
    """It comes out as it is, and leaves no lease, lock or flight that others would wait for."""
    step = STEPS.get(verb, 13)
    result = json.loads(run("interrupted_verbs", verb, str(step), address=address).stdout)
    assert [] == result["problems"]
    assert 3 < result["interruptions"]


@pytest.mark.parametrize("way", ["alone", "streamed"])
def test_an_exception_while_an_async_call_is_sent_leaves_no_lock_of_grpc_locked(
    address: str, way: str
) -> None:
    """The calls of other threads go over the same connection, or over a new one."""
    result = json.loads(run("interrupted_starts", way, address=address).stdout)
    assert [] == result["problems"]
    assert 30 < result["interruptions"]
