"""Earlier versions of items, for reads that see a cache as it was a short time ago."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .collections import Value
from .retention import Item


class Version(NamedTuple):
    value: Value
    expires_at: int


class Past:
    """Keeps each version of an item for ``lag`` milliseconds after it has changed."""

    def __init__(self, clock: Callable[[], int], lag: int) -> None:
        self.lag = lag
        self._clock = clock
        # The changes in order, each with the time until which the replica does not see it.
        self._changes: deque[tuple[int, bytes]] = deque()
        self._versions: dict[bytes, deque[Version | None]] = {}

    def remember(self, key: bytes, item: Item | None) -> None:
        """Keep the version of an item that is about to change. None means that there is no item."""
        self._forget()
        # A scalar is replaced as a whole, and a collection is changed in place.
        version = None if item is None else Version(copy.deepcopy(item.value), item.expires_at)
        self._changes.append((self._clock() + self.lag, key))
        self._versions.setdefault(key, deque()).append(version)

    def find(self, key: bytes) -> tuple[Version | None] | None:
        """Return the version that the replica sees, in a tuple, or None if it sees the present item."""
        self._forget()
        versions = self._versions.get(key)
        return (versions[0],) if versions else None

    def _forget(self) -> None:
        now = self._clock()
        while self._changes and self._changes[0][0] <= now:
            _, key = self._changes.popleft()
            versions = self._versions[key]
            versions.popleft()
            if not versions:
                del self._versions[key]
