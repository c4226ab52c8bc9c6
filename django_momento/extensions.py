"""The verbs that a cache of Momento has beyond Django's. Each is a feature of its own in ``policies``."""

from __future__ import annotations

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from .client import operations
from .execution import OperationCache
from .items import Key
from .policies.timeouts import Timeout, show_default_timeout, to_whole_seconds


class ExtendedCache(OperationCache):
    """A cache with the verbs beyond Django's, which import their feature when they are first called."""

    def ttl(self, key: Key, version: int | None = None) -> int | None:
        """Return the seconds that a key has left, or None if it is missing.

        Part of a second counts as a whole one, so a key that exists has at least 1 second left.
        """
        remaining = self._run("ttl", (key,), operations.ttl(self._momento_key(key, version)), None)
        return None if remaining is None else to_whole_seconds(remaining)

    async def attl(self, key: Key, version: int | None = None) -> int | None:
        """See ttl()."""
        remaining = await self._arun("ttl", (key,), operations.ttl(self._momento_key(key, version)), None)
        return None if remaining is None else to_whole_seconds(remaining)

    def expire(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Call touch(), which Redis calls expire."""
        return self.touch(key, timeout, version)  # type: ignore[arg-type]  # MomentoCache's takes a timedelta

    async def aexpire(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See expire()."""
        return await self.atouch(key, timeout, version)  # type: ignore[arg-type]  # as in expire()


show_default_timeout(ExtendedCache, DEFAULT_TIMEOUT)
