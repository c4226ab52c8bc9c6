"""Check the settings of every Momento alias: those that are refused, and those with a surprising effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Info, Tags, register

from ..cache import MomentoCache
from ..codec.imports import OptionError, import_dotted
from ..conf.options import CREDENTIAL_SOURCES
from .aliases import IMPORT_FIX, TAG, caches_or_errors, usable_caches, warning

# Reading a forged value with one of these serializers runs no code.
_HARMLESS_SERIALIZERS = ("json", "msgpack")

_DJANGO_REDIS = "DJANGO_REDIS_"
# The successor of each setting of django-redis; any other has none.
_DJANGO_REDIS_SUCCESSORS = {
    "DJANGO_REDIS_IGNORE_EXCEPTIONS": "Set IGNORE_EXCEPTIONS in OPTIONS of each alias instead.",
    "DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS": "Set LOG_IGNORED_EXCEPTIONS in OPTIONS of each alias instead.",
    "DJANGO_REDIS_LOGGER": "Configure the logger 'django_momento' in LOGGING instead.",
}
_NO_SUCCESSOR = "Remove the setting: Momento needs nothing like it."


@register(Tags.caches, TAG)
def check_location(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001: LOCATION names no Momento cache."""
    return _settings_errors("LOCATION", "E001")


@register(Tags.caches, TAG)
def check_credentials(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E002: the source of the API key is missing, incomplete, ambiguous, or cannot be imported."""
    return [*_settings_errors("CREDENTIALS", "E002"), *_import_errors("E002")]


@register(Tags.caches, TAG)
def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: a setting is unknown, or its value is not allowed or cannot be used."""
    return _settings_errors("settings", "E003")


@register(Tags.caches, TAG)
def check_api_key(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E004: the settings themselves hold an API key. The message does not show it."""
    return _settings_errors("API key", "E004")


@register(Tags.caches, TAG)
def check_timeout(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W001: values end before TIMEOUT says so."""
    return [
        warning(
            "W001",
            f"{where}['TIMEOUT'] is {cache.default_timeout}, but MAX_TTL cuts every timeout to "
            f"{cache.options.max_ttl:.12g} seconds.",
            f"Set TIMEOUT to {cache.options.max_ttl:.12g} or less. If the cache has provisioned storage, "
            "raise MAX_TTL in OPTIONS instead: on demand Momento keeps values for at most 24 hours.",
        )
        for where, cache in usable_caches()
        if cache.default_timeout is None or cache.default_timeout > cache.options.max_ttl
    ]


@register(Tags.caches, TAG)
def check_pickle(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W003: values are pickled without a signature, so that a forged value can run code."""
    return [
        warning(
            "W003",
            f"{where} has SERIALIZER {cache.options.serializer!r}, and values are neither signed nor "
            f"encrypted: anyone who can write to the Momento cache {cache.options.cache_name!r} may run code "
            "in this site.",
            "Leave SIGN out of OPTIONS, or set SERIALIZER to 'json' or 'msgpack', or set ENCRYPTION_KEY.",
        )
        for where, cache in usable_caches()
        if cache.options.serializer not in _HARMLESS_SERIALIZERS
        and not cache.options.sign
        and cache.options.encryption_key is None
    ]


@register(Tags.caches, TAG)
def check_shared_keys(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W005: two aliases store their values under the same keys."""
    aliases: dict[tuple[object, ...], str] = {}
    return [
        warning(
            "W005",
            f"{first} and {where} use the same keys in the Momento cache {cache.options.cache_name!r}: each "
            "reads and replaces the values of the other.",
            "Give each alias its own KEY_PREFIX, or its own Momento cache in LOCATION, because clear() of "
            "one alias forgets the keys of both. If you want this, add 'django_momento.W005' to "
            "SILENCED_SYSTEM_CHECKS.",
        )
        for where, cache in usable_caches()
        if (first := aliases.setdefault(_keyspace(cache), where)) != where
    ]


@register(Tags.caches, TAG, deploy=True)
def check_clear(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """I002, with --deploy: clear() of one alias forgets the keys of another one too."""
    places: dict[tuple[object, ...], list[str]] = {}
    found = [(where, cache, _keyspace(cache)[:3]) for where, cache in usable_caches()]
    for where, _, place in found:
        places.setdefault(place, []).append(where)
    return [
        Info(
            f"clear() of {where} empties the whole Momento cache {cache.options.cache_name!r}, and with it "
            f"{', '.join(each for each in places[place] if each != where)}.",
            hint="Set CLEAR to 'prefix' in OPTIONS, so that clear() forgets the keys of this alias alone. If "
            "you never call clear(), or want this, add 'django_momento.I002' to SILENCED_SYSTEM_CHECKS.",
            id="django_momento.I002",
        )
        for where, cache, place in found
        if cache.options.clear == "cache" and len(places[place]) > 1
    ]


@register(Tags.caches, TAG)
def check_django_redis(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W012: a setting of django-redis has no effect any more."""
    # dir() returns Django's defaults too, but no default has this prefix.
    names = sorted(name for name in dir(settings) if name.startswith(_DJANGO_REDIS))
    if not names or _uses_django_redis() or not list(usable_caches()):
        return []
    return [
        warning(
            "W012",
            f"{name} has no effect: no alias of CACHES uses django-redis, and this backend does not read it.",
            _DJANGO_REDIS_SUCCESSORS.get(name, _NO_SUCCESSOR),
        )
        for name in names
    ]


def _settings_errors(category: str, number: str) -> list[CheckMessage]:
    """Return an error for each alias whose settings are refused with an error of this category."""
    return [
        Error(_cause(alias, error), hint=_fix(error), id=f"django_momento.{number}")
        for alias, refusal in caches_or_errors()
        if isinstance(refusal, Exception)
        for error in getattr(refusal, "problems", (refusal,))
        if getattr(error, "category", "settings") == category
    ]


def _import_errors(number: str) -> Iterator[CheckMessage]:
    """Return an error for each alias whose CREDENTIALS name a callable that cannot be imported."""
    for where, cache in usable_caches():
        source = cache.options.connection.credentials
        if source not in CREDENTIAL_SOURCES:
            try:
                import_dotted(source, "CREDENTIALS")
            except OptionError as error:
                message = f"{where}['OPTIONS']['CREDENTIALS'] {error.cause}"
                yield Error(message, hint=error.fix, id=f"django_momento.{number}")


def _cause(alias: str, error: Exception) -> str:
    return getattr(error, "cause", f"CACHES[{alias!r}]: {str(error).rstrip('.')}.")


def _fix(error: Exception) -> str:
    return getattr(error, "fix", IMPORT_FIX if isinstance(error, ImportError) else "")


def _keyspace(cache: MomentoCache) -> tuple[object, ...]:
    """Return a value that is equal for two caches if they store equal keys in the same place."""
    connection = cache.options.connection
    account = (connection.credentials, connection.secret_id, connection.region, connection.endpoint)
    source = (connection.api_key_variable, connection.api_key_file)
    # Both are part of the text of a key, and may be of any type.
    keys = (str(cache.key_prefix), str(cache.version), cache.key_func, cache.options.clear)
    return account, source, cache.options.cache_name, *keys


def _uses_django_redis() -> bool:
    return any(
        "django_redis" in str(config.get("BACKEND", ""))
        for config in caches.settings.values()
        if isinstance(config, dict)
    )
