"""What a site does with the package, typed as strictly as can be: type checkers read it, and it is run.

``assert_type`` is where a type checker must see exactly this type.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.cache import BaseCache, caches
from typing_extensions import assert_type

from django_momento.cache import MomentoCache
from django_momento.env import Env
from django_momento.exceptions import ConfigurationError, LimitExceeded, MomentoCacheError, TransportError
from django_momento.local import LocalServer


def ours() -> MomentoCache:
    """Django's types promise a BaseCache; from here on it is known to be this package's."""
    cache = caches["default"]
    assert_type(cache, BaseCache)
    assert isinstance(cache, MomentoCache)
    assert_type(cache, MomentoCache)
    return cache


def use(cache: MomentoCache) -> None:
    cache.set("stock", 1, timeout=60)
    assert_type(cache.get("stock"), Any)
    assert_type(cache.add("stock", 2), bool)
    assert_type(cache.touch("stock", 60.5), bool)
    assert_type(cache.has_key("stock"), bool)
    assert_type(cache.incr("stock"), int)
    assert_type(cache.decr("stock", 1), int)
    assert_type(cache.get_or_set("price", lambda: 2, None), Any)
    assert_type(cache.set_many({"apples": 3, "pears": 4}), list[str])
    assert_type(cache.get_many(["apples", "pears"]), dict[str, Any])
    cache.delete_many(("apples", "pears"))
    assert_type(cache.delete("stock"), bool)
    cache.clear()


async def ause(cache: MomentoCache) -> None:
    await cache.aset("stock", 1, timeout=60)
    assert_type(await cache.aget("stock"), Any)
    assert_type(await cache.aadd("stock", 2), bool)
    assert_type(await cache.aincr("stock"), int)
    assert_type(await cache.aget_many(["stock"]), dict[str, Any])
    assert_type(await cache.aset_many({"apples": 2}), list[str])
    assert_type(await cache.adelete("stock"), bool)


def explain(error: Exception) -> str:
    if isinstance(error, LimitExceeded):
        return assert_type(error.limit, str)
    if isinstance(error, TransportError):
        return "Momento is away"
    if isinstance(error, MomentoCacheError | ConfigurationError):
        return assert_type(error.cause, str) + assert_type(error.fix, str)
    return "no affair of the cache"


def serve() -> None:
    with LocalServer(caches=["newcomer"]) as server:
        assert_type(server, LocalServer)
        assert_type(server.address, str)
        assert_type(server.port, int)
        assert_type(server.calls["Get"], int)


def configure() -> None:
    config = assert_type(Env.cache_url_config("momento://newcomer?credentials=embedded"), dict[str, Any])
    assert config["LOCATION"] == "newcomer"


if __name__ == "__main__":
    use(ours())
    asyncio.run(ause(ours()))
    assert explain(MomentoCacheError("A cause.", "A fix.")) == "A cause.A fix."
    serve()
    configure()
