"""Another attempt for a test that failed while its process stood still.

A busy machine, or a virtual one that waits for its host, now and then stops a process for a second. A call
under way then times out, and a test that is right fails. Such a test runs once more, and pytest lists it. A
test that fails without a stall fails at once, and so does one that fails twice.
"""

from __future__ import annotations

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
            item.add_marker(pytest.mark.flaky(reruns=1, condition=self.has_stalled))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._longest = 0.0

    def has_stalled(self) -> bool:
        """Return whether the process stood still since the test began."""
        return self._longest > STALL
