"""What is compared, opened and ready: two functions for each, ``get(key)`` and ``set(key, value)``.

Everything is made as its documentation says, with its defaults. A miss or an error raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.cache import caches

from . import settings

if TYPE_CHECKING:
    from momento import CacheClient, CacheClientAsync

OURS = "django-momento"
SDK = "CacheClient"
ASYNC_SDK = "CacheClientAsync"
REDIS_PY = "redis-py"
DJANGO_REDIS = "django-redis"
REDIS_CACHE = "RedisCache"
LOCMEM = "LocMemCache"
NEED_REDIS = (REDIS_PY, DJANGO_REDIS, REDIS_CACHE)

SECONDS = 3600
_TTL = timedelta(seconds=SECONDS)

KEYS = [f"benchmark:{number}" for number in range(100)]


class Missed(Exception):
    """A contender returned another value than the stored one. Its figures would mean nothing."""


class Verbs(NamedTuple):
    get: Callable[[str], Any]
    set: Callable[[str, bytes], object]


def value_of(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


def keys(operations: int) -> Iterator[str]:
    return islice(cycle(KEYS), operations)


@contextmanager
def opened(name: str) -> Iterator[Verbs]:
    """Open a contender by its name."""
    if name == SDK:
        with sdk_client() as client:
            yield Verbs(partial(sdk_get, client), partial(sdk_set, client))
    elif name == REDIS_PY:
        import redis

        with redis.Redis.from_url(settings.REDIS) as connection:
            yield Verbs(connection.get, partial(connection.set, ex=SECONDS))
    else:
        cache = caches[name]
        yield Verbs(cache.get, partial(cache.set, timeout=SECONDS))


@contextmanager
def filled(name: str, size: int, count: int = len(KEYS)) -> Iterator[Verbs]:
    """Open a contender in which the first ``count`` keys hold a value of that size, and check one."""
    with opened(name) as verbs:
        for key in many(count):
            verbs.set(key, value_of(size))
        check(verbs.get(KEYS[0]), size)
        yield verbs


def check(answer: object, size: int) -> None:
    if answer != value_of(size):
        raise Missed("A value did not come back as it was stored.")


def many(count: int) -> list[str]:
    return [f"benchmark:{number}" for number in range(count)]


@contextmanager
def sdk_client() -> Iterator[CacheClient]:
    """The SDK's client with the configuration that this backend has by default for a local server."""
    from momento import CacheClient, Configurations

    with CacheClient(Configurations.Laptop.latest(), provider(), _TTL) as client:
        yield client


def async_sdk_client() -> CacheClientAsync:
    """Its asyncio twin, which belongs to the event loop that runs now."""
    from momento import CacheClientAsync, Configurations

    return CacheClientAsync(Configurations.Laptop.latest(), provider(), _TTL)


def provider() -> Any:
    from momento import CredentialProvider

    host, port = settings.MOMENTO.split(":")
    return CredentialProvider.for_momento_local(host, int(port))


def sdk_get(client: CacheClient, key: str) -> bytes:
    return hit(client.get(settings.CACHE_NAME, key))


def hit(response: Any) -> bytes:
    """Return the value of one of the SDK's responses, of which only a hit has one."""
    value: bytes = response.value_bytes
    return value


def sdk_set(client: CacheClient, key: str, value: bytes) -> None:
    from momento.responses import CacheSet

    response = client.set(settings.CACHE_NAME, key, value, _TTL)
    if not isinstance(response, CacheSet.Success):
        raise Missed(str(response))
