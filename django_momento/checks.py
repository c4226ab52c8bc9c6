"""System checks: what is wrong with ``CACHES``, as far as can be told without asking Momento.

Importing registers them, under Django's tag ``caches`` and under ``TAG``. None touches the network or imports
an SDK. docs/checks.md has every id with its cause and its fix; the checks of the process are ``grpc_checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name for it
from django.core.exceptions import ImproperlyConfigured

from .cache import MomentoCache
from .codec.imports import OptionError, import_dotted
from .conf.options import CREDENTIAL_SOURCES
from .configured_caches import make_cache, momento_aliases
from .grpc_checks import TAG

_HARMLESS_SERIALIZERS = ("json", "msgpack")
IMPORT_FIX = "Check BACKEND and KEY_FUNCTION: they are dotted paths of what can be imported."


@register(Tags.caches, TAG)
def check_location(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001: LOCATION names no Momento cache."""
    return _refused("LOCATION", "E001")


@register(Tags.caches, TAG)
def check_credentials(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E002: no source of the API key is configured, or half of one, or several, or one that is missing."""
    return [*_refused("CREDENTIALS", "E002"), *_missing_callables("E002")]


@register(Tags.caches, TAG)
def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: a setting is unknown, or its value is not allowed or cannot be used."""
    return _refused("settings", "E003")


@register(Tags.caches, TAG)
def check_pasted_key(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E004: an API key stands in the settings itself. The message does not show it."""
    return _refused("API key", "E004")


@register(Tags.caches, TAG)
def check_timeout(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W001: values will not live as long as TIMEOUT says."""
    return [
        _warning(
            "W001",
            f"{where}['TIMEOUT'] is {cache.default_timeout}, but MAX_TTL cuts every timeout to "
            f"{_max_ttl(cache)} seconds.",
            f"Set TIMEOUT to {_max_ttl(cache)} or less, or raise MAX_TTL in OPTIONS if the cache has "
            "provisioned storage: on demand Momento keeps nothing longer than 24 hours.",
        )
        for where, cache in _usable_caches()
        if cache.default_timeout is None or cache.default_timeout > cache.options.max_ttl
    ]


@register(Tags.caches, TAG)
def check_session_age(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W002: sessions that live in the cache alone end before their cookies do."""
    return [
        _warning(
            "W002",
            f"Sessions are kept in {where}, whose MAX_TTL ends them after {_max_ttl(cache)} seconds, "
            f"but SESSION_COOKIE_AGE is {settings.SESSION_COOKIE_AGE}.",
            f"Set SESSION_COOKIE_AGE to {_max_ttl(cache)} or less, or SESSION_ENGINE to "
            "'django.contrib.sessions.backends.cached_db', which keeps them in the database too.",
        )
        for where, cache in _usable_caches()
        if where == _where_sessions_are() and cache.options.max_ttl < settings.SESSION_COOKIE_AGE
    ]


@register(Tags.caches, TAG)
def check_pickle(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W003: whatever anybody wrote would be unpickled; what a dotted path names may be no better."""
    return [
        _warning(
            "W003",
            f"{where} has SERIALIZER {cache.options.serializer!r}, and values are neither signed nor "
            f"encrypted: whoever can write to the Momento cache {cache.options.cache_name!r} may run code in "
            "this site.",
            "Leave SIGN out of OPTIONS, or set SERIALIZER to 'json' or 'msgpack', or ENCRYPTION_KEY.",
        )
        for where, cache in _usable_caches()
        if cache.options.serializer not in _HARMLESS_SERIALIZERS
        and not cache.options.sign
        and cache.options.encryption_key is None
    ]


@register(Tags.caches, TAG)
def check_fail_open_sessions(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W004: a cache that is away looks to Django's sessions like one that is full of them."""
    return [
        _warning(
            "W004",
            f"Sessions are kept in {where}, which has IGNORE_EXCEPTIONS: while Momento cannot be reached, "
            "Django takes the False of add() for a session key that is taken, and tries 10,000 others.",
            "Keep sessions in an alias without it, named in SESSION_CACHE_ALIAS, or set SESSION_ENGINE to "
            "'django.contrib.sessions.backends.cached_db'.",
        )
        for where, cache in _usable_caches()
        if where == _where_sessions_are() and cache.options.ignore_exceptions
    ]


@register(Tags.caches, TAG)
def check_shared_keys(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W005: two aliases are one and the same, as far as Momento can tell."""
    aliases: dict[tuple[object, ...], str] = {}
    return [
        _warning(
            "W005",
            f"{first} and {where} keep the same keys in the Momento cache {cache.options.cache_name!r}: "
            "what one stores under a key, the other reads or replaces.",
            "Give each its own KEY_PREFIX; or its own Momento cache in LOCATION, which clear() of the other "
            "leaves alone. If it is meant, add 'django_momento.W005' to SILENCED_SYSTEM_CHECKS.",
        )
        for where, cache in _usable_caches()
        if (first := aliases.setdefault(_keyspace(cache), where)) != where
    ]


def _keyspace(cache: MomentoCache) -> tuple[object, ...]:
    """Answer what is equal for two caches whose equal keys are one."""
    connection = cache.options.connection
    account = (connection.credentials, connection.secret_id, connection.region, connection.endpoint)
    source = (connection.api_key_variable, connection.api_key_file)
    return account, source, cache.options.cache_name, cache.key_prefix, cache.version, cache.key_func


@register(Tags.caches, TAG, deploy=True)
def check_plaintext(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W008, with --deploy: an API key would travel unencrypted."""
    return [
        _warning(
            "W008",
            f"{where}['OPTIONS']['ENDPOINT'] is {str(endpoint)!r}: with a port it is a server on this "
            "machine, and the API key and all values go there unencrypted.",
            "Give the endpoint of your region as Momento's console shows it, without a port.",
        )
        for where, cache in _usable_caches()
        if (endpoint := cache.options.connection.endpoint) is not None
        and endpoint.is_plaintext
        and cache.options.connection.credentials != "local"
    ]


# What becomes of a site that goes on with what is meant for development.
_LOCAL = {
    "local": "is kept by momento_local on this machine, which forgets everything when it stops.",
    "embedded": "is kept inside each process: no other sees what it stores, and it ends with the process.",
}


@register(Tags.caches, TAG, deploy=True)
def check_development_server(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W009, with --deploy: the cache is the one for development."""
    return [
        _warning(
            "W009",
            f"{where} has CREDENTIALS {source!r}, so it {_LOCAL[source]}",
            "Give SECRET_ID in OPTIONS, the name of the secret with the API key, instead of CREDENTIALS.",
        )
        for where, cache in _usable_caches()
        if (source := cache.options.connection.credentials) in _LOCAL
    ]


def _warning(number: str, message: str, hint: str) -> CheckMessage:
    return Warning(message, hint=hint, id=f"django_momento.{number}")


def _max_ttl(cache: MomentoCache) -> str:
    return f"{cache.options.max_ttl:.12g}"


def _refused(category: str, number: str) -> list[CheckMessage]:
    """Answer an error for each alias whose settings are refused for one kind of reason."""
    return [
        Error(_cause(alias, error), hint=_fix(error), id=f"django_momento.{number}")
        for alias, made in _made_caches()
        if isinstance(made, Exception)
        for error in getattr(made, "problems", (made,))
        if getattr(error, "category", "settings") == category
    ]


def _missing_callables(number: str) -> Iterator[CheckMessage]:
    for where, cache in _usable_caches():
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


def _usable_caches() -> Iterator[tuple[str, MomentoCache]]:
    """Answer each alias whose settings are right, with where it stands; the others are for _refused()."""
    for alias, made in _made_caches():
        if isinstance(made, MomentoCache):
            yield f"CACHES[{alias!r}]", made


def _made_caches() -> Iterator[tuple[str, MomentoCache | Exception]]:
    for alias in momento_aliases():
        try:
            yield alias, make_cache(alias)
        except (ImproperlyConfigured, ImportError) as error:
            yield alias, error


def _where_sessions_are() -> str | None:
    """Answer the place of the cache that sessions live in, or None if they live elsewhere as well."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return None
    return f"CACHES[{settings.SESSION_CACHE_ALIAS!r}]" if issubclass(store, CacheSessionStore) else None
