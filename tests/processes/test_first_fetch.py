"""A first call that is interrupted by a signal, as a time limit of Celery or RQ does."""

from __future__ import annotations

import json

import pytest

from tests.kit.processes import run


def test_an_exception_of_a_signals_handler_at_any_moment_of_a_first_call_concerns_one_caller(
    address: str,
) -> None:
    """It comes out as it is. All others get the key at once, and no call stays in flight."""
    result = json.loads(run("first_fetch", "3", address=address).stdout)
    assert [] == result["failures"]
    assert 100 < result["interruptions"]


@pytest.mark.parametrize("module", ["grpc._typing", "grpc._cython.cygrpc", "momento.responses"])
def test_an_exception_that_comes_during_an_import_breaks_no_later_call(address: str, module: str) -> None:
    """The imports are the longest part of a first call, where a time limit comes most often.

    An import of gRPC that it ended made each later call fail, hang, or abort the process.
    """
    outcomes = json.loads(run("interrupted_import", module, address=address).stdout)
    assert ["interrupted", "value", "value"] == outcomes
