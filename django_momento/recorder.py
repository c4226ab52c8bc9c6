"""``RecordingCache`` wraps any Django cache and writes a trace of its calls for ``momento_forecast``.

    "default": {
        "BACKEND": "django_momento.recorder.RecordingCache",
        "OPTIONS": {"CACHE": "redis", "TRACE": "trace.jsonl.zst", "SAMPLE": 0.1},
    }

The cache behaves as the wrapped alias does, with the settings of that alias. A trace has no keys and no
values, see ``traces.format``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from .clock import wall
from .policies.timeouts import show_default_timeout
from .traces.recording import MISSING, Recording, load_recording
from .traces.writer import UNMEASURED

__all__ = ["RecordingCache"]

_OWN = frozenset({"_settings", "_wrapped", "_recording", "_find", "_append"})


class RecordingCache(BaseCache):
    """A cache that records the calls of another alias. All else is that of the other alias.

    OPTIONS are ``CACHE``, the alias to wrap, ``TRACE``, the path of the trace, ``SAMPLE``, the share of keys
    to record, ``MAX_BYTES``, the largest size of the trace of a process, and ``KEY_GROUP``. The methods raise
    ConfigurationError for others.
    """

    _settings: tuple[str, dict[str, Any]]
    _wrapped: Any
    _recording: Recording

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        # Without super(): key_prefix, version and default_timeout are those of the wrapped cache.
        # Wrong settings raise at the first use, so that `manage.py check` can explain them.
        super().__setattr__("_settings", (location, params))

    def __getattr__(self, name: str) -> Any:
        if name not in _OWN:
            return getattr(self._wrapped, name)
        if "_settings" not in self.__dict__:
            raise AttributeError(name)  # before __init__, as when a copy is unpickled
        self._begin()
        return self.__dict__[name]

    def _begin(self) -> None:
        """Parse the settings, and find the wrapped cache. Raises ConfigurationError."""
        set_own = super().__setattr__
        recording = load_recording(*self._settings)
        set_own("_recording", recording)
        set_own("_wrapped", caches[recording.options.cache])
        set_own("_find", recording.find)
        set_own("_append", recording.writer.append)

    def __setattr__(self, name: str, value: Any) -> None:
        # A new prefix or version makes other keys, so those of before are not looked up any more.
        setattr(self._wrapped, name, value)
        recording = self._recording.copy()
        super().__setattr__("_recording", recording)
        super().__setattr__("_find", recording.find)

    def __repr__(self) -> str:
        return f"<RecordingCache of {self._settings[1].get('OPTIONS', {}).get('CACHE')!r}>"

    def close(self, **kwargs: Any) -> None:
        """Close the wrapped cache."""
        if "_wrapped" in self.__dict__:
            self._wrapped.close(**kwargs)

    async def aclose(self, **kwargs: Any) -> None:
        """See close()."""
        if "_wrapped" in self.__dict__:
            await self._wrapped.aclose(**kwargs)

    def __contains__(self, key: Any) -> bool:
        return bool(self.has_key(key))

    def get(self, key: Any, default: Any = None, version: int | None = None, **extra: Any) -> Any:
        entry, started = self._find(self._wrapped, key, version), wall()
        value = self._wrapped.get(key, MISSING, version=version, **extra)
        return self._record_read("get", entry, started, value, default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None, **extra: Any) -> Any:
        entry, started = self._find(self._wrapped, key, version), wall()
        value = await self._wrapped.aget(key, MISSING, version=version, **extra)
        return self._record_read("get", entry, started, value, default)

    def _record_read(self, verb: str, entry: Any, started: float, value: Any, default: Any) -> Any:
        if value is MISSING:
            self._append((started, wall(), verb, entry, UNMEASURED, None, 0, 1))
            return default
        # The size of a key is that of its last set, so a hit is measured if this process has seen none.
        measured = value if entry.size is None else UNMEASURED
        self._append((started, wall(), verb, entry, measured, None, 1, 1))
        return value

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        result = self._wrapped.set(key, value, timeout=timeout, version=version, **extra)
        self._record_set(key, started, value, timeout, version, extra, result)
        return result

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        result = await self._wrapped.aset(key, value, timeout=timeout, version=version, **extra)
        self._record_set(key, started, value, timeout, version, extra, result)
        return result

    def _record_set(
        self,
        key: Any,
        started: float,
        value: Any,
        timeout: Any,
        version: Any,
        extra: dict[str, Any],
        result: Any,
    ) -> None:
        # django-redis has an add() of this name too.
        if extra.get("nx"):
            self._record_write("add", key, started, value, timeout, version, int(not result))
        else:
            self._record_write("set", key, started, value, timeout, version)

    def _record_write(
        self,
        verb: str,
        key: Any,
        started: float,
        value: Any,
        timeout: Any,
        version: Any,
        hit: int | None = None,
    ) -> None:
        entry = self._find(self._wrapped, key, version)
        if timeout is DEFAULT_TIMEOUT:
            timeout = self._wrapped.default_timeout
        self._append((started, wall(), verb, entry, value, timeout, hit, 1))

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        stored = self._wrapped.add(key, value, timeout=timeout, version=version, **extra)
        self._record_write("add", key, started, value, timeout, version, int(not stored))
        return stored

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        stored = await self._wrapped.aadd(key, value, timeout=timeout, version=version, **extra)
        self._record_write("add", key, started, value, timeout, version, int(not stored))
        return stored

    def touch(
        self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        found = self._wrapped.touch(key, timeout=timeout, version=version, **extra)
        self._record_write("touch", key, started, UNMEASURED, timeout, version, int(bool(found)))
        return found

    async def atouch(
        self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started = wall()
        found = await self._wrapped.atouch(key, timeout=timeout, version=version, **extra)
        self._record_write("touch", key, started, UNMEASURED, timeout, version, int(bool(found)))
        return found

    def delete(self, key: Any, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        found = self._wrapped.delete(key, version=version, **extra)
        self._record_key("delete", key, started, version, int(bool(found)))
        return found

    async def adelete(self, key: Any, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        found = await self._wrapped.adelete(key, version=version, **extra)
        self._record_key("delete", key, started, version, int(bool(found)))
        return found

    def has_key(self, key: Any, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        found = self._wrapped.has_key(key, version=version, **extra)
        self._record_key("has_key", key, started, version, int(bool(found)))
        return found

    async def ahas_key(self, key: Any, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        found = await self._wrapped.ahas_key(key, version=version, **extra)
        self._record_key("has_key", key, started, version, int(bool(found)))
        return found

    def _record_key(
        self, verb: str, key: Any, started: float, version: Any, hit: int | None, value: Any = UNMEASURED
    ) -> None:
        entry = self._find(self._wrapped, key, version)
        self._append((started, wall(), verb, entry, value, None, hit, 1))

    def incr(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return self._record_sum(self._wrapped.incr, key, delta, version, extra)

    def decr(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return self._record_sum(self._wrapped.decr, key, delta, version, extra)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return await self._arecord_sum(self._wrapped.aincr, key, delta, version, extra)

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return await self._arecord_sum(self._wrapped.adecr, key, delta, version, extra)

    def _record_sum(
        self, call: Callable[..., Any], key: Any, delta: int, version: Any, extra: dict[str, Any]
    ) -> Any:
        started = wall()
        try:
            total = call(key, delta, version=version, **extra)
        except ValueError:  # the key is missing
            self._record_key("incr", key, started, version, 0)
            raise
        self._record_key("incr", key, started, version, 1, total)
        return total

    async def _arecord_sum(
        self, call: Callable[..., Any], key: Any, delta: int, version: Any, extra: dict[str, Any]
    ) -> Any:
        started = wall()
        try:
            total = await call(key, delta, version=version, **extra)
        except ValueError:  # the key is missing
            self._record_key("incr", key, started, version, 0)
            raise
        self._record_key("incr", key, started, version, 1, total)
        return total

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started, computed = wall(), _Computed(default)
        value = self._wrapped.get_or_set(key, computed, timeout=timeout, version=version, **extra)
        self._record_computed(key, started, value, timeout, version, computed)
        return value

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **extra: Any
    ) -> Any:
        started, computed = wall(), _Computed(default)
        value = await self._wrapped.aget_or_set(key, computed, timeout=timeout, version=version, **extra)
        self._record_computed(key, started, value, timeout, version, computed)
        return value

    def _record_computed(
        self, key: Any, started: float, value: Any, timeout: Any, version: Any, computed: _Computed
    ) -> None:
        entry = self._find(self._wrapped, key, version)
        if timeout is DEFAULT_TIMEOUT:
            timeout = self._wrapped.default_timeout
        measured = value if computed.was_called or entry.size is None else UNMEASURED
        hit = int(not computed.was_called)
        self._append((started, wall(), "get_or_set", entry, measured, timeout, hit, 1))

    def get_many(self, keys: Iterable[Any], version: int | None = None, **extra: Any) -> Any:
        keys, started = list(keys), wall()
        found = self._wrapped.get_many(keys, version=version, **extra)
        self._record_found(keys, started, version, found)
        return found

    async def aget_many(self, keys: Iterable[Any], version: int | None = None, **extra: Any) -> Any:
        keys, started = list(keys), wall()
        found = await self._wrapped.aget_many(keys, version=version, **extra)
        self._record_found(keys, started, version, found)
        return found

    def _record_found(self, keys: list[Any], started: float, version: Any, found: Mapping[Any, Any]) -> None:
        ended, batch = wall(), len(keys)
        for key in keys:
            entry = self._find(self._wrapped, key, version)
            value, hit = UNMEASURED, int(key in found)
            if hit and entry.size is None:
                value = found[key]
            self._append((started, ended, "get_many", entry, value, None, hit, batch))

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **extra: Any,
    ) -> Any:
        started = wall()
        failed = self._wrapped.set_many(data, timeout=timeout, version=version, **extra)
        self._record_many("set_many", data.items(), started, version, timeout)
        return failed

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **extra: Any,
    ) -> Any:
        started = wall()
        failed = await self._wrapped.aset_many(data, timeout=timeout, version=version, **extra)
        self._record_many("set_many", data.items(), started, version, timeout)
        return failed

    def delete_many(self, keys: Iterable[Any], version: int | None = None, **extra: Any) -> Any:
        keys, started = list(keys), wall()
        result = self._wrapped.delete_many(keys, version=version, **extra)
        self._record_many("delete_many", [(key, UNMEASURED) for key in keys], started, version, None)
        return result

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None, **extra: Any) -> Any:
        keys, started = list(keys), wall()
        result = await self._wrapped.adelete_many(keys, version=version, **extra)
        self._record_many("delete_many", [(key, UNMEASURED) for key in keys], started, version, None)
        return result

    def _record_many(
        self, verb: str, items: Collection[tuple[Any, Any]], started: float, version: Any, timeout: Any
    ) -> None:
        ended, batch = wall(), len(items)
        if timeout is DEFAULT_TIMEOUT:
            timeout = self._wrapped.default_timeout
        for key, value in items:
            entry = self._find(self._wrapped, key, version)
            self._append((started, ended, verb, entry, value, timeout, None, batch))

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        moved = self._wrapped.incr_version(key, delta, version=version, **extra)
        self._record_key("incr_version", key, started, version, 1)
        return moved

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        started = wall()
        moved = await self._wrapped.aincr_version(key, delta, version=version, **extra)
        self._record_key("incr_version", key, started, version, 1)
        return moved

    def decr_version(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return self.incr_version(key, -delta, version, **extra)

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None, **extra: Any) -> Any:
        return await self.aincr_version(key, -delta, version, **extra)

    def clear(self, *args: Any, **extra: Any) -> Any:
        started = wall()
        result = self._wrapped.clear(*args, **extra)
        self._append((started, wall(), "clear", self._recording.no_key, UNMEASURED, None, None, 1))
        return result

    async def aclear(self, *args: Any, **extra: Any) -> Any:
        started = wall()
        result = await self._wrapped.aclear(*args, **extra)
        self._append((started, wall(), "clear", self._recording.no_key, UNMEASURED, None, None, 1))
        return result


class _Computed:
    """The default of a ``get_or_set``, as a callable that shows whether it was called."""

    __slots__ = ("_default", "was_called")

    def __init__(self, default: Any) -> None:
        self._default = default
        self.was_called = False

    def __call__(self) -> Any:
        self.was_called = True
        return self._default() if callable(self._default) else self._default


def _forward(name: str) -> property:
    return property(lambda self: getattr(self._wrapped, name))


# BaseCache defines these too, so they would not reach __getattr__.
for _name in vars(BaseCache):
    if not _name.startswith("__") and _name not in vars(RecordingCache):
        setattr(RecordingCache, _name, _forward(_name))

show_default_timeout(RecordingCache, DEFAULT_TIMEOUT)
