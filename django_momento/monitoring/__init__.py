"""Counts of a cache for metrics and status pages: ``stats(alias)``."""

from .statistics import Stats, stats

__all__ = ["Stats", "stats"]
