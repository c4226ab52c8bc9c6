"""Create, delete, list and flush over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import controlclient_pb2 as control

from django_momento.local import LocalServer
from tests.kit.wire import Wire, refusal, status
from tests.local.conftest import Connect


def names(wire: Wire) -> Any:
    return [cache.cache_name for cache in wire.ListCaches(control._ListCachesRequest()).cache]


def test_a_created_cache_is_listed_and_can_be_used(wire: Wire) -> None:
    """ListCaches has it at once, on one page."""
    wire.CreateCache(control._CreateCacheRequest(cache_name="new"))
    assert names(wire) == ["cache", "new"]
    assert wire.ListCaches(control._ListCachesRequest()).next_token == ""
    assert wire.Get(pb._GetRequest(cache_key=b"k"), cache="new").result == pb.Miss


def test_creating_an_existing_cache_says_so(wire: Wire) -> None:
    """ALREADY_EXISTS, with the name."""
    error = refusal(wire.CreateCache, control._CreateCacheRequest(cache_name="cache"))
    assert (error.code(), error.details()) == (StatusCode.ALREADY_EXISTS, "Cache already exists: cache")


def test_a_deleted_cache_is_gone(wire: Wire) -> None:
    """It is not listed, its calls fail, and so does deleting it again."""
    wire.DeleteCache(control._DeleteCacheRequest(cache_name="cache"))
    assert names(wire) == []
    assert status(wire.Get, pb._GetRequest(cache_key=b"k")) == StatusCode.NOT_FOUND
    assert status(wire.DeleteCache, control._DeleteCacheRequest(cache_name="cache")) == StatusCode.NOT_FOUND


def test_a_flushed_cache_is_empty_and_stays(wire: Wire) -> None:
    """All items go, the cache does not."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=10))
    wire.FlushCache(control._FlushCacheRequest(cache_name="cache"))
    assert wire.Get(pb._GetRequest(cache_key=b"k")).result == pb.Miss
    assert names(wire) == ["cache"]


def test_flushing_a_missing_cache_fails(wire: Wire) -> None:
    """NOT_FOUND, as for any call on it."""
    error = refusal(wire.FlushCache, control._FlushCacheRequest(cache_name="nowhere"))
    assert (error.code(), error.details()) == (StatusCode.NOT_FOUND, "Cache not found: nowhere")


def test_flushing_creates_the_cache_where_missing_ones_are_made(connect: Connect) -> None:
    """An embedded server has every cache its application names."""
    with LocalServer(create_missing_caches=True) as server:
        wire = connect(server)
        wire.FlushCache(control._FlushCacheRequest(cache_name="new"))
        assert names(wire) == ["new"]


@pytest.mark.parametrize("rpc", ["CreateCache", "DeleteCache", "FlushCache"])
def test_an_empty_cache_name_is_an_invalid_argument(wire: Wire, rpc: Any) -> None:
    """The text names the argument."""
    error = refusal(getattr(wire, rpc), getattr(control, f"_{rpc}Request")())
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert error.details() == "cache_name must not be empty: it names the cache"
