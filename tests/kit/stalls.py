"""Another attempt for a test that failed while its process stood still, and in CI for any test.

A busy machine, or a virtual one that waits for its host, now and then stops a process for a second. A call
under way then times out, and a test that is right fails. Such a test runs once more. A test that fails
without a stall fails at once.

In CI, as in that of CPython, any failed test runs once more: a rare race of a test should not hold up the
changes of others. pytest lists each RERUN with its traceback, and each without a stall is a fault to mend.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

# Seconds between two looks at the clock, and how late a look must be to count as a stall.
INTERVAL = 0.05
STALL = 0.15

# Tests replace those of the module, and libraries that freeze time those of all modules.
_SLEEP, _MONOTONIC = time.sleep, time.monotonic


def pytest_configure(config: pytest.Config) -> None:
    """Watch this process. For conftest files, whose functions pytest finds by their names."""
    config.pluginmanager.register(StallWatch())


class StallWatch:
    """A plugin of pytest that notes the longest time for which this process stood still during a test."""

    def __init__(self) -> None:
        self._is_in_ci = "CI" in os.environ
        self._longest = 0.0
        watching = threading.Thread(
            target=self._watch, args=(_SLEEP, _MONOTONIC), name="stall-watch", daemon=True
        )
        watching.start()

    def _watch(self, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        while True:
            before = monotonic()
            sleep(INTERVAL)
            self._longest = max(self._longest, monotonic() - before - INTERVAL)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=1, condition=self.may_try_again))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._longest = 0.0

    def may_try_again(self) -> bool:
        """Return whether a test that failed may run once more."""
        return self._is_in_ci or self.has_stalled()

    def has_stalled(self) -> bool:
        """Return whether the process stood still since the test began."""
        return self._longest > STALL
