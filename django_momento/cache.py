"""The cache backend: the verbs of Django's cache API on Momento.

    CACHES = {
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": "my-cache",
            "OPTIONS": {"SECRET_ID": "Momento_Auth_Token", "REGION": "us-west-2"},
        }
    }

Django makes an instance for each thread and each task. An instance is cheap: it does no I/O and shares the
client of the process. ``client.operations`` has the calls of each verb, ``items`` the bytes to store, and
``execution`` the failure policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NoReturn

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from .client import operations
from .client.calls import Get, Operation, Recount, SetIf
from .codec.attributes import Attributed
from .conf.foreign import refuse_foreign_arguments
from .events import events, observers
from .exceptions import MomentoCacheError, ValueTooLarge
from .extensions import ExtendedCache
from .items import MISSING, K, Key, Value, require_found
from .policies.subclasses import add_async_methods
from .policies.timeouts import Timeout, show_default_timeout


class MomentoCache(ExtendedCache):
    """A cache of Momento, as ``CACHES[alias]["BACKEND"]``. Timeouts are in seconds, as everywhere in Django.

    The methods raise ConfigurationError if the settings are wrong. They raise MomentoCacheError if Momento
    cannot be reached or refuses the call, unless IGNORE_EXCEPTIONS is set. The async methods are native and
    work on any number of event loops.

    A subclass may override each verb, ``make_key``, ``validate_key``, ``make_and_validate_key`` and
    ``get_backend_timeout``. If it overrides a verb such as ``get`` and not ``aget``, then ``aget`` calls
    ``get`` in a thread. ``extra_options`` has the names and defaults of options of its own,
    and ``self.options.extra`` their values.
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        add_async_methods(cls, MomentoCache)

    def __repr__(self) -> str:
        try:
            options = self.options
        except Exception:  # noqa: BLE001 - wrong settings may raise anything, and a debug page calls repr()
            return f"<{type(self).__name__}: the settings are refused>"
        credential = self._client.credential
        endpoint = options.connection.endpoint if credential is None else credential.endpoint
        known = "" if endpoint is None else f" endpoint={str(endpoint)!r}"
        return f"<{type(self).__name__} alias={options.alias!r} cache={options.cache_name!r}{known}>"

    def get(self, key: Key, default: Value = None, version: int | None = None) -> Value:
        """Return the value, or ``default`` if the key is missing or the value cannot be read back."""
        momento_key = self._momento_key(key, version)
        has_memory = self._client.memory is not None
        if has_memory:
            value = self._near.recall(momento_key, key, default)
            if value is not self._near.UNKNOWN:
                return value
        operation = operations.get(momento_key, self._decode, default, self._resolve_tags)
        try:  # as _run() does, without the cost of another call
            if observers or has_memory or self.options.observers:
                return self._run("get", (key,), operation, default)
            return self._client.run(self.options.cache_name, operation)
        except MomentoCacheError as error:
            return self._handle_failure(error, default)

    async def aget(self, key: Key, default: Value = None, version: int | None = None) -> Value:
        """See get()."""
        momento_key = self._momento_key(key, version)
        has_memory = self._client.memory is not None
        if has_memory:
            value = self._near.recall(momento_key, key, default)
            if value is not self._near.UNKNOWN:
                return value
        operation = operations.get(momento_key, self._decode, default, self._resolve_tags)
        try:  # as _arun() does, without the cost of another coroutine
            if observers or has_memory or self.options.observers:
                return await self._arun("get", (key,), operation, default)
            return await self._client.arun(self.options.cache_name, operation)
        except MomentoCacheError as error:
            return self._handle_failure(error, default)

    def set(
        self,
        key: Key,
        value: Value,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        **foreign: NoReturn,
    ) -> None:
        """Store a value. If the timeout is 0 or below, delete the key.

        ``tags`` are names with which invalidate_tags() forgets the value. If another process may invalidate
        them while the value is computed, use get_or_set().

        If key and value have more than 5 MiB, delete the key and raise ValueTooLarge. For a page or
        a session that Django stores beside another copy, and for ``{% cache %}``, log a warning instead.
        """
        if foreign:
            refuse_foreign_arguments("set", foreign)
        encode = partial(self._encode_item, key, value, timeout, version)
        try:
            self._store("set", (key,), operations.set, encode, None, tags)
        except ValueTooLarge as error:
            self._record_copy_or_raise(error, key, value)

    async def aset(
        self,
        key: Key,
        value: Value,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        **foreign: NoReturn,
    ) -> None:
        """See set()."""
        if foreign:
            refuse_foreign_arguments("aset", foreign)
        encode = partial(self._encode_item, key, value, timeout, version)
        try:
            await self._astore("set", (key,), operations.set, encode, None, tags)
        except ValueTooLarge as error:
            self._record_copy_or_raise(error, key, value)

    def add(
        self,
        key: Key,
        value: Value,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> bool:
        """Store a value if the key is missing, and return whether it was. See set() for ``tags``.

        A value that cannot be read back counts as present. So does one whose tags were invalidated, unless
        this call has tags.
        """
        add = operations.add if tags == () else self._add_with_tags
        encode = partial(self._encode_item, key, value, timeout, version)
        return self._store("add", (key,), add, encode, False, tags)

    async def aadd(
        self,
        key: Key,
        value: Value,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> bool:
        """See add()."""
        add = operations.add if tags == () else self._add_with_tags
        encode = partial(self._encode_item, key, value, timeout, version)
        return await self._astore("add", (key,), add, encode, False, tags)

    def _add_with_tags(self, key: bytes, data: bytes, ttl: int) -> Operation[bool]:
        added = yield from operations.add(key, data, ttl)
        if added or ttl <= 0:
            return added
        stored = yield Get(key)
        value = MISSING if stored is None else self._decode(key, stored, MISSING)
        if type(value) is not Attributed:
            return False
        if (yield from self._resolve_tags(key, value, MISSING)) is not MISSING:
            return False
        # Replaces no value that another caller has stored meanwhile.
        replaced: bool = yield SetIf(key, data, ttl, "equal", stored)
        return replaced

    def touch(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set a new timeout and return whether the key exists. A timeout of 0 or below deletes the key."""
        return self._run(
            "touch", (key,), operations.touch(self._momento_key(key, version), self._ttl(key, timeout)), False
        )

    async def atouch(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See touch()."""
        operation = operations.touch(self._momento_key(key, version), self._ttl(key, timeout))
        return await self._arun("touch", (key,), operation, False)

    def delete(self, key: Key, version: int | None = None) -> bool:
        """Delete a key and return whether it existed."""
        return self._run("delete", (key,), self._delete(self._momento_key(key, version)), False)

    async def adelete(self, key: Key, version: int | None = None) -> bool:
        """See delete()."""
        return await self._arun("delete", (key,), self._delete(self._momento_key(key, version)), False)

    def _delete(self, momento_key: bytes) -> Operation[bool]:
        self._detach_flights((momento_key,))
        return (yield from operations.delete(momento_key))

    def has_key(self, key: Key, version: int | None = None) -> bool:
        """Return whether the key exists, without fetching its value."""
        return self._run("has_key", (key,), operations.has_key(self._momento_key(key, version)), False)

    async def ahas_key(self, key: Key, version: int | None = None) -> bool:
        """See has_key()."""
        return await self._arun("has_key", (key,), operations.has_key(self._momento_key(key, version)), False)

    def incr(self, key: Key, delta: int = 1, version: int | None = None, **foreign: NoReturn) -> int:
        """Add to an integer and return the sum. The expiry of the key does not change.

        Raises ValueError if the key is missing, TypeError if the value or ``delta`` is not an integer, and
        OverflowError if the sum does not fit 64 bits.
        """
        refuse_foreign_arguments("incr", foreign)
        return require_found(key, self._run("incr", (key,), self._incr(key, delta, version), None))

    async def aincr(self, key: Key, delta: int = 1, version: int | None = None, **foreign: NoReturn) -> int:
        """See incr()."""
        refuse_foreign_arguments("aincr", foreign)
        return require_found(key, await self._arun("incr", (key,), self._incr(key, delta, version), None))

    def _incr(self, key: Key, delta: int, version: int | None) -> Operation[int | None]:
        try:
            return (yield from operations.incr(self._momento_key(key, version), delta))
        except (TypeError, OverflowError) as error:
            self._name_key(error, key)
            raise

    async def adecr(self, key: Key, delta: int = 1, version: int | None = None) -> int:
        """See decr()."""
        return await self.aincr(key, -delta, version=version)

    def get_many(self, keys: Iterable[K], version: int | None = None) -> dict[K, Value]:
        """Return a dict of the keys that exist, with one call to Momento for up to 1,000 keys."""
        names = self._keys_by_momento_key(keys, version)
        return self._run("get_many", names.values(), self._get_many(names), {}) if names else {}

    async def aget_many(self, keys: Iterable[K], version: int | None = None) -> dict[K, Value]:
        """See get_many()."""
        names = self._keys_by_momento_key(keys, version)
        return await self._arun("get_many", names.values(), self._get_many(names), {}) if names else {}

    def _get_many(self, names: dict[bytes, K]) -> Operation[dict[K, Value]]:
        ignore = self._record_ignored if self.options.ignore_exceptions else None
        found = yield from operations.get_many(list(names), ignore)
        decoded = {key: self._decode(key, data, MISSING) for key, data in found.items()}
        if missed := sum(value is MISSING for value in decoded.values()):
            yield Recount(missed)
        values = yield from self._resolve_all_tags(decoded)
        return {names[key]: value for key, value in values.items() if value is not MISSING}

    def set_many(
        self,
        data: Mapping[K, Value],
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[K]:
        """Store many values and return the keys whose values could not be stored. See set() for ``tags``.

        A warning in the log has the cause. Raises if no value was stored.
        """
        encode = partial(self._encode_items, data, timeout, version)
        if not data:
            return []
        return self._store("set_many", data.keys(), self._set_many, encode, list(data), tags)

    async def aset_many(
        self,
        data: Mapping[K, Value],
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[K]:
        """See set_many()."""
        encode = partial(self._encode_items, data, timeout, version)
        if not data:
            return []
        return await self._astore("set_many", data.keys(), self._set_many, encode, list(data), tags)

    def _set_many(self, names: dict[bytes, K], items: dict[bytes, bytes], ttl: int) -> Operation[list[K]]:
        failed = yield from operations.set_many(
            items, ttl, self._shorten if self.options.ttl_jitter else None
        )
        if failed:
            causes = " ".join({error.cause: None for error in failed.values()})
            message = "set_many() did not store %d of %d keys: %s"
            events.record(self.options.alias, "partial_failures", message, len(failed), len(items), causes)
        return [names[key] for key in failed]

    def delete_many(self, keys: Iterable[Key], version: int | None = None) -> None:
        """Delete keys, with several calls in flight at a time."""
        if names := self._keys_by_momento_key(keys, version):
            self._run("delete_many", names.values(), self._delete_many(list(names)), None)

    async def adelete_many(self, keys: Iterable[Key], version: int | None = None) -> None:
        """See delete_many()."""
        if names := self._keys_by_momento_key(keys, version):
            await self._arun("delete_many", names.values(), self._delete_many(list(names)), None)

    def _delete_many(self, momento_keys: list[bytes]) -> Operation[None]:
        self._detach_flights(momento_keys)
        yield from operations.delete_many(momento_keys)

    def incr_version(self, key: Key, delta: int = 1, version: int | None = None) -> int:
        """Move a value to another version with its remaining time, and return the version.

        Raises ValueError if the key is missing.
        """
        return require_found(
            key, self._run("incr_version", (key,), self._incr_version(key, delta, version), None)
        )

    async def aincr_version(self, key: Key, delta: int = 1, version: int | None = None) -> int:
        """See incr_version()."""
        return require_found(
            key, await self._arun("incr_version", (key,), self._incr_version(key, delta, version), None)
        )

    async def adecr_version(self, key: Key, delta: int = 1, version: int | None = None) -> int:
        """See decr_version()."""
        return await self.aincr_version(key, -delta, version)

    def _incr_version(self, key: Key, delta: int, version: int | None) -> Operation[int | None]:
        old_version = self.version if version is None else version
        new_version: int = old_version + delta
        old_key, new_key = self._momento_key(key, old_version), self._momento_key(key, new_version)

        moved = yield from operations.incr_version(old_key, new_key, partial(self._recode, old_key, new_key))
        return new_version if moved else None

    def clear(self) -> None:
        """Forget all keys of the Momento cache in LOCATION, those of other prefixes and sites included.

        With CLEAR ``prefix``, forget the keys of this alias alone: those with its KEY_PREFIX. Other processes
        see that within TAG_SECONDS.
        """
        self._run("clear", (), self._clear(), None)

    async def aclear(self) -> None:
        """See clear()."""
        await self._arun("clear", (), self._clear(), None)

    def _clear(self) -> Operation[None]:
        self._detach_flights(None)
        if self._generation is not None:
            yield from self._generation.replace()
        else:
            yield from operations.clear(self.options.cache_name)
            self._tags.forget()


show_default_timeout(MomentoCache, DEFAULT_TIMEOUT)
