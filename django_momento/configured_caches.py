"""Which aliases of ``CACHES`` are Momento's, and the cache of each: for what looks at all of them."""

from __future__ import annotations

from django.core.cache import caches
from django.utils.module_loading import import_string

from .cache import MomentoCache


def momento_aliases() -> list[str]:
    """Answer every alias of CACHES whose backend is this one, or a subclass of it."""
    return [alias for alias in caches.settings if is_momento(alias)]


def is_momento(alias: str) -> bool:
    """Answer whether the backend of an alias is this one; one that cannot be imported is not."""
    try:
        backend = import_string(caches.settings[alias].get("BACKEND", ""))
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, MomentoCache)


def make_cache(alias: str) -> MomentoCache:
    """Make a cache of one's own for a Momento alias; it does no I/O yet.

    Raises ConfigurationError for what this backend refuses, and what Django raises for what it does.
    """
    cache: MomentoCache = caches.create_connection(alias)  # type: ignore[assignment]  # see is_momento()
    cache.check_settings(alias)
    return cache
