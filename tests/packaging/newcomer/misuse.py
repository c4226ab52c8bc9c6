"""Mistakes that a type checker should find; each line names the error by mypy's code."""

from __future__ import annotations

from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer

caches["default"].no_such_verb("key")  # E: attr-defined


def mistakes(cache: MomentoCache) -> None:
    cache.incr("key", "1")  # E: arg-type
    cache.set_many(["key", "value"])  # E: arg-type
    cache.get_many("key", version="2")  # E: arg-type
    cache.delete_many(5)  # E: arg-type
    cache.keys("*")  # E: attr-defined
    LocalServer(port="8080")  # E: arg-type
    LocalServer(cache="newcomer")  # E: call-arg


async def forgotten(cache: MomentoCache) -> int:
    cache.aset("key", 1)  # E: unused-coroutine
    return cache.aincr("key")  # E: return-value


def reasons(error: MomentoCacheError) -> int:
    return error.cause  # E: return-value
