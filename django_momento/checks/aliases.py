"""Find the aliases of ``CACHES`` that use Momento, and make the cache of each for an examination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name for it
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..cache import MomentoCache
from ..conf.parsing import is_cache_url, misplaced_alias

# `manage.py check --tag momento` runs the checks of this package alone.
TAG = "momento"
IMPORT_FIX = "Check BACKEND and KEY_FUNCTION: each must be the dotted path of something that can be imported."


def momento_aliases() -> list[str]:
    """Return every alias of CACHES whose backend is MomentoCache or a subclass."""
    return [alias for alias in caches.settings if is_momento(alias)]


def is_momento(alias: str) -> bool:
    """Return whether an alias uses Momento. Return False if its backend cannot be imported."""
    config: Any = caches.settings[alias]
    if not isinstance(config, Mapping):
        return is_cache_url(config)
    return is_momento_backend(config.get("BACKEND", ""))


def is_momento_backend(path: str) -> bool:
    """Return whether a path names MomentoCache or a subclass. Return False if it cannot be imported."""
    try:
        backend = import_string(path)
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, MomentoCache)


def is_backend_of(package: str, configured: object) -> bool:
    """Return whether the settings of an alias name a class of a package or module, or a subclass.

    Does not import the package, so that it may be missing.
    """
    try:
        backend = import_string(configured.get("BACKEND", "")) if isinstance(configured, Mapping) else None
    except ImportError:
        return False
    modules = [base.__module__ for base in getattr(backend, "__mro__", ())]
    return any(module == package or module.startswith(f"{package}.") for module in modules)


def make_cache(alias: str) -> MomentoCache:
    """Return a new cache for a Momento alias. It does no I/O before its first call.

    Raises ConfigurationError if this backend refuses a setting, and Django's own errors if Django does.
    """
    config: Any = caches.settings[alias]
    if not isinstance(config, Mapping):
        raise misplaced_alias(f"CACHES[{alias!r}]", alias, config)
    cache: MomentoCache = caches.create_connection(alias)  # type: ignore[assignment]  # see is_momento()
    cache.check_settings(alias)
    return cache


def usable_caches() -> Iterator[tuple[str, MomentoCache]]:
    """Return each usable cache with its place in the settings, such as ``CACHES['default']``."""
    for alias, cache in caches_or_errors():
        if isinstance(cache, MomentoCache):
            yield f"CACHES[{alias!r}]", cache


def caches_or_errors() -> Iterator[tuple[str, MomentoCache | Exception]]:
    """Return the cache of each Momento alias, or the error if its settings are refused."""
    for alias in momento_aliases():
        try:
            yield alias, make_cache(alias)
        except (ImproperlyConfigured, ImportError) as error:
            yield alias, error


def warning(number: str, message: str, hint: str) -> CheckMessage:
    """Return a warning of this package, such as ``W001``."""
    return Warning(message, hint=hint, id=f"django_momento.{number}")
