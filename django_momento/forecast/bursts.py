"""Bursts: gets of one process that follow each other so closely that one ``get_many`` could replace them."""

from __future__ import annotations

from typing import Any

# Milliseconds between the end of a get and the start of the next one.
MAX_GAP = 5


class Bursts:
    """Count the calls that ``get_many`` would save. It needs all keys, so it works without sampling only."""

    def __init__(self) -> None:
        self.saved = 0
        # For each process the end of its last get.
        self._ends: dict[str, int] = {}

    def apply(self, process: str, event: list[Any]) -> None:
        """Count an event, in the order of time. Another verb ends a burst."""
        if event[2] != "get":
            self._ends.pop(process, None)
            return
        end = self._ends.get(process)
        if end is not None and event[0] <= end + MAX_GAP:
            self.saved += 1
        self._ends[process] = event[0] + event[1]
