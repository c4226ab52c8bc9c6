"""Let dj-cache-panel do with a Momento cache all that Momento can do, without a setting.

The panel offers to look up and to delete keys of a backend that it does not list. The one for Memcached
offers to add and to edit keys and to flush the cache too, and needs nothing but Django's cache API. Neither
lists keys, which Momento cannot do.
"""

from __future__ import annotations

from django.conf import settings

from ..checks.aliases import is_momento_backend

PANEL = "MemcachedCachePanel"
BACKEND = "django_momento.cache.MomentoCache"


def register() -> None:
    """Name the panel for MomentoCache and the subclasses in CACHES, unless the site's settings name one.

    Does nothing if this version of dj-cache-panel has no such list.
    """
    try:
        from dj_cache_panel.cache_panel import BACKEND_PANEL_MAP
    except ImportError:
        return
    # Not by caches.settings, which would be kept: another app may change CACHES when it is ready.
    for backend in {BACKEND} | {config.get("BACKEND", "") for config in settings.CACHES.values()}:
        if is_momento_backend(backend):
            BACKEND_PANEL_MAP.setdefault(backend, PANEL)
