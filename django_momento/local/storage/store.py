"""The caches by name, and the items of each by key: the state that data and control calls share.

Each method takes the store's lock. The lock is re-entrant: hold it to make several steps atomic.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..errors import CacheAlreadyExists, CacheNotFound, WrongType
from .collections import Collection, Value, type_name
from .replica import Past, Version
from .retention import Item, ItemsByKey, Retention
from .topics import Topics

C = TypeVar("C", bound=Collection)


class Store:
    def __init__(
        self, retention: Retention, *, create_missing_caches: bool = False, replica_lag: int = 0
    ) -> None:
        if replica_lag < 0:
            raise ValueError(f"The lag of the replica must be at least 0 milliseconds, not {replica_lag}")
        self.lock = threading.RLock()
        self._retention = retention
        self._create_missing_caches = create_missing_caches
        self._replica_lag = replica_lag
        self._caches: dict[str, Cache] = {}

    def cache(self, name: str) -> Cache:
        """Return the named cache. If it is missing, create it, or raise CacheNotFound."""
        with self.lock:
            cache = self._caches.get(name)
            if cache is not None:
                return cache
            if not self._create_missing_caches:
                raise CacheNotFound(name)
            return self._add(name)

    def create(self, name: str) -> None:
        with self.lock:
            if name in self._caches:
                raise CacheAlreadyExists(name)
            self._add(name)

    def delete(self, name: str) -> None:
        with self.lock:
            if name not in self._caches:
                raise CacheNotFound(name)
            cache = self._caches.pop(name)
            cache.discard()
            cache.topics.end(CacheNotFound(name))
            cache.topics.remove()

    def names(self) -> list[str]:
        with self.lock:
            return list(self._caches)

    def subscription_count(self) -> int:
        with self.lock:
            return sum(cache.topics.subscription_count() for cache in self._caches.values())

    def end_subscriptions(self, reason: Exception) -> None:
        with self.lock:
            for cache in self._caches.values():
                cache.topics.end(reason)

    def memory_used(self) -> int:
        with self.lock:
            return self._retention.memory_used

    def drop_expired(self, limit: int) -> int:
        """Free the memory of expired items. Handle at most ``limit`` expiries, and return how many."""
        with self.lock:
            return self._retention.drop_expired(limit)

    def _add(self, name: str) -> Cache:
        past = Past(self._retention, self._replica_lag)
        cache = self._caches[name] = Cache(self._retention, self.lock, past)
        return cache


class Cache:
    """A cache. All times to live are whole milliseconds.

    The type of an item is that of its value. A call that needs another type raises ``WrongType``.
    """

    def __init__(self, retention: Retention, lock: threading.RLock, past: Past) -> None:
        self._retention = retention
        self._lock = lock
        self._past = past
        self._items: ItemsByKey = {}
        self.limits = retention.limits
        self.topics = Topics(retention, lock)

    @property
    def replica(self) -> Cache:
        """Return this cache as reads see it that need not see the latest write."""
        return Replica(self) if self._past.lag else self

    def value(self, key: bytes) -> Value | None:
        """Return the value under a key, whatever its type."""
        with self._lock:
            version = self._version(key)
            return None if version is None else version.value

    def has(self, key: bytes) -> bool:
        return self.value(key) is not None

    def get(self, key: bytes) -> bytes | None:
        value = self.value(key)
        if value is None or isinstance(value, bytes):
            return value
        raise WrongType("SCALAR", type_name(value))

    def put(self, key: bytes, value: Value, ttl: int) -> None:
        """Store a value in place of the present one."""
        with self._lock:
            self._remember(key)
            self._retention.keep(self._items, key, value, ttl)

    def collection(self, key: bytes, wanted: type[C]) -> C | None:
        """Return the collection under a key, to be read only."""
        with self._lock:
            value = self.value(key)
            return None if value is None else _require_type(value, wanted)

    @contextmanager
    def writing(self, key: bytes, wanted: type[C], ttl: int, *, refresh_ttl: bool) -> Iterator[C]:
        """Change the collection under a key, or a new one if there is none.

        A new collection gets the TTL. An existing one gets it only with ``refresh_ttl``.
        """
        with self._lock:
            item, collection = self._open(key, wanted)
            yield collection
            if item is not None:
                if refresh_ttl:
                    self._retention.reschedule(item, ttl)
                self._settle(item)
            elif collection:
                self._retention.keep(self._items, key, collection, ttl)

    @contextmanager
    def removing(self, key: bytes, wanted: type[C]) -> Iterator[C]:
        """Change the collection under a key. If there is none, change an empty one that is not stored."""
        with self._lock:
            item, collection = self._open(key, wanted)
            yield collection
            if item is not None:
                self._settle(item)

    def delete(self, key: bytes) -> None:
        with self._lock:
            if (item := self._items.get(key)) is not None:
                self._remember(key)
                self._retention.discard(item)

    def remaining_ttl(self, key: bytes) -> int | None:
        with self._lock:
            version = self._version(key)
            # The clock may have passed the expiry since the look.
            return None if version is None else max(version.expires_at - self._retention.now(), 1)

    def set_ttl(self, key: bytes, ttl: int) -> bool:
        """Let an item expire after so many milliseconds from now. Return whether there was one."""
        with self._lock:
            item = self._find(key)
            if item is not None:
                self._remember(key)
                self._retention.reschedule(item, ttl)
                self._retention.resize(item, item.size)  # the remembered version takes memory as well
            return item is not None

    def flush(self) -> None:
        with self._lock:
            for item in list(self._items.values()):
                self._remember(item.key)
                self._retention.discard(item)

    def discard(self) -> None:
        """Remove all items and their past."""
        with self._lock:
            self.flush()
            self._past.clear()

    def _version(self, key: bytes) -> Version | Item | None:
        return self._find(key)

    def _find(self, key: bytes) -> Item | None:
        return self._retention.find(self._items, key, self._retention.now())

    def _remember(self, key: bytes) -> None:
        """Keep the present version of an item for the replica, before it changes."""
        if self._past.lag:
            self._past.remember(key, self._items.get(key))

    def _open(self, key: bytes, wanted: type[C]) -> tuple[Item | None, C]:
        item = self._find(key)
        self._remember(key)
        if item is None:
            return None, wanted()
        return item, _require_type(item.value, wanted)

    def _settle(self, item: Item) -> None:
        """Count a changed collection again, or discard it if it is empty."""
        if item.value:
            self._retention.recount(item)
        else:
            self._retention.discard(item)


class Replica(Cache):
    """A cache as it was a short time ago. Its methods that write must not be called."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache._retention, cache._lock, cache._past)
        self._items = cache._items

    def _version(self, key: bytes) -> Version | Item | None:
        found = self._past.find(key)
        if not found:
            return self._find(key)
        version = found[0]
        return version if version is not None and version.expires_at > self._retention.now() else None


def _require_type(value: Value, wanted: type[C]) -> C:
    if isinstance(value, wanted):
        return value
    raise WrongType(wanted.type_name, type_name(value))
