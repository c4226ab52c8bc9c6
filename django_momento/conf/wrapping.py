"""The aliases that an alias of ``CACHES`` is over, as ``CACHE`` of a recorder and ``OLD`` of a migration."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.cache import caches

_OPTIONS = ("CACHE", "OLD", "NEW")


def leads_back(alias: object) -> bool:
    """Return whether a call to an alias would return to a cache that it has passed, and so never end."""
    return _leads_back(alias, ())


def _leads_back(alias: object, passed: tuple[str, ...]) -> bool:
    if alias in passed:
        return True
    if not isinstance(alias, str) or alias not in caches.settings:
        return False
    configured = caches.settings[alias]
    options = configured.get("OPTIONS") if isinstance(configured, Mapping) else None
    if not isinstance(options, Mapping):
        return False
    return any(_leads_back(options.get(name), (*passed, alias)) for name in _OPTIONS)
