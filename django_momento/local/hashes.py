"""The calls on scalars that compare hashes of values instead of the values themselves.

One method per RPC of ``cache_client.Scs``, which gets the cache and the request and returns the
response. A hash is opaque to clients: all they know is that equal values have equal hashes.
"""

from __future__ import annotations

from hashlib import blake2b

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.arguments import require_item, require_key
from django_momento.local.errors import InvalidArgument
from django_momento.local.store import Cache


class Hashes:
    def get_with_hash(self, cache: Cache, request: pb._GetWithHashRequest) -> pb._GetWithHashResponse:
        value = cache.get(require_key(request.cache_key))
        if value is None:
            return pb._GetWithHashResponse(missing={})
        return pb._GetWithHashResponse(found={"value": value, "hash": hash_of(value)})

    def set_if_hash(self, cache: Cache, request: pb._SetIfHashRequest) -> pb._SetIfHashResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if not condition_holds(request, cache):
            return pb._SetIfHashResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfHashResponse(stored={"new_hash": hash_of(request.cache_body)})


def hash_of(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def condition_holds(request: pb._SetIfHashRequest, cache: Cache) -> bool:
    """Whether what is stored now, perhaps nothing, is what the request wants to write over."""
    condition = request.WhichOneof("condition")
    if condition is None:
        raise InvalidArgument("condition must be set: it says when to store the value")
    if condition == "unconditional":
        return True
    stored = cache.get(request.cache_key)
    present = stored is not None
    equal = stored is not None and hash_of(stored) == getattr(request, condition).hash_to_check
    return {
        "present_and_hash_equal": equal,
        "present_and_not_hash_equal": present and not equal,
        "absent_or_hash_equal": not present or equal,
        "absent_or_not_hash_equal": not equal,
    }[condition]
