"""``DualCache``: an alias over two others, for the change from one to the other.

    CACHES = {
        "default": {
            "BACKEND": "django_momento.migration.DualCache",
            "OPTIONS": {"OLD": "redis", "NEW": "momento", "PHASE": "file:/etc/site/cache-phase"},
        },
        "redis": {...},
        "momento": {...},
    }

Keys, versions and timeouts pass through unchanged: each of the two aliases has its own KEY_PREFIX, VERSION,
KEY_FUNCTION and TIMEOUT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import isawaitable
from typing import Any, TypeVar, cast

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.utils.functional import cached_property

from ..policies.timeouts import show_default_timeout
from .calls import Call, Calls
from .leaving import decide, look_at_mark
from .maintenance import PAUSE, maintain
from .pair import Pair
from .phases import DONE, DUAL
from .settings import Pairing, find_alias, parse_pairing
from .sides import arun, phase_of, run
from .state import Migration, migrations
from .values import MISSING

T = TypeVar("T")
Timeout = Any

# Verbs of django-redis and its like that change one key. OLD runs them, and NEW then loses the key.
_KEY_WRITERS = frozenset({"expire", "pexpire", "expire_at", "pexpire_at", "persist"})


# The attributes of Django's caches that are those of the side that decides.
_SHARED = ("key_prefix", "version", "key_func", "default_timeout")


class DualCache(BaseCache):
    """A cache that writes to two others and reads as the phase of the migration says.

    The methods raise ConfigurationError if the settings are wrong. If one side fails, the other serves. In
    ``shadow`` a failure of OLD is raised, unless OLD or IGNORE_EXCEPTIONS says to fail open.

    Attributes that Django's caches do not have, such as ``ttl`` and ``lock``, are those of OLD until ``done``
    and those of NEW from then on.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        # Wrong settings raise at the first use, so that `manage.py check` can explain them.
        self._params = params
        self._is_starting = True
        super().__init__({})
        self._is_starting = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}.")
        cache = self._plain
        if name == "delete_pattern" and not self._is_done and hasattr(cache, "iter_keys"):
            return self._delete_pattern
        found = getattr(cache, name)
        if name in _KEY_WRITERS and not self._is_done:
            return self._forgetting(found)
        if name[0] == "a" and name[1:] in _KEY_WRITERS and not self._is_done:
            return self._aforgetting(found)
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._params.get('OPTIONS')!r}>"

    @cached_property
    def pairing(self) -> Pairing:
        """The parsed settings. Raises ConfigurationError."""
        return parse_pairing(find_alias(self._params), self._params)

    @property
    def migration(self) -> Migration:
        """The state of the migration in this process."""
        return self.pair.migration

    @cached_property
    def pair(self) -> Pair:
        """Both caches, and the state that they share with the process."""
        return Pair(migrations.get(self.pairing))

    @cached_property
    def _calls(self) -> Calls:
        return Calls(self.pair)

    @property
    def _is_done(self) -> bool:
        return decide(self.migration, self.migration.phase.peek()) == DONE

    @property
    def _plain(self) -> Any:
        """The cache that decides, as its alias gives it."""
        return caches[self.pairing.new if self._is_done else self.pairing.old]

    def _run(self, call: Call[T]) -> T:
        migration = self.migration
        phase = migration.phase.get()
        if (look := look_at_mark(self.pair, phase)) is not None:
            run(look, migration)
        phase = decide(migration, phase)
        if phase == DONE:
            if not migration.lingers(is_write=call.lingers):
                new = getattr(caches[self.pairing.new], call.verb)
                return cast("T", new(*call.args, **call.kwargs))
            phase = DUAL
        result = run(call.plan(phase), migration)
        if migration.takes_turn(PAUSE):
            run(maintain(self.pair, phase), migration)
        return result

    async def _arun(self, call: Call[T]) -> T:
        migration = self.migration
        phase = await phase_of(migration)
        if (look := look_at_mark(self.pair, phase)) is not None:
            await arun(look, migration)
        phase = decide(migration, phase)
        if phase == DONE:
            if not migration.lingers(is_write=call.lingers):
                new = getattr(caches[self.pairing.new], f"a{call.verb}")
                return cast("T", await new(*call.args, **call.kwargs))
            phase = DUAL
        result = await arun(call.plan(phase), migration)
        if migration.takes_turn(PAUSE):
            await arun(maintain(self.pair, phase), migration)
        return result

    def get(self, key: object, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or ``default`` if no side that may serve the read has the key."""
        return self._run(self._calls.get(key, default, version))

    async def aget(self, key: object, default: Any = None, version: int | None = None) -> Any:
        """See get()."""
        return await self._arun(self._calls.get(key, default, version))

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return a dict of the keys that exist."""
        keys = list(keys)
        return self._run(self._calls.get_many(keys, version))

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """See get_many()."""
        keys = list(keys)
        return await self._arun(self._calls.get_many(keys, version))

    def has_key(self, key: object, version: int | None = None) -> bool:
        """Return whether the key exists."""
        return self._run(self._calls.has_key(key, version))

    async def ahas_key(self, key: object, version: int | None = None) -> bool:
        """See has_key()."""
        return await self._arun(self._calls.has_key(key, version))

    def set(
        self,
        key: object,
        value: Any,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        **foreign: Any,
    ) -> Any:
        """Store a value on both sides.

        Arguments that Django does not know, such as ``nx``, go to OLD alone. NEW then loses the key.
        """
        return self._run(self._calls.set(key, value, timeout, version, foreign))

    async def aset(
        self,
        key: object,
        value: Any,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        **foreign: Any,
    ) -> Any:
        """See set()."""
        return await self._arun(self._calls.set(key, value, timeout, version, foreign))

    def set_many(
        self, data: Mapping[Any, Any], timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store values on both sides, and return the keys that the side that decides did not store."""
        if not data:
            return []
        return self._run(self._calls.set_many(data, timeout, version))

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """See set_many()."""
        if not data:
            return []
        return await self._arun(self._calls.set_many(data, timeout, version))

    def touch(self, key: object, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set a new timeout on both sides, and return whether the key exists."""
        return self._run(self._calls.touch(key, timeout, version))

    async def atouch(
        self, key: object, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """See touch()."""
        return await self._arun(self._calls.touch(key, timeout, version))

    def delete(self, key: object, version: int | None = None) -> bool:
        """Delete a key on both sides, and return whether it existed."""
        return self._run(self._calls.delete(key, version))

    async def adelete(self, key: object, version: int | None = None) -> bool:
        """See delete()."""
        return await self._arun(self._calls.delete(key, version))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Delete keys on both sides."""
        keys = list(keys)
        if not keys:
            return
        self._run(self._calls.delete_many(keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """See delete_many()."""
        keys = list(keys)
        if not keys:
            return
        await self._arun(self._calls.delete_many(keys, version))

    def clear(self) -> None:
        """Empty both sides, each as its own ``clear`` does."""
        self._run(self._calls.clear())

    async def aclear(self) -> None:
        """See clear()."""
        await self._arun(self._calls.clear())

    def add(
        self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Store a value if OLD has none, and return whether it was stored."""
        return self._run(self._calls.add(key, value, timeout, version))

    async def aadd(
        self, key: object, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """See add()."""
        return await self._arun(self._calls.add(key, value, timeout, version))

    def incr(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """Add to an integer on OLD, and return the sum. Raises ValueError if OLD does not have the key."""
        return self._run(self._calls.count("incr", key, delta, version))

    async def aincr(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """See incr()."""
        return await self._arun(self._calls.count("incr", key, delta, version))

    def decr(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """Subtract from an integer on OLD; see incr()."""
        return self._run(self._calls.count("decr", key, delta, version))

    async def adecr(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """See decr()."""
        return await self._arun(self._calls.count("decr", key, delta, version))

    def incr_version(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """Move a value to another version, and return that. Raises ValueError if the key is missing."""
        return self._run(self._calls.incr_version(key, delta, version))

    async def aincr_version(self, key: object, delta: int = 1, version: int | None = None) -> int:
        """See incr_version()."""
        return await self._arun(self._calls.incr_version(key, delta, version))

    def get_or_set(
        self,
        key: object,
        default: Any,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        **foreign: Any,
    ) -> Any:
        """Return the value. If there is none, store and return ``default``, or the result if it is callable.

        While OLD is out in ``dual``, the value is stored on NEW alone.
        """
        if decide(self.migration, self.migration.phase.get()) == DONE or foreign:
            return self._plain.get_or_set(key, default, timeout=timeout, version=version, **foreign)
        value = self.get(key, MISSING, version=version)
        if value is not MISSING:
            return value
        if callable(default):
            default = default()
        if self._run(self._calls.add_or_set(key, default, timeout, version)):
            return default
        return self.get(key, default, version=version)

    async def aget_or_set(
        self,
        key: object,
        default: Any,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        **foreign: Any,
    ) -> Any:
        """See get_or_set(). If ``default`` returns an awaitable, it is awaited."""
        if decide(self.migration, await phase_of(self.migration)) == DONE or foreign:
            return await self._plain.aget_or_set(key, default, timeout=timeout, version=version, **foreign)
        value = await self.aget(key, MISSING, version=version)
        if value is not MISSING:
            return value
        if callable(default):
            default = default()
            if isawaitable(default):
                default = await default
        if await self._arun(self._calls.add_or_set(key, default, timeout, version)):
            return default
        return await self.aget(key, default, version=version)

    def make_key(self, key: object, version: int | None = None) -> str:
        """Return the full key of the side that decides."""
        return str(self._plain.make_key(key, version=version))

    def validate_key(self, key: str) -> None:
        """Warn about a full key as the side that decides does."""
        self._plain.validate_key(key)

    def close(self, **kwargs: Any) -> None:
        """Close both sides."""
        if "pair" in self.__dict__:
            for side in self.pair.sides:
                side.cache.close(**kwargs)

    async def aclose(self, **kwargs: Any) -> None:
        """See close()."""
        if "pair" in self.__dict__:
            for side in self.pair.sides:
                await side.cache.aclose(**kwargs)

    def _forgetting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of OLD that changes one key, after which NEW loses the key."""

        @wraps(method)
        def call(key: object, *args: Any, version: int | None = None, **kwargs: Any) -> Any:
            return self._run(self._calls.foreign(method.__name__, (key, *args), version, kwargs))

        return call

    def _aforgetting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """See _forgetting()."""

        @wraps(method)
        async def call(key: object, *args: Any, version: int | None = None, **kwargs: Any) -> Any:
            return await self._arun(self._calls.foreign(method.__name__[1:], (key, *args), version, kwargs))

        return call

    def _delete_pattern(self, pattern: str, version: int | None = None, **kwargs: Any) -> int:
        """Delete the keys of OLD that match, on both sides, and return their number."""
        keys = list(self._plain.iter_keys(pattern, version=version, **kwargs))
        self.delete_many(keys, version=version)
        return len(keys)


def _share(name: str) -> property:
    """Return a property that is the attribute of the side that decides. It is set on both."""

    def get(self: DualCache) -> Any:
        return getattr(self._plain, name)

    def set_both(self: DualCache, value: Any) -> None:
        if self._is_starting:  # the base class sets its own
            return
        for cache in (self._plain, *(side.cache for side in self.pair.sides)):
            setattr(cache, name, value)

    return property(get, set_both)


for _name in _SHARED:
    setattr(DualCache, _name, _share(_name))

show_default_timeout(DualCache, DEFAULT_TIMEOUT)
