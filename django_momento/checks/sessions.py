"""Check the sessions of a site that keeps them in a Momento cache alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.checks import CheckMessage, Tags, register

from .aliases import TAG, usable_caches, warning


@register(Tags.caches, TAG)
def check_session_age(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W002: sessions end before their cookies do."""
    return [
        warning(
            "W002",
            f"Sessions are kept in {where}, whose MAX_TTL ends them after {cache.options.max_ttl:.12g} "
            f"seconds, but SESSION_COOKIE_AGE is {settings.SESSION_COOKIE_AGE}.",
            f"Set SESSION_COOKIE_AGE to {cache.options.max_ttl:.12g} or less, or SESSION_ENGINE to "
            "'django.contrib.sessions.backends.cached_db', which keeps sessions in the database too.",
        )
        for where, cache in usable_caches()
        if where == _session_cache() and cache.options.max_ttl < settings.SESSION_COOKIE_AGE
    ]


@register(Tags.caches, TAG)
def check_fail_open_sessions(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W004: sessions are kept in a cache that fails open."""
    return [
        warning(
            "W004",
            f"Sessions are kept in {where}, which has IGNORE_EXCEPTIONS: while Momento cannot be reached, "
            "add() returns False, Django takes every session key for used, and tries 10,000 others.",
            "Keep sessions in an alias without IGNORE_EXCEPTIONS and name it in SESSION_CACHE_ALIAS, or set "
            "SESSION_ENGINE to 'django.contrib.sessions.backends.cached_db'.",
        )
        for where, cache in usable_caches()
        if where == _session_cache() and cache.options.ignore_exceptions
    ]


def _session_cache() -> str | None:
    """Return the place of the cache that holds sessions, or None if they are kept elsewhere as well."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return None
    return f"CACHES[{settings.SESSION_CACHE_ALIAS!r}]" if issubclass(store, CacheSessionStore) else None
