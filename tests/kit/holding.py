"""Calls that a Momento server of this process has received, and serves when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from django_momento.local.faults import GlobalFaults
from tests.kit.waiting import PAUSE


class Held:
    """Calls that wait, before they have any effect, until they are released or their client gives up."""

    def __init__(self) -> None:
        self.waiting = 0
        self._is_released = False

    def release(self) -> None:
        """Let the calls go on."""
        self._is_released = True

    async def wait(self) -> None:
        self.waiting += 1
        try:
            while not self._is_released:  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(PAUSE)
        finally:
            self.waiting -= 1


@contextmanager
def holding() -> Iterator[Held]:
    """Hold the calls that reach a server of this process within a block, until they are released.

    Later calls pass, and those that are held go on waiting.
    """
    held = Held()

    async def apply(faults: GlobalFaults) -> None:
        await held.wait()

    with mock.patch.multiple(GlobalFaults, is_active=True, apply=apply):
        yield held
