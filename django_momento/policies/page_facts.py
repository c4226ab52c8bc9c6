"""Facts about the pages of ``cache_page`` that this process keeps for some seconds."""

from __future__ import annotations

from typing import Any

from ..clock import monotonic

# Seconds for which this process remembers the headers on which a page depends, and that a page is not stored.
HEADERS_SECONDS = 10.0
UNCACHEABLE_SECONDS = 10.0
# The pages of which that is remembered.
MAX_PAGES = 1000


class PageFacts:
    """One fact for each of up to ``MAX_PAGES`` keys. Each is kept for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._facts: dict[object, tuple[float, Any]] = {}

    def get(self, key: object) -> Any:
        """Return the fact, or None if there is none or its time is over."""
        until, fact = self._facts.get(key, (0.0, None))
        return fact if monotonic() < until else None

    def set(self, key: object, fact: Any) -> None:
        """Keep a fact. Forget all others first if there are too many."""
        if len(self._facts) >= MAX_PAGES:
            self._facts.clear()
        self._facts[key] = (monotonic() + self._seconds, fact)

    def discard(self, key: object) -> None:
        """Forget the fact of a key, if there is one."""
        self._facts.pop(key, None)

    def forget(self) -> None:
        """Forget all facts."""
        self._facts.clear()


headers_of_pages = PageFacts(HEADERS_SECONDS)
uncacheable_pages = PageFacts(UNCACHEABLE_SECONDS)
