"""Earlier versions of items, for reads that see a cache as it was a short time ago."""

from __future__ import annotations

import copy
from collections import deque
from typing import NamedTuple

from .collections import Value
from .retention import ITEM_OVERHEAD, Entry, Item, Retention, memory_needed


class Version(NamedTuple):
    value: Value
    expires_at: int


class Past(Entry):
    """Keeps each version of an item for ``lag`` milliseconds after it has changed.

    The versions count as memory. If memory is short, the oldest are forgotten early, before the items that
    were used since.
    """

    def __init__(self, retention: Retention, lag: int) -> None:
        super().__init__()
        self.lag = lag
        self._retention = retention
        # The changes in order, each with the time until which the replica does not see it.
        self._changes: deque[tuple[int, bytes]] = deque()
        self._versions: dict[bytes, deque[Version | None]] = {}

    def remember(self, key: bytes, item: Item | None) -> None:
        """Keep the version of an item that is about to change. None means that there is no item."""
        self._forget_past()
        # A scalar is replaced as a whole, and a collection is changed in place.
        version = None if item is None else Version(copy.deepcopy(item.value), item.expires_at)
        self._changes.append((self._retention.now() + self.lag, key))
        self._versions.setdefault(key, deque()).append(version)
        if not self.serial:
            self._retention.use(self)
        self._retention.count(self, self.size + _size(key, version))

    def find(self, key: bytes) -> tuple[Version | None] | None:
        """Return the version that the replica sees, in a tuple, or None if it sees the present item."""
        self._forget_past()
        versions = self._versions.get(key)
        return (versions[0],) if versions else None

    def clear(self) -> None:
        """Forget all versions."""
        while self._changes:
            self._forget_oldest()

    def evict(self, retention: Retention) -> None:
        """Forget the oldest version. Leave the order of use with the last one."""
        self._forget_oldest()

    def _forget_past(self) -> None:
        now = self._retention.now()
        while self._changes and self._changes[0][0] <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, key = self._changes.popleft()
        versions = self._versions[key]
        version = versions.popleft()
        if not versions:
            del self._versions[key]
        self._retention.count(self, self.size - _size(key, version))
        if not self._changes:
            self._retention.protect(self)


def _size(key: bytes, version: Version | None) -> int:
    return ITEM_OVERHEAD + len(key) if version is None else memory_needed(key, version.value)
