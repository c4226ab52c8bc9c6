"""The meter of a cache, public: ``stats(alias)``, and observers of each finished call.

``stats`` counts from the moment it is imported. A process measures its calls only if it imports ``stats`` or
has observers of its own. The observers are modules of this package. Each is imported when a site names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..events import CallEvent

if TYPE_CHECKING:
    from .statistics import Stats, stats

__all__ = ["CallEvent", "Stats", "stats"]


def __getattr__(name: str) -> Any:
    """Import ``stats``, and with it the meter, when one of its names is first read."""
    if name in ("Stats", "stats"):
        from . import statistics

        return getattr(statistics, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
