"""The caches by name, and the items of each by key: all the state that data and control calls share.

Knows nothing of requests and responses. Every method takes the store's lock, which is re-entrant: hold
it to make several steps one. How long an item stays is decided in ``retention``, never here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django_momento.local.errors import CacheAlreadyExists, CacheNotFound, WrongType
from django_momento.local.retention import Item, ItemsByKey, Retention
from django_momento.local.topics import Topics
from django_momento.local.values import Collection, Value, type_name

C = TypeVar("C", bound=Collection)


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
            cache = self._caches.pop(name)
            cache.flush()
            cache.topics.end(CacheNotFound(name))

    def names(self) -> list[str]:
        with self.lock:
            return list(self._caches)

    def end_subscriptions(self, reason: Exception) -> None:
        with self.lock:
            for cache in self._caches.values():
                cache.topics.end(reason)

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
    """One cache. All times to live are whole milliseconds.

    An item's type is that of its value; a call that needs another one is refused with `WrongType`.
    """

    def __init__(self, retention: Retention, lock: threading.RLock) -> None:
        self._retention = retention
        self._lock = lock
        self._items: ItemsByKey = {}
        self.limits = retention.limits
        self.topics = Topics()

    def value(self, key: bytes) -> Value | None:
        """Return what is under a key, whatever its type."""
        with self._lock:
            item = self._find(key)
            return None if item is None else item.value

    def has(self, key: bytes) -> bool:
        return self.value(key) is not None

    def get(self, key: bytes) -> bytes | None:
        value = self.value(key)
        if value is None or isinstance(value, bytes):
            return value
        raise WrongType("SCALAR", type_name(value))

    def put(self, key: bytes, value: Value, ttl: int) -> None:
        """Store a value in place of whatever is under its key."""
        with self._lock:
            self._retention.keep(self._items, key, value, ttl)

    def collection(self, key: bytes, wanted: type[C]) -> C | None:
        """Return the collection under a key, to read it."""
        with self._lock:
            item, collection = self._open(key, wanted)
            return None if item is None else collection

    @contextmanager
    def writing(self, key: bytes, wanted: type[C], ttl: int, *, refresh_ttl: bool) -> Iterator[C]:
        """Write to the collection under a key, made if there is none.

        A new one gets the TTL; one that was there gets it only if it is to be refreshed.
        """
        with self._lock:
            item, collection = self._open(key, wanted)
            yield collection
            if item is not None:
                if refresh_ttl:
                    self._retention.reschedule(item, ttl)
                self._settle(item)
            elif collection:
                self.put(key, collection, ttl)

    @contextmanager
    def removing(self, key: bytes, wanted: type[C]) -> Iterator[C]:
        """Change the collection under a key, or an empty one that leads nowhere if there is none."""
        with self._lock:
            item, collection = self._open(key, wanted)
            yield collection
            if item is not None:
                self._settle(item)

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
            item = self._find(key)
            if item is not None:
                self._retention.reschedule(item, ttl)
            return item is not None

    def flush(self) -> None:
        with self._lock:
            for item in list(self._items.values()):
                self._retention.discard(item)

    def _find(self, key: bytes) -> Item | None:
        return self._retention.find(self._items, key, self._retention.now())

    def _open(self, key: bytes, wanted: type[C]) -> tuple[Item | None, C]:
        item = self._find(key)
        if item is None:
            return None, wanted()
        if not isinstance(item.value, wanted):
            raise WrongType(wanted.type_name, type_name(item.value))
        return item, item.value

    def _settle(self, item: Item) -> None:
        """Count a changed collection again, or let it go if nothing is left in it."""
        if item.value:
            self._retention.recount(item)
        else:
            self._retention.discard(item)
