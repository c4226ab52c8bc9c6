"""The meter of a cache, public: ``stats(alias)``, and observers of each finished call.

``stats`` counts from the moment it is imported. A process that does not import it measures nothing, unless it
has observers of its own. The observers are modules of this package, each imported only by sites that use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..events import CallEvent

if TYPE_CHECKING:
    from .statistics import Stats, stats

__all__ = ["CallEvent", "Stats", "stats"]


def __getattr__(name: str) -> Any:
    """Import ``stats``, and with it the meter, when it is first asked for."""
    if name in ("Stats", "stats"):
        from . import statistics

        return getattr(statistics, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
