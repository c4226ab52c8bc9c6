"""The calls on an item of any type: delete it, look whether it exists, read or change its TTL.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.collections import type_name
from ..storage.store import Cache
from ..validation import require_key, require_ttl


class Items:
    def delete(self, cache: Cache, request: pb._DeleteRequest) -> pb._DeleteResponse:
        cache.delete(require_key(request.cache_key))
        return pb._DeleteResponse()

    def keys_exist(self, cache: Cache, request: pb._KeysExistRequest) -> pb._KeysExistResponse:
        keys = [require_key(key) for key in request.cache_keys]
        return pb._KeysExistResponse(exists=[cache.has(key) for key in keys])

    def update_ttl(self, cache: Cache, request: pb._UpdateTtlRequest) -> pb._UpdateTtlResponse:
        key, (arm, ttl) = require_key(request.cache_key), _new_ttl(request)
        remaining = cache.remaining_ttl(key)
        if remaining is not None and not _applies(arm, ttl, remaining):
            return pb._UpdateTtlResponse(not_set={})
        if not cache.set_ttl(key, ttl):
            return pb._UpdateTtlResponse(missing={})
        return pb._UpdateTtlResponse(set={})

    def item_get_ttl(self, cache: Cache, request: pb._ItemGetTtlRequest) -> pb._ItemGetTtlResponse:
        remaining = cache.remaining_ttl(require_key(request.cache_key))
        if remaining is None:
            return pb._ItemGetTtlResponse(missing={})
        return pb._ItemGetTtlResponse(found={"remaining_ttl_millis": remaining})

    def item_get_type(self, cache: Cache, request: pb._ItemGetTypeRequest) -> pb._ItemGetTypeResponse:
        value = cache.value(require_key(request.cache_key))
        if value is None:
            return pb._ItemGetTypeResponse(missing={})
        item_type = pb._ItemGetTypeResponse.ItemType.Value(type_name(value))
        return pb._ItemGetTypeResponse(found={"item_type": item_type})


def _new_ttl(request: pb._UpdateTtlRequest) -> tuple[str, int]:
    """Return the arm of the request, which says how the TTL may change, and the new TTL."""
    arm = request.WhichOneof("update_ttl")
    if arm is None:
        raise InvalidArgument("update_ttl must be set: it says how to change the TTL")
    return arm, require_ttl(getattr(request, arm), arm)


def _applies(arm: str, ttl: int, remaining: int) -> bool:
    match arm:
        case "increase_to_milliseconds":
            return ttl > remaining
        case "decrease_to_milliseconds":
            return ttl < remaining
        case _:
            return True
