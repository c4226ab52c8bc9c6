"""The weather: what a test makes of every call at once, so that clients see a slow or a failing Momento.

Unlike ``faults``, which a client asks for in the metadata of its own calls, it comes over all of them, and
none knows of it. It may change at any time, from any thread; calls that wait already wait on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from grpc import StatusCode

from django_momento.local.errors import InjectedFault
from django_momento.local.names import status_code

# Milliseconds. No client waits as long as an hour.
LONGEST_DELAY = 60 * 60 * 1000


def seconds(milliseconds: int) -> float:
    """Return a delay in seconds. Raises ValueError for one that no test can mean."""
    if not 0 <= milliseconds <= LONGEST_DELAY:
        raise ValueError(f"A delay must be 0 to {LONGEST_DELAY} milliseconds, not {milliseconds}")
    return milliseconds / 1000


class Weather:
    """Fair at first. ``draw`` answers a number of at least 0 and below 1, as ``random.random`` does."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._delay = 0.0
        self._share = 0.0
        self._status = StatusCode.UNAVAILABLE

    @property
    def is_fair(self) -> bool:
        return not (self._delay or self._share)

    def delay(self, milliseconds: int = 0) -> None:
        """Let every call wait so long before anything happens; 0 ends it. Raises ValueError."""
        self._delay = seconds(milliseconds)

    def fail(self, status: str = "", share: float = 1.0) -> None:
        """Refuse this share of all calls with a status, before anything happens; without one, end it.

        The status is named as in metadata, such as ``unavailable``. Raises ValueError.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"The share of calls that fail must be 0 to 1, not {share:g}")
        self._status = status_code(status) if status else StatusCode.UNAVAILABLE
        self._share = share if status else 0.0

    async def endured(self) -> None:
        """Wait as every call has to; raise InjectedFault if this is one to be refused."""
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._draw() < self._share:
            raise InjectedFault(self._status)
