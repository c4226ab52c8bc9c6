"""The cache backend: Django's cache contract on Momento. Keys, versions, timeouts and the failure policy.

    CACHES = {
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": "my-cache",
            "OPTIONS": {"SECRET_ID": "Momento_Auth_Token", "REGION": "us-west-2"},
        }
    }

Django makes an instance per thread and per task, so an instance is a cheap shell: it does no I/O, and what it
sends goes through the client that the whole process shares. How a verb is done stands in ``operations``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from . import operations
from .codec import Codec, signing_key
from .connections import connections
from .exceptions import MomentoCacheError, UnreadableValue
from .options import CacheOptions, parse
from .wire import Steps

T = TypeVar("T")

logger = logging.getLogger("django_momento")

_MISSING = object()


class MomentoCache(BaseCache):
    """A cache of Momento, as ``CACHES[alias]["BACKEND"]``. Timeouts are in seconds, as everywhere in Django.

    Raises ConfigurationError when it is made from settings that are wrong, and MomentoCacheError from its
    methods when Momento cannot answer, unless IGNORE_EXCEPTIONS is set.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self.options = _parsed(location, params)
        super().__init__(params)
        self._codec = _codec(self.options)

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> int:
        """Answer a timeout in seconds as a TTL in whole milliseconds; 0 means that it is already over."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None or timeout > self.options.max_ttl:
            timeout = self.options.max_ttl
        return max(1, round(timeout * 1000)) if timeout > 0 else 0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Answer the value, or ``default`` for a miss. A value that cannot be read back is a miss."""
        momento_key = self._momento_key(key, version)
        data = self._run(operations.get(momento_key), otherwise=None)
        return default if data is None else self._decoded(momento_key, data, default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value; with a timeout of 0 or below, delete it. Raises ValueTooLarge over 5 MiB."""
        momento_key = self._momento_key(key, version)
        data = self._codec.encode(momento_key, value)
        self._run(operations.set(momento_key, data, self.get_backend_timeout(timeout)), otherwise=None)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value if the key is absent, and answer whether it was."""
        momento_key = self._momento_key(key, version)
        data = self._codec.encode(momento_key, value)
        return self._run(
            operations.add(momento_key, data, self.get_backend_timeout(timeout)), otherwise=False
        )

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set a new timeout and answer whether the key exists; 0 or below deletes it."""
        momento_key = self._momento_key(key, version)
        return self._run(operations.touch(momento_key, self.get_backend_timeout(timeout)), otherwise=False)

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete a key and answer whether there was one."""
        return self._run(operations.delete(self._momento_key(key, version)), otherwise=False)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Answer whether the key exists, without fetching its value."""
        return self._run(operations.has_key(self._momento_key(key, version)), otherwise=False)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to an integer and answer the sum. The expiry of the key does not move.

        Raises ValueError if the key is missing, TypeError if the value or ``delta`` is not an integer, and
        OverflowError if the sum does not fit 64 bits.
        """
        if not isinstance(delta, int):
            raise TypeError(f"delta must be an integer, not {delta!r}")
        momento_key = self._momento_key(key, version)
        total = self._run(operations.incr(momento_key, delta), otherwise=None)
        if total is None:
            raise ValueError(f"Key {key!r} not found")
        return total

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        """Answer the value; on a miss store ``default``, called if it is callable, and answer that."""
        value = self.get(key, _MISSING, version=version)
        if value is not _MISSING:
            return value
        if callable(default):
            default = default()
        if self.add(key, default, timeout=timeout, version=version):
            return default
        # Another caller was faster: its value stands.
        return self.get(key, default, version=version)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Answer a dict of what was found; one call to Momento for up to 1,000 keys."""
        named = {self._momento_key(key, version): key for key in keys}
        found = self._run(operations.get_many(list(named)), otherwise={}) if named else {}
        values = {key: self._decoded(key, data, _MISSING) for key, data in found.items()}
        return {named[key]: value for key, value in values.items() if value is not _MISSING}

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store many values and answer the keys that could not be stored, which the log explains.

        A value that is too large does not keep the others from being stored. Raises if nothing was stored.
        """
        named = {self._momento_key(key, version): key for key in data}
        items = {key: self._codec.encode(key, data[name]) for key, name in named.items()}
        if not items:
            return []
        ttl = self.get_backend_timeout(timeout)
        failed = self._run(operations.set_many(items, ttl), otherwise=None)
        if failed is None:
            return list(data)
        for error in {id(error): error for error in failed.values()}.values():
            logger.warning("Cache %r: set_many() could not store everything: %s", self.options.alias, error)
        return [named[key] for key in failed]

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Delete keys, with several calls in flight at a time."""
        momento_keys = [self._momento_key(key, version) for key in keys]
        if momento_keys:
            self._run(operations.delete_many(momento_keys), otherwise=None)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move a value to another version with the time it has left, and answer the version.

        Raises ValueError if the key is missing.
        """
        old_version = self.version if version is None else version
        new_version = int(old_version) + delta
        old_key = self._momento_key(key, old_version)
        new_key = self._momento_key(key, new_version)

        def recode(data: bytes) -> bytes | None:
            value = self._decoded(old_key, data, _MISSING)
            return None if value is _MISSING else self._codec.encode(new_key, value)

        if not self._run(operations.incr_version(old_key, new_key, recode), otherwise=False):
            raise ValueError(f"Key {key!r} not found")
        return new_version

    def clear(self) -> None:
        """Empty the Momento cache named by LOCATION: what other prefixes and sites keep there goes too."""
        self._run(operations.clear(), otherwise=None)

    def _momento_key(self, key: Any, version: int | None) -> bytes:
        return self.make_and_validate_key(key, version=version).encode()

    def _decoded(self, key: bytes, data: bytes, default: Any) -> Any:
        try:
            return self._codec.decode(key, data)
        except UnreadableValue as error:
            # The key, never the value: that may be anything, and anybody's.
            logger.warning(
                "Cache %r: the value of key %r reads as a miss, because %s.",
                self.options.alias,
                key.decode(),
                error,
            )
            return default

    def _run(self, steps: Steps[T], otherwise: T) -> T:
        """Send an operation. The one place that decides whether a failure is loud or reads as a miss."""
        try:
            return connections.client(self.options.connection).run(self.options.cache_name, steps)
        except MomentoCacheError as error:
            if not self.options.ignore_exceptions:
                raise
            if self.options.log_ignored_exceptions:
                logger.warning("Cache %r: ignored %s: %s", self.options.alias, type(error).__name__, error)
            return otherwise


# Django makes an instance for every thread and task: what CACHES says is parsed once per alias and kept.
_kept: dict[str, tuple[str, dict[str, Any], CacheOptions]] = {}


def _parsed(location: str, params: Mapping[str, Any]) -> CacheOptions:
    for kept_location, kept_params, options in list(_kept.values()):
        if kept_location == location and kept_params == params:
            return options
    alias = _alias(location, params)
    options = parse(alias, location, params)
    _kept[alias] = (location, {**params, "OPTIONS": dict(params.get("OPTIONS", {}))}, options)
    return options


def _alias(location: str, params: Mapping[str, Any]) -> str:
    # Django does not tell a backend its alias, which every message about its settings needs.
    for alias, configured in caches.settings.items():
        rest = dict(configured)
        rest.pop("BACKEND", None)
        if rest.pop("LOCATION", "") == location and rest == params:
            return str(alias)
    return "(not in CACHES)"


def _codec(options: CacheOptions) -> Codec:
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS) if options.sign else ()
    return Codec(options.serializer, [signing_key(secret) for secret in secrets])
