"""Backends for the tests of a migration, which do one thing beside caching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache


class Silent(BaseCache):
    """A cache that tells nobody the time that a value has left, as Memcached."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._store = LocMemCache(name, params)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._store.get(key, default, version)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._store.set(key, value, timeout, version)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._store.add(key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._store.touch(key, timeout, version)

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._store.delete(key, version)

    def clear(self) -> None:
        self._store.clear()


class Interrupted(LocMemCache):
    """A cache in which something else happens just before the n-th call of a verb, and which may be out."""

    events: dict[tuple[str, int], Callable[[], object]] = {}
    counts: dict[str, int] = {}
    is_out = False
    # Django's, which the stubs for it do not have.
    _cache: dict[Any, Any]
    _expire_info: dict[Any, Any]

    def _begin(self, verb: str) -> None:
        if type(self).is_out:
            raise ConnectionError(f"no server for {verb}")
        self.counts[verb] = self.counts.get(verb, 0) + 1
        event = self.events.pop((verb, self.counts[verb]), None)
        if event is not None:
            event()

    def take_snapshot(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Return all values and the ends of their times, as Redis saves them."""
        return {**self._cache}, {**self._expire_info}

    def load_snapshot(self, snapshot: tuple[dict[Any, Any], dict[Any, Any]]) -> None:
        """Load what take_snapshot() has returned, as Redis does when it starts."""
        values, ends = snapshot
        self._cache.update(values)
        self._expire_info.update(ends)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        self._begin("get")
        return super().get(key, default, version)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._begin("set")
        super().set(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        self._begin("add")
        return super().add(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        self._begin("delete")
        return super().delete(*args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        self._begin("has_key")
        return super().has_key(*args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        self._begin("touch")
        return super().touch(*args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        self._begin("incr")
        return super().incr(*args, **kwargs)

    def clear(self) -> None:
        self._begin("clear")
        super().clear()


class New(Interrupted):
    """The same for the other side, which is out at other times."""

    events: dict[tuple[str, int], Callable[[], object]] = {}
    counts: dict[str, int] = {}
    is_out = False
