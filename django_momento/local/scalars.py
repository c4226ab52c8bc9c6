"""The calls on scalars: get and set in all their forms, one by one and in batches, and increment.

One method per RPC of ``cache_client.Scs``, which gets the cache and the request and returns the
response. No gRPC here, no keys and no counting: ``dispatch`` did that before.
"""

from __future__ import annotations

from collections.abc import Iterable

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.arguments import require_item, require_item_size, require_key, require_ttl
from django_momento.local.errors import InvalidArgument
from django_momento.local.integers import add
from django_momento.local.store import Cache


class Scalars:
    def get(self, cache: Cache, request: pb._GetRequest) -> pb._GetResponse:
        return hit_or_miss(cache.get(require_key(request.cache_key)))

    def get_batch(self, cache: Cache, request: pb._GetBatchRequest) -> Iterable[pb._GetResponse]:
        values = [cache.get(require_key(item.cache_key)) for item in request.items]
        # A response copies its value, so each is made only when it is about to be sent.
        return (hit_or_miss(value) for value in values)

    def set(self, cache: Cache, request: pb._SetRequest) -> pb._SetResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetResponse(result=pb.Ok)

    def set_batch(self, cache: Cache, request: pb._SetBatchRequest) -> Iterable[pb._SetResponse]:
        # All are checked before the first is written: a stream that fails has changed nothing.
        for item in request.items:
            require_item(item.cache_key, item.cache_body, item.ttl_milliseconds)
        for item in request.items:
            cache.put(item.cache_key, item.cache_body, item.ttl_milliseconds)
        return [pb._SetResponse(result=pb.Ok)] * len(request.items)

    def set_if(self, cache: Cache, request: pb._SetIfRequest) -> pb._SetIfResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if not condition_holds(request, cache):
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


def hit_or_miss(value: bytes | None) -> pb._GetResponse:
    if value is None:
        return pb._GetResponse(result=pb.Miss)
    return pb._GetResponse(result=pb.Hit, cache_body=value)


def condition_holds(request: pb._SetIfRequest, cache: Cache) -> bool:
    """Whether what is stored now, perhaps nothing, is what the request wants to write over."""
    condition = request.WhichOneof("condition")
    if condition is None:
        raise InvalidArgument("condition must be set: it says when to store the value")
    # Conditions on presence alone hold for an item of any type; the others compare its value.
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
