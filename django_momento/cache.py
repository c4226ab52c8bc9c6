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
from functools import partial
from inspect import isawaitable
from typing import Any, ClassVar, TypeVar

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    BaseCache,
    default_key_func,
)
from django.utils.functional import cached_property

from .client import operations
from .client.calls import Operation
from .client.client import Client
from .client.registry import clients
from .codec.codec import ValueCodec
from .conf.loading import Settings, load_codec, load_options
from .conf.options import CacheOptions
from .events import events
from .exceptions import MomentoCacheError, UnreadableValue
from .redaction import SecretStr

T = TypeVar("T")

logger = logging.getLogger("django_momento")

_MISSING = object()


class MomentoCache(BaseCache):
    """A cache of Momento, as ``CACHES[alias]["BACKEND"]``. Timeouts are in seconds, as everywhere in Django.

    Its methods raise ConfigurationError if its settings are wrong, and MomentoCacheError when Momento cannot
    answer, unless IGNORE_EXCEPTIONS is set. The async methods are native: they work on any number of event
    loops over one connection of the process.

    A subclass may add options of its own: ``extra_options`` holds their names and defaults, and
    ``self.options.extra`` the values.
    """

    extra_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        # Wrong settings are refused with the first use, and not here: Django's own system checks make every
        # cache, and one that cannot be made would end `manage.py check` before ours could explain it.
        self._settings = Settings(location, params)
        # What the base class reads in OPTIONS, MAX_ENTRIES and its like, is not among this backend's.
        super().__init__({**params, "OPTIONS": {}})
        self._makes_plain_keys = (
            self.key_func is default_key_func
            and type(self).make_key is BaseCache.make_key
            and type(self).validate_key is BaseCache.validate_key
        )

    def check_settings(self, alias: str | None = None) -> None:
        """Raise ConfigurationError, which names ``alias`` if given, if the settings are wrong; do no I/O."""
        if alias is not None:
            self.options = load_options(type(self), self._settings, alias)
        self._codec  # noqa: B018 - made of all the others

    @cached_property
    def options(self) -> CacheOptions:
        """The settings, parsed. Raises ConfigurationError."""
        return load_options(type(self), self._settings)

    @cached_property
    def _client(self) -> Client:
        return clients.get(self.options.connection)

    @cached_property
    def _codec(self) -> ValueCodec:
        return load_codec(self.options, partial(_encryption_keys, self._client))

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> int:
        """Answer a timeout in seconds as a TTL in whole milliseconds; 0 means that it is already over."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None or timeout > self.options.max_ttl:
            timeout = self.options.max_ttl
        return max(1, round(timeout * 1000)) if timeout > 0 else 0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Answer the value, or ``default`` for a miss. A value that cannot be read back is a miss."""
        return self._run(operations.get(self._momento_key(key, version), self._decoded, default), default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """See get()."""
        return await self._arun(
            operations.get(self._momento_key(key, version), self._decoded, default), default
        )

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value; with a timeout of 0 or below, delete it. Raises ValueTooLarge over 5 MiB."""
        self._run(self._set(key, value, timeout, version), None)

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """See set()."""
        await self._arun(self._set(key, value, timeout, version), None)

    def _set(self, key: Any, value: Any, timeout: Any, version: int | None) -> Operation[None]:
        yield from operations.set(*self._item(key, value, timeout, version))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value if the key is absent, and answer whether it was."""
        return self._run(self._add(key, value, timeout, version), False)

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """See add()."""
        return await self._arun(self._add(key, value, timeout, version), False)

    def _add(self, key: Any, value: Any, timeout: Any, version: int | None) -> Operation[bool]:
        return (yield from operations.add(*self._item(key, value, timeout, version)))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set a new timeout and answer whether the key exists; 0 or below deletes it."""
        ttl = self.get_backend_timeout(timeout)
        return self._run(operations.touch(self._momento_key(key, version), ttl), False)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See touch()."""
        ttl = self.get_backend_timeout(timeout)
        return await self._arun(operations.touch(self._momento_key(key, version), ttl), False)

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete a key and answer whether there was one."""
        return self._run(operations.delete(self._momento_key(key, version)), False)

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """See delete()."""
        return await self._arun(operations.delete(self._momento_key(key, version)), False)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Answer whether the key exists, without fetching its value."""
        return self._run(operations.has_key(self._momento_key(key, version)), False)

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        """See has_key()."""
        return await self._arun(operations.has_key(self._momento_key(key, version)), False)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to an integer and answer the sum. The expiry of the key does not move.

        Raises ValueError if the key is missing, TypeError if the value or ``delta`` is not an integer, and
        OverflowError if the sum does not fit 64 bits.
        """
        return _found(key, self._run(operations.incr(self._momento_key(key, version), delta), None))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """See incr()."""
        return _found(key, await self._arun(operations.incr(self._momento_key(key, version), delta), None))

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """See decr()."""
        return await self.aincr(key, -delta, version=version)

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

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        """See get_or_set(). What ``default`` answers when called is awaited if it is awaitable."""
        value = await self.aget(key, _MISSING, version=version)
        if value is not _MISSING:
            return value
        if callable(default):
            default = default()
            if isawaitable(default):
                default = await default
        if await self.aadd(key, default, timeout=timeout, version=version):
            return default
        return await self.aget(key, default, version=version)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Answer a dict of what was found; one call to Momento for up to 1,000 keys."""
        named = self._named(keys, version)
        return self._run(self._get_many(named), {}) if named else {}

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """See get_many()."""
        named = self._named(keys, version)
        return await self._arun(self._get_many(named), {}) if named else {}

    def _get_many(self, named: dict[bytes, Any]) -> Operation[dict[Any, Any]]:
        found = yield from operations.get_many(list(named))
        values = {key: self._decoded(key, data, _MISSING) for key, data in found.items()}
        return {named[key]: value for key, value in values.items() if value is not _MISSING}

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store many values and answer the keys that could not be stored, which the log explains.

        A value that is too large does not keep the others from being stored. Raises if nothing was stored.
        """
        return self._run(self._set_many(data, timeout, version), list(data)) if data else []

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """See set_many()."""
        return await self._arun(self._set_many(data, timeout, version), list(data)) if data else []

    def _set_many(self, data: Mapping[Any, Any], timeout: Any, version: int | None) -> Operation[list[Any]]:
        named = self._named(data, version)
        # Encoded here and not before: the keys for it may come with the API key.
        items = {key: self._codec.encode(key, data[name]) for key, name in named.items()}
        failed = yield from operations.set_many(items, self.get_backend_timeout(timeout))
        for error in {id(error): error for error in failed.values()}.values():
            logger.warning("Cache %r: set_many() could not store everything: %s", self.options.alias, error)
        return [named[key] for key in failed]

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Delete keys, with several calls in flight at a time."""
        if named := self._named(keys, version):
            self._run(operations.delete_many(list(named)), None)

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """See delete_many()."""
        if named := self._named(keys, version):
            await self._arun(operations.delete_many(list(named)), None)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move a value to another version with the time it has left, and answer the version.

        Raises ValueError if the key is missing.
        """
        return _found(key, self._run(self._incr_version(key, delta, version), None))

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """See incr_version()."""
        return _found(key, await self._arun(self._incr_version(key, delta, version), None))

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """See decr_version()."""
        return await self.aincr_version(key, -delta, version)

    def _incr_version(self, key: Any, delta: int, version: int | None) -> Operation[int | None]:
        old_version = self.version if version is None else version
        new_version: int = old_version + delta
        old_key, new_key = self._momento_key(key, old_version), self._momento_key(key, new_version)

        def recode(data: bytes) -> bytes | None:
            value = self._decoded(old_key, data, _MISSING)
            return None if value is _MISSING else self._codec.encode(new_key, value)

        moved = yield from operations.incr_version(old_key, new_key, recode)
        return new_version if moved else None

    def clear(self) -> None:
        """Empty the Momento cache named by LOCATION: what other prefixes and sites keep there goes too."""
        self._run(operations.clear(self.options.cache_name), None)

    async def aclear(self) -> None:
        """See clear()."""
        await self._arun(operations.clear(self.options.cache_name), None)

    def _momento_key(self, key: Any, version: int | None) -> bytes:
        if self._makes_plain_keys:
            # What default_key_func makes, without the calls on the way there.
            made = f"{self.key_prefix}:{self.version if version is None else version}:{key!s}"
            if _is_unsuspicious(made):
                return made.encode()
        return str(self.make_and_validate_key(key, version=version)).encode()

    def _named(self, keys: Iterable[Any], version: int | None) -> dict[bytes, Any]:
        return {self._momento_key(key, version): key for key in keys}

    def _item(self, key: Any, value: Any, timeout: Any, version: int | None) -> tuple[bytes, bytes, int]:
        momento_key = self._momento_key(key, version)
        return momento_key, self._codec.encode(momento_key, value), self.get_backend_timeout(timeout)

    def _decoded(self, key: bytes, data: bytes, default: Any) -> Any:
        try:
            return self._codec.decode(key, data)
        except UnreadableValue as error:
            # The key, never the value: that may be anything, and anybody's.
            events.record(
                self.options.alias,
                "unreadable_values",
                "the value of key %r reads as a miss, because %s.",
                key.decode(),
                error,
            )
            return default

    def _run(self, steps: Operation[T], otherwise: T) -> T:
        try:
            return self._client.run(self.options.cache_name, steps)
        except MomentoCacheError as error:
            return self._failed(error, otherwise)

    async def _arun(self, steps: Operation[T], otherwise: T) -> T:
        try:
            return await self._client.arun(self.options.cache_name, steps)
        except MomentoCacheError as error:
            return self._failed(error, otherwise)

    def _failed(self, error: MomentoCacheError, otherwise: T) -> T:
        """Raise, or answer what a miss would: the one place that decides whether a failure is loud."""
        if not self.options.ignore_exceptions:
            raise error
        message = "ignored %s: %s" if self.options.log_ignored_exceptions else ""
        events.record(self.options.alias, "ignored_exceptions", message, type(error).__name__, error)
        return otherwise


def _encryption_keys(client: Client) -> tuple[SecretStr | None, str]:
    credential = client.get_credential()
    return credential.encryption_keys, credential.source


def _is_unsuspicious(made: str) -> bool:
    """Answer whether Django's own check, which takes ten times as long, would find nothing to warn about."""
    return made.isascii() and made.isprintable() and " " not in made and len(made) <= MEMCACHE_MAX_KEY_LENGTH


def _found(key: Any, answer: int | None) -> int:
    if answer is None:
        raise ValueError(f"Key {key!r} not found")
    return answer
