"""Changes of a site, followed beside a replay: how many reads and operations each would change.

A change does not alter the replay itself. Each method is called for an event of the replay, and keeps the
difference that its change makes.
"""

from __future__ import annotations

from .load import Load
from .store import Stored

# Keys that a process's near cache remembers before the ended ones are removed.
_MAX_NEAR_KEYS = 100_000


class Change:
    """The difference that a change makes: further hits, and further operations, below 0 if it saves some."""

    def __init__(self) -> None:
        self.hits = 0
        self.load = Load()


class NearCache(Change):
    """Each process serves reads from its memory for ``seconds`` after it has seen a value."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._length = round(seconds * 1000)
        # For each process and key the end in its memory, and the serial of the item.
        self._processes: dict[str, dict[bytes, tuple[float, int]]] = {}
        self.served = 0
        self.old = 0
        # The same with compression.
        self.packed_load = Load()

    def read(
        self,
        process: str,
        key: bytes,
        time: int,
        second: int,
        stored: Stored | None,
        operations: int,
        packed: int,
    ) -> None:
        """Follow a read that finds this item at Momento, or none.

        The read costs these operations, and ``packed`` with compression.
        """
        near = self._processes.get(process)
        if near is None:
            near = self._processes[process] = {}
        end, serial = near.get(key, (0, 0))
        if end > time:
            self.served += 1
            self.load.add(second, -operations)
            self.packed_load.add(second, -packed)
            if stored is None:
                self.hits += 1
                self.old += 1
            elif stored.serial != serial:
                self.old += 1
        elif stored is not None:
            self._remember(near, key, time, stored)

    def write(self, process: str, key: bytes, time: int, stored: Stored) -> None:
        """Follow a write, after which the process knows the value."""
        self._remember(self._processes.setdefault(process, {}), key, time, stored)

    def forget(self, process: str, key: bytes) -> None:
        """Follow a delete or an increment."""
        near = self._processes.get(process)
        if near is not None:
            near.pop(key, None)

    def clear(self, process: str) -> None:
        """Follow a process that empties the cache."""
        self._processes.pop(process, None)

    def _remember(self, near: dict[bytes, tuple[float, int]], key: bytes, time: int, stored: Stored) -> None:
        if len(near) >= _MAX_NEAR_KEYS:
            for other in [other for other, (end, _) in near.items() if end <= time]:
                del near[other]
        end = time + self._length
        near[key] = (min(stored.ends, end), stored.serial)


class StaleValues(Change):
    """Reads get a value for ``seconds`` after its end, while one caller computes the next one."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._length = seconds * 1000

    def miss(self, time: int, second: int, believed: Stored | None, item: int, key: int) -> None:
        """Follow a miss. A read costs ``item`` operations with the item, and ``key`` without it."""
        if believed is not None and not believed.is_deleted and 0 <= time - believed.ends < self._length:
            self.hits += 1
            self.load.add(second, item - key)


class LongerTimeouts(Change):
    """Momento cuts no timeout."""

    def miss(self, second: int, key: int) -> None:
        """Follow a miss of an item that Momento has cut. Without the cut, no write follows it either."""
        self.hits += 1
        self.load.add(second, -key)
