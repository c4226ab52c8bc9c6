"""Check the sessions of a site that keeps them in a Momento cache alone."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.checks import CheckMessage, Error, Tags, register

from .aliases import TAG, usable_caches, warning

_FAIL_OPEN = "add() returns False, Django takes every session key for used, and tries 10,000 others."
_FAIL_OPEN_OWN = "every visitor is anonymous, and logins are lost without an error."


@register(Tags.caches, TAG)
def check_session_age(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W002: sessions end before their cookies do."""
    if _is_own_engine():
        return []  # E006 says it.
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
def check_own_engine(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E006: sessions of ``django_momento.sessions`` end before their cookies do."""
    if not _is_own_engine():
        return []
    return [
        Error(
            f"SESSION_COOKIE_AGE is {settings.SESSION_COOKIE_AGE}, but MAX_TTL ends every session in {where} "
            f"after {cache.options.max_ttl:.12g} seconds, and SESSION_ENGINE keeps them nowhere else.",
            hint=f"Set SESSION_COOKIE_AGE to {cache.options.max_ttl:.12g} or less, or SESSION_ENGINE to "
            "'django.contrib.sessions.backends.cached_db'. With provisioned storage, raise MAX_TTL.",
            id="django_momento.E006",
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
            f"{_FAIL_OPEN_OWN if _is_own_engine() else _FAIL_OPEN}",
            "Keep sessions in an alias without IGNORE_EXCEPTIONS and name it in SESSION_CACHE_ALIAS, or set "
            "SESSION_ENGINE to 'django.contrib.sessions.backends.cached_db'.",
        )
        for where, cache in usable_caches()
        if where == _session_cache() and cache.options.ignore_exceptions
    ]


def _is_own_engine() -> bool:
    """Return whether sessions are kept by ``django_momento.sessions``, or by an engine made of it."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return False
    own = sys.modules.get("django_momento.sessions")  # An engine made of it has imported it.
    return own is not None and issubclass(store, own.SessionStore)


def _session_cache() -> str | None:
    """Return the place of the cache that holds sessions, or None if they are kept elsewhere as well."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return None
    return f"CACHES[{settings.SESSION_CACHE_ALIAS!r}]" if issubclass(store, CacheSessionStore) else None
