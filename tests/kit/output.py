"""The same output of programs and test runners everywhere, for tests that read it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

# They choose the width, the colours and the length of the output.
VARIABLES = (
    *("BUILD_NUMBER", "CI", "GITHUB_ACTIONS"),
    *("COLUMNS", "LINES", "TERM"),
    *("CLICOLOR_FORCE", "DJANGO_COLORS", "FORCE_COLOR", "MYPY_FORCE_COLOR"),
    *("NO_COLOR", "PY_COLORS", "PYTHON_COLORS"),
)

# The starts of records of asyncio and of the SDK.
_DEPEND_ON_SPEED = ("Executing %s took", "Getting address info", "Closing and tearing down")


@pytest.fixture(scope="session", autouse=True)
def same_output_everywhere() -> Iterator[None]:
    """Let tests, and the processes that they start, print in CI as they do at a desk.

    So do their logs: in development mode asyncio logs each callback that took 0.1 s, as any does on a busy
    machine, and a connection of an earlier test may be closed on its own thread meanwhile.
    """
    loggers, filter_ = [logging.getLogger(name) for name in ("asyncio", "momentosdk")], IndependentOfSpeed()
    for logger in loggers:
        logger.addFilter(filter_)
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield
    for logger in loggers:
        logger.removeFilter(filter_)


class IndependentOfSpeed(logging.Filter):
    """Drop the records that only say how long something took, or that a connection was closed at last."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_DEPEND_ON_SPEED)
