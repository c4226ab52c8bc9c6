"""The caches by name, and the items of each by key: all the state that data and control calls share.

Knows nothing of requests and responses. Every method takes the store's lock, which is re-entrant: hold
it to make several steps one. How long an item stays is decided in ``retention``, never here.
"""

from __future__ import annotations

import threading

from django_momento.local.errors import CacheAlreadyExists, CacheNotFound
from django_momento.local.retention import ItemsByKey, Retention


class Store:
    def __init__(self, retention: Retention, *, create_missing_caches: bool = False) -> None:
        self.lock = threading.RLock()
        self._retention = retention
        self._create_missing_caches = create_missing_caches
        self._caches: dict[str, Cache] = {}

    def cache(self, name: str) -> Cache:
        """Return the named cache, made on the spot if the store was told to make missing ones."""
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
            self._caches.pop(name).flush()

    def names(self) -> list[str]:
        with self.lock:
            return list(self._caches)

    def memory_used(self) -> int:
        with self.lock:
            return self._retention.memory_used

    def drop_expired(self, limit: int) -> int:
        """Free the memory of expired items nobody asks for; return how many expiries were dealt with."""
        with self.lock:
            return self._retention.drop_expired(limit)

    def _add(self, name: str) -> Cache:
        cache = self._caches[name] = Cache(self._retention, self.lock)
        return cache


class Cache:
    """One cache. All times to live are whole milliseconds."""

    def __init__(self, retention: Retention, lock: threading.RLock) -> None:
        self._retention = retention
        self._lock = lock
        self._items: ItemsByKey = {}

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            item = self._retention.find(self._items, key, self._retention.now())
            return None if item is None else item.value

    def put(self, key: bytes, value: bytes, ttl: int) -> None:
        with self._lock:
            self._retention.keep(self._items, key, value, ttl)

    def delete(self, key: bytes) -> None:
        with self._lock:
            if (item := self._items.get(key)) is not None:
                self._retention.discard(item)

    def remaining_ttl(self, key: bytes) -> int | None:
        with self._lock:
            now = self._retention.now()
            item = self._retention.find(self._items, key, now)
            return None if item is None else item.expires_at - now

    def set_ttl(self, key: bytes, ttl: int) -> bool:
        """Let an item expire `ttl` from now; return whether there was one."""
        with self._lock:
            now = self._retention.now()
            item = self._retention.find(self._items, key, now)
            if item is not None:
                self._retention.reschedule(item, now + ttl)
            return item is not None

    def flush(self) -> None:
        with self._lock:
            for item in list(self._items.values()):
                self._retention.discard(item)
