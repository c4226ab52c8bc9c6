"""The time that a stored value has left, as each backend tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.migration.time_left import UNKNOWN, atime_left, can_tell, time_left
from tests.kit.redis import RedisServer

BACKENDS = ["locmem", "file", "redis", "django_redis", "momento"]


@pytest.fixture(params=BACKENDS)
def backend(request, make_cache, settings, tmp_path, redis_server: RedisServer) -> Any:
    make_cache(alias="momento")
    ours = settings.CACHES["momento"]
    settings.CACHES = {
        "default": {
            "locmem": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": str(tmp_path),
            },
            "file": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": str(tmp_path),
            },
            "redis": redis_server.settings(),
            "django_redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_server.url},
            "momento": ours,
        }[request.param]
    }
    return caches["default"]


@pytest.mark.parametrize("face", ["sync", "async"])
def test_it_is_told_and_never_more_than_it_is(backend, face):
    def ask(key: str, version: int | None = None) -> Any:
        if face == "sync":
            return time_left(backend, key, version)
        return asyncio.run(atime_left(backend, key, version))

    backend.set("key", "value", 100)
    backend.set("other", "value", 50, version=2)
    backend.set("forever", "value", None)

    assert can_tell(backend)
    assert 90 < ask("key") <= 100
    assert 40 < ask("other", 2) <= 50
    forever = ask("forever")
    assert forever is None or 86_000 < forever <= 86_400
    assert UNKNOWN == ask("none")


def test_a_backend_that_does_not_tell_is_known(settings):
    settings.CACHES = {"default": {"BACKEND": "tests.migration.backends.Silent"}}
    caches["default"].set("key", "value")

    assert not can_tell(caches["default"])
    assert UNKNOWN == time_left(caches["default"], "key", None)
