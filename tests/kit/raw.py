"""The bytes under a key, as Momento holds them, and the client, memory and codec of a cache."""

from __future__ import annotations

from typing import Any

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.calls import Get, Operation
from django_momento.client.client import Client
from django_momento.client.registry import clients
from django_momento.codec.attributes import Attributes
from django_momento.codec.codec import ValueCodec
from django_momento.conf.loading import load_codec
from django_momento.policies.near import Near, nears
from django_momento.policies.prefixes import Generation


def find_client(cache: MomentoCache) -> Client:
    """Return a client that does to keys as the cache's own does."""
    client = clients.get(cache.options.connection)
    if cache.options.clear != "prefix":
        return client
    return Generation(cache.options, lambda: cache.key_prefix).wrap(client)


def find_memory(cache: MomentoCache) -> Near:
    """Return the memory beside the client of a cache that has one."""
    return nears.attach(clients.get(cache.options.connection), cache.options)


def load_codec_of(cache: MomentoCache) -> ValueCodec:
    """Return a codec that does to values as the cache's own does, unless its keys are in the secret."""
    return load_codec(cache.options, lambda: (None, "the test"))


def encode(cache: MomentoCache, key: bytes, value: Any, attributes: Attributes | None = None) -> bytes:
    """Return the bytes that a cache would store for a value."""
    return load_codec_of(cache).encode(key, value, attributes)


def decode(cache: MomentoCache, key: bytes, data: bytes) -> Any:
    """Return the value that a cache would read, with its attributes if it has some."""
    return load_codec_of(cache).decode(key, data)


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
