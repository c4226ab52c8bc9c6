"""The control calls: create, delete, list and flush caches.

One method per RPC of ``control_client.ScsControl``, which gets the request and returns the response.
Items are none of its business, except that a flush and a delete take them all.
"""

from __future__ import annotations

from momento_wire_types import controlclient_pb2 as pb

from django_momento.local.arguments import require_cache_name
from django_momento.local.store import Store


class Control:
    def __init__(self, store: Store) -> None:
        self._store = store

    def create_cache(self, request: pb._CreateCacheRequest) -> pb._CreateCacheResponse:
        self._store.create(require_cache_name(request.cache_name, "cache_name"))
        return pb._CreateCacheResponse()

    def delete_cache(self, request: pb._DeleteCacheRequest) -> pb._DeleteCacheResponse:
        self._store.delete(require_cache_name(request.cache_name, "cache_name"))
        return pb._DeleteCacheResponse()

    def list_caches(self, request: pb._ListCachesRequest) -> pb._ListCachesResponse:
        names = self._store.names()
        return pb._ListCachesResponse(cache=[pb._Cache(cache_name=name) for name in names])

    def flush_cache(self, request: pb._FlushCacheRequest) -> pb._FlushCacheResponse:
        self._store.cache(require_cache_name(request.cache_name, "cache_name")).flush()
        return pb._FlushCacheResponse()
