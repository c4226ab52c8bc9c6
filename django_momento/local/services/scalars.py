"""The calls on scalars: get and set in all their forms, alone and in batches, and increment.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.store import Cache
from ..validation import add, require_item, require_item_size, require_key, require_ttl


class Scalars:
    def get(self, cache: Cache, request: pb._GetRequest) -> pb._GetResponse:
        return _hit_or_miss(cache.get(require_key(request.cache_key)))

    def get_batch(self, cache: Cache, request: pb._GetBatchRequest) -> GetResponses:
        return GetResponses([cache.get(require_key(item.cache_key)) for item in request.items])

    def set(self, cache: Cache, request: pb._SetRequest) -> pb._SetResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetResponse(result=pb.Ok)

    def set_batch(self, cache: Cache, request: pb._SetBatchRequest) -> Iterable[pb._SetResponse]:
        # All items are checked before the first is written, so that a stream that fails has changed nothing.
        for item in request.items:
            require_item(item.cache_key, item.cache_body, item.ttl_milliseconds)
        for item in request.items:
            cache.put(item.cache_key, item.cache_body, item.ttl_milliseconds)
        return [pb._SetResponse(result=pb.Ok)] * len(request.items)

    def set_if(self, cache: Cache, request: pb._SetIfRequest) -> pb._SetIfResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if not _condition_holds(request, cache):
            return pb._SetIfResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfResponse(stored={})

    def set_if_not_exists(
        self, cache: Cache, request: pb._SetIfNotExistsRequest
    ) -> pb._SetIfNotExistsResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if cache.has(request.cache_key):
            return pb._SetIfNotExistsResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfNotExistsResponse(stored={})

    def increment(self, cache: Cache, request: pb._IncrementRequest) -> pb._IncrementResponse:
        key, ttl = require_key(request.cache_key), require_ttl(request.ttl_milliseconds)
        total = add(cache.get(key), request.amount)
        value = b"%d" % total
        require_item_size(key, value)
        cache.put(key, value, ttl)
        return pb._IncrementResponse(value=total)


class Hashes:
    """The calls that compare hashes of values. A hash is opaque, and equal values have equal hashes."""

    def get_with_hash(self, cache: Cache, request: pb._GetWithHashRequest) -> pb._GetWithHashResponse:
        value = cache.get(require_key(request.cache_key))
        if value is None:
            return pb._GetWithHashResponse(missing={})
        return pb._GetWithHashResponse(found={"value": value, "hash": _hash(value)})

    def set_if_hash(self, cache: Cache, request: pb._SetIfHashRequest) -> pb._SetIfHashResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if not _hash_condition_holds(request, cache):
            return pb._SetIfHashResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfHashResponse(stored={"new_hash": _hash(request.cache_body)})


class GetResponses:
    """The responses of a batch. A response copies its value, so each is created only when it is sent."""

    def __init__(self, values: list[bytes | None]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[pb._GetResponse]:
        return map(_hit_or_miss, self.values)


def _hit_or_miss(value: bytes | None) -> pb._GetResponse:
    if value is None:
        return pb._GetResponse(result=pb.Miss)
    return pb._GetResponse(result=pb.Hit, cache_body=value)


def _condition_holds(request: pb._SetIfRequest, cache: Cache) -> bool:
    """Return whether the present value, or its absence, meets the condition of the request."""
    condition = request.WhichOneof("condition")
    if condition is None:
        raise InvalidArgument("condition must be set: it says when to store the value")
    # Conditions on presence alone apply to an item of any type. The others compare its value.
    if condition == "present":
        return cache.has(request.cache_key)
    if condition == "absent":
        return not cache.has(request.cache_key)
    stored = cache.get(request.cache_key)
    present = stored is not None
    equal: bool = stored == getattr(request, condition).value_to_check
    return {
        "equal": equal,
        "not_equal": not equal,
        "present_and_not_equal": present and not equal,
        "absent_or_equal": not present or equal,
    }[condition]


def _hash(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _hash_condition_holds(request: pb._SetIfHashRequest, cache: Cache) -> bool:
    """Return whether the hash of the present value, or its absence, meets the condition of the request."""
    condition = request.WhichOneof("condition")
    if condition is None:
        raise InvalidArgument("condition must be set: it says when to store the value")
    if condition == "unconditional":
        return True
    stored = cache.get(request.cache_key)
    present = stored is not None
    equal = stored is not None and _hash(stored) == getattr(request, condition).hash_to_check
    return {
        "present_and_hash_equal": equal,
        "present_and_not_hash_equal": present and not equal,
        "absent_or_hash_equal": not present or equal,
        "absent_or_not_hash_equal": not equal,
    }[condition]
