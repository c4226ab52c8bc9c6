"""Sessions in a Momento cache alone, as SESSION_ENGINE = "django_momento.sessions".

The engine stores sessions as Django's engine ``cache`` does, under the same keys, so a site may change from
one to the other. It sends fewer calls: a new session is one Set, because its random key needs no search for a
free one. A session that was only read is not written again to live longer, but gets a new TTL.

Each session of a user has a tag, so that ``log_out_everywhere`` ends all of them by one call.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError, UpdateError
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import get_random_string

from .cache import MomentoCache
from .client import operations
from .client.calls import Get, Operation
from .codec.attributes import Attributed, Attributes
from .interruption import is_interruption

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache

    from .policies.tags import Tagged

_KEY_LENGTH = 32
# The key of the user's primary key in the data of a session, as django.contrib.auth has it.
_USER = "_auth_user_id"
# Stands for a session that a cache which fails open did not store.
_NOT_STORED = object()


def user_tag(primary_key: object) -> str:
    """Return the tag of all sessions of a user."""
    return f"session-user:{primary_key}"


def log_out_everywhere(user: Any) -> None:
    """End all sessions of a user, on all devices. The user's next request on each of them is anonymous.

    A session of this request can go on: call its ``cycle_key()`` afterwards. Raises MomentoCacheError if
    Momento cannot be reached, also if the alias of sessions fails open.
    """
    cache = _session_cache()
    cache._run_loudly("invalidate_tags", (), cache._tags.invalidate([user_tag(user.pk)]))


async def alog_out_everywhere(user: Any) -> None:
    """See log_out_everywhere()."""
    cache = _session_cache()
    await cache._arun_loudly("invalidate_tags", (), cache._tags.invalidate([user_tag(user.pk)]))


def _session_cache() -> MomentoCache:
    cache = caches[settings.SESSION_CACHE_ALIAS]
    if not isinstance(cache, MomentoCache):
        raise ImproperlyConfigured(
            f"SESSION_CACHE_ALIAS names {settings.SESSION_CACHE_ALIAS!r}, which is a {type(cache).__name__}. "
            "Only sessions in a django_momento.cache.MomentoCache can be ended together."
        )
    return cache


class SessionStore(CacheSessionStore):
    """A session in the cache that SESSION_CACHE_ALIAS names.

    If that is no Momento cache, as in a test suite with another backend, it works as Django's own engine.

    Reading a session raises MomentoCacheError if Momento cannot be reached, unless the alias fails open.
    Django's engine takes an error for a missing session, and replaces the cookie of its visitor.
    """

    if TYPE_CHECKING:  # Django's, which its stubs do not have.
        _cache: BaseCache

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...
        async def _aget_session(self, no_load: bool = False) -> dict[str, Any]: ...

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        # The tags of the stored session with their versions, as they were when it was loaded or saved.
        self._tagged: Tagged = ()
        # The stored data, in bytes, to see whether it has changed. Kept only if every request saves it.
        self._stored: bytes | None = None

    @property
    def _momento(self) -> MomentoCache | None:
        return self._cache if isinstance(self._cache, MomentoCache) else None

    def _get_new_session_key(self) -> str:
        # Of 165 random bits: a check whether it is free would always succeed.
        return get_random_string(_KEY_LENGTH, VALID_KEY_CHARS)

    async def _aget_new_session_key(self) -> str:
        return self._get_new_session_key()

    def load(self) -> dict[str, Any]:
        cache = self._momento
        if cache is None:
            return super().load()
        key = self.cache_key
        return self._take(cache._run("get", (key,), _load(cache, key), None))

    async def aload(self) -> dict[str, Any]:
        cache = self._momento
        if cache is None:
            return await super().aload()
        key = await self.acache_key()
        return self._take(await cache._arun("get", (key,), _load(cache, key), None))

    def _take(self, found: tuple[Any, Tagged] | None) -> dict[str, Any]:
        if found is None:
            self._session_key = None
            return {}
        data: dict[str, Any]
        data, self._tagged = found
        self._remember(data)
        return data

    def create(self) -> None:
        if self._momento is None:
            super().create()
            return
        self._session_key = self._get_new_session_key()
        self._tagged = ()
        self._write(self._momento, self._get_session(no_load=True), self.get_expiry_age())
        self.modified = True

    async def acreate(self) -> None:
        if self._momento is None:
            await super().acreate()
            return
        self._session_key = self._get_new_session_key()
        self._tagged = ()
        await self._awrite(
            self._momento, await self._aget_session(no_load=True), await self.aget_expiry_age()
        )
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        cache = self._momento
        if cache is None:
            super().save(must_create)
            return
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)
        if must_create:
            if not cache.add(self.cache_key, data, self.get_expiry_age(), tags=_tags_of(data)):
                raise CreateError
            return
        age, key = self.get_expiry_age(), self.cache_key
        is_changed = self._is_changed(data)
        # Not by a read, which may be of a moment before the deletion.
        exists = cache._run("touch", (key,), self._prolong(cache, data, age), None)
        if exists is False:
            raise UpdateError
        if exists and is_changed:
            self._write(cache, data, age)

    async def asave(self, must_create: bool = False) -> None:
        cache = self._momento
        if cache is None:
            await super().asave(must_create)
            return
        if self.session_key is None:
            await self.acreate()
            return
        data = await self._aget_session(no_load=must_create)
        if must_create:
            if not await cache.aadd(self.cache_key, data, await self.aget_expiry_age(), tags=_tags_of(data)):
                raise CreateError
            return
        age, key = await self.aget_expiry_age(), self.cache_key
        is_changed = self._is_changed(data)
        exists = await cache._arun("touch", (key,), self._prolong(cache, data, age), None)
        if exists is False:
            raise UpdateError
        if exists and is_changed:
            await self._awrite(cache, data, age)

    def delete(self, session_key: str | None = None) -> None:
        cache, key = self._momento, session_key or self.session_key
        if cache is None:
            super().delete(session_key)
            return
        if key is not None:
            cache.delete_many([self.cache_key_prefix + key])

    async def adelete(self, session_key: str | None = None) -> None:
        cache, key = self._momento, session_key or self.session_key
        if cache is None:
            await super().adelete(session_key)
            return
        if key is not None:
            await cache.adelete_many([self.cache_key_prefix + key])

    def _is_changed(self, data: dict[str, Any]) -> bool:
        return self._stored is None or self._stored != _pickle(data)

    def _prolong(self, cache: MomentoCache, data: dict[str, Any], age: Any) -> Operation[bool]:
        """Let a session live longer, and return whether it exists: it may have been deleted meanwhile."""
        key, tags = self.cache_key, _tags_of(data)
        if tags and self._has_versions(tags):
            yield from cache._tags.snapshot(tags)  # This renews the version of the tag, which ends as well.
        return (yield from operations.touch(cache._momento_key(key, None), cache._whole_ttl(key, age)))

    def _has_versions(self, tags: tuple[str, ...]) -> bool:
        return tags == tuple(name for name, _ in self._tagged)

    def _write(self, cache: MomentoCache, data: dict[str, Any], age: Any) -> None:
        encode, tags = self._prepare(cache, data, age)
        stored = cache._store(
            "set", (self.cache_key,), operations.set, encode, _NOT_STORED, tags, ask_again=True
        )
        self._remember(None if stored is _NOT_STORED else data)

    async def _awrite(self, cache: MomentoCache, data: dict[str, Any], age: Any) -> None:
        encode, tags = self._prepare(cache, data, age)
        stored = await cache._astore(
            "set", (self.cache_key,), operations.set, encode, _NOT_STORED, tags, ask_again=True
        )
        self._remember(None if stored is _NOT_STORED else data)

    def _prepare(
        self, cache: MomentoCache, data: dict[str, Any], age: Any
    ) -> tuple[Callable[..., tuple[bytes, bytes, int]], tuple[str, ...]]:
        """Return the function that encodes a session, and the tags whose versions it needs."""
        key, tags = self.cache_key, _tags_of(data)

        def encode(attributes: Attributes | None = None) -> tuple[bytes, bytes, int]:
            if attributes is not None:
                self._tagged = attributes.tags
            elif tags:
                attributes = Attributes(tags=self._tagged)
            momento_key = cache._momento_key(key, None)
            # Without TTL_JITTER, which would end a session before its cookie.
            return momento_key, cache._encode(momento_key, key, data, attributes), cache._whole_ttl(key, age)

        if self._has_versions(tags):
            # Of the moment when it was loaded: the user may have been logged out everywhere since.
            return encode, ()
        return encode, tags

    def _remember(self, data: dict[str, Any] | None) -> None:
        if data is None or not settings.SESSION_SAVE_EVERY_REQUEST:
            self._stored = None
        else:
            self._stored = _pickle(data)


def _load(cache: MomentoCache, key: str) -> Operation[tuple[Any, Tagged] | None]:
    """Return the data of a session and the versions of its tags, or None if there is no such session."""
    momento_key = cache._momento_key(key, None)
    stored = yield Get(momento_key)
    value = None if stored is None else cache._decode(momento_key, stored, None)
    if not isinstance(value, Attributed):
        return (value, ()) if isinstance(value, Mapping) else None
    tags = value.attributes.tags
    (is_current,) = yield from cache._tags.find_current([tags])
    return (value.value, tags) if is_current else None


def _tags_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    primary_key = data.get(_USER)
    return () if primary_key is None else (user_tag(primary_key),)


def _pickle(data: dict[str, Any]) -> bytes | None:
    """Return data as bytes, equal for equal data, or None if it cannot be told whether the data changes."""
    try:
        return pickle.dumps(data)
    except Exception as error:  # a value of the site's own may raise anything
        if is_interruption(error):
            raise
        return None
