"""Help for the tests of sites: a bound on the operations of a block, and fixtures for pytest in ``plugin``.

pytest_plugins = ["django_momento.testing.plugin"]  # in conftest.py
"""

from __future__ import annotations

from types import TracebackType

from ..events import CallEvent, observers

__all__ = ["assert_max_cache_operations"]

# Calls that a failure lists.
MAX_LISTED = 50


class assert_max_cache_operations:  # noqa: N801 - used as a function, as Django's assertNumQueries
    """Assert that the cache calls inside a ``with`` block take at most so many operations of Momento.

    ``using`` is the alias to look at. Without it, all Momento aliases of this process are counted. The calls
    of other threads count too. The block's variable has ``calls``, a list of events, and ``operations``. The
    failure lists the calls.
    """

    def __init__(self, maximum: int, *, using: str | None = None) -> None:
        self.maximum = maximum
        self.using = using
        self.calls: list[CallEvent] = []

    @property
    def operations(self) -> int:
        """The number of operations so far."""
        return sum(event.operations for event in self.calls)

    def __enter__(self) -> assert_max_cache_operations:
        self.calls.clear()
        observers.append(self._observe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        observers.remove(self._observe)
        if kind is None and self.operations > self.maximum:
            raise AssertionError(self._failure())

    def _observe(self, event: CallEvent) -> None:
        if self.using in (None, event.alias):
            self.calls.append(event)

    def _failure(self) -> str:
        operations, count = self.operations, len(self.calls)
        lines = [f"{operations} cache operations, at most {self.maximum} expected. The {count} calls:"]
        for number, event in enumerate(self.calls[:MAX_LISTED], 1):
            group = f" of {event.key_group!r}" if event.key_group else ""
            lines.append(f"{number}. {event.verb}{group}, {event.keys} keys: {event.operations} operations")
        if count > MAX_LISTED:
            lines.append(f"... and {count - MAX_LISTED} more.")
        return "\n".join(lines)
