"""The seconds that a stored value has left, for backends that can tell."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any, Final

from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from ..cache import MomentoCache

UNKNOWN: Final = -1.0
"""The backend cannot tell, or the key is missing."""

TimeLeft = float | None
"""Seconds, ``None`` for a value without an end, or ``UNKNOWN``."""


def can_tell(cache: Any) -> bool:
    """Return whether the backend can tell the time that a value has left."""
    return isinstance(cache, LocMemCache | FileBasedCache | RedisCache) or any(
        callable(getattr(cache, name, None)) for name in ("pttl", "ttl")
    )


def time_left(cache: Any, key: object, version: int | None) -> TimeLeft:
    """Return the seconds that a value has left. May do I/O, and raise as the backend does."""
    if isinstance(cache, MomentoCache):
        return _of_ours(cache.ttl(key, version=version)) if hasattr(cache, "ttl") else UNKNOWN
    if isinstance(cache, LocMemCache):
        return _in_memory(cache, key, version)
    if isinstance(cache, FileBasedCache):
        return _in_file(cache, key, version)
    if isinstance(cache, RedisCache):
        full_key = cache.make_and_validate_key(key, version=version)
        return _of_redis(cache._cache.get_client(full_key).pttl(full_key))  # noqa: SLF001 - no public way
    if callable(getattr(cache, "pttl", None)):
        return _of_redis(cache.pttl(key, version=version))
    if callable(getattr(cache, "ttl", None)):
        seconds = cache.ttl(key, version=version)
        return None if seconds is None else _positive(seconds)
    return UNKNOWN


async def atime_left(cache: Any, key: object, version: int | None) -> TimeLeft:
    """See time_left(). Only backends with native async methods are asked in the event loop."""
    if isinstance(cache, MomentoCache):
        return _of_ours(await cache.attl(key, version=version)) if hasattr(cache, "attl") else UNKNOWN
    from asgiref.sync import sync_to_async

    return await sync_to_async(time_left)(cache, key, version)


def _of_ours(seconds: float | None) -> TimeLeft:
    """Return a second less than ``ttl`` does, because it rounds up, and a copy must not live longer."""
    return UNKNOWN if seconds is None else _positive(seconds - 1)


def _of_redis(milliseconds: int | None) -> TimeLeft:
    """Return the seconds of the result of PTTL: -1 is no end, and -2 missing. django-redis has None and 0."""
    if milliseconds is None or milliseconds == -1:
        return None
    return _positive(milliseconds / 1000)


def _in_memory(cache: Any, key: object, version: int | None) -> TimeLeft:
    full_key = cache.make_and_validate_key(key, version=version)
    # By Django's own clock, which decides whether a value has ended.
    with cache._lock:  # noqa: SLF001 - Django has no public way
        expires_at = cache._expire_info.get(full_key, UNKNOWN)  # noqa: SLF001 - no public way
    return None if expires_at is None else _positive(expires_at - time.time())


def _in_file(cache: Any, key: object, version: int | None) -> TimeLeft:
    """Read the first of the two pickles in the file of a value, as Django does for each ``get``."""
    try:
        with Path(cache._key_to_file(key, version)).open("rb") as file:  # noqa: SLF001 - no public way
            expires_at = pickle.load(file)  # noqa: S301 - the file of Django's own backend
    except FileNotFoundError:
        return UNKNOWN
    return None if expires_at is None else _positive(expires_at - time.time())


def _positive(seconds: float) -> TimeLeft:
    return seconds if seconds > 0 else UNKNOWN
