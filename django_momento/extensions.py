"""The verbs that a cache of Momento has beyond Django's. Each is a feature of its own in ``policies``."""

from __future__ import annotations

from .execution import OperationCache


class ExtendedCache(OperationCache):
    """A cache with the verbs beyond Django's, which import their feature when they are first called."""
