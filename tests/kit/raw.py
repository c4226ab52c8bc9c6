"""The bytes under a key, as Momento holds them, read and written beside the codec."""

from __future__ import annotations

from typing import Any

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.calls import Get, Operation
from django_momento.client.registry import clients


def read_bytes(cache: MomentoCache, key: str) -> bytes | None:
    """Return the stored bytes of a key, None if there are none."""

    def steps() -> Operation[Any]:
        return (yield Get(cache.make_key(key).encode()))

    found: bytes | None = clients.get(cache.options.connection).run(cache.options.cache_name, steps())
    return found


def write_bytes(cache: MomentoCache, key: str, data: bytes) -> None:
    """Store bytes under a key, for a minute."""
    steps = operations.set(cache.make_key(key).encode(), data, 60_000)
    clients.get(cache.options.connection).run(cache.options.cache_name, steps)
