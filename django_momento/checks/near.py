"""Check the use of aliases with a near cache: not for values on which processes must agree at once."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDbSessionStore
from django.core.checks import CheckMessage, Tags, register

from .aliases import TAG, usable_caches, warning


@register(Tags.caches, TAG)
def check_near_cache(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W015: sessions or rate limits are read from the memory of one process, which others do not see."""
    return [
        warning(
            "W015",
            f"{where} has NEAR_SECONDS, so a process may read a value that another one has changed up to "
            f"{cache.options.near_seconds:.12g} seconds ago, and {use} are kept there.",
            f"Give {use} an alias without NEAR_SECONDS: {fix}.",
        )
        for where, cache in usable_caches()
        if cache.options.near_seconds
        for alias, use, fix in _uses()
        if where == f"CACHES[{alias!r}]"
    ]


def _uses() -> Iterator[tuple[str, str, str]]:
    """Return each use that the settings show: its alias, its name, and how to choose another alias."""
    if _has_cached_sessions():
        yield settings.SESSION_CACHE_ALIAS, "sessions", "name it in SESSION_CACHE_ALIAS"
    rest_framework = getattr(settings, "REST_FRAMEWORK", None) or {}
    if isinstance(rest_framework, dict) and rest_framework.get("DEFAULT_THROTTLE_CLASSES"):
        yield "default", "the throttles of Django REST framework", "set it as `cache` of the throttle classes"
    if _is_installed("django_ratelimit") or hasattr(settings, "RATELIMIT_USE_CACHE"):
        alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
        yield alias, "the counters of django-ratelimit", "name it in RATELIMIT_USE_CACHE"
    if "cache" in str(getattr(settings, "AXES_HANDLER", "")):
        alias = getattr(settings, "AXES_CACHE", "default")
        yield alias, "the failed logins of django-axes", "name it in AXES_CACHE"
    if _is_installed("allauth") or hasattr(settings, "ACCOUNT_RATE_LIMITS"):
        yield "default", "the rate limits of django-allauth", "keep `default` free of NEAR_SECONDS"


def _has_cached_sessions() -> bool:
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return False
    return issubclass(store, (CacheSessionStore, CachedDbSessionStore))


def _is_installed(app: str) -> bool:
    return any(name == app or name.startswith(f"{app}.") for name in settings.INSTALLED_APPS)
