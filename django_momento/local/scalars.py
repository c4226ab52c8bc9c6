"""The calls on scalars: get and set in all their forms, one by one and in batches, and increment.

One method per RPC of ``cache_client.Scs``, which gets the cache and the request and returns the
response. No gRPC here, no keys and no counting: ``dispatch`` did that before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.arguments import require_item, require_item_size, require_key, require_ttl
from django_momento.local.errors import IncrementOverflow, InvalidArgument, NotAnInteger
from django_momento.local.store import Cache

INT64 = range(-(2**63), 2**63)
# Nineteen digits hold every 64-bit integer, and int() stays clear of Python's own digit limit.
INTEGER = re.compile(rb"-?[0-9]{1,19}")


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
        if not condition_holds(request, cache.get(request.cache_key)):
            return pb._SetIfResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfResponse(stored={})

    def set_if_not_exists(
        self, cache: Cache, request: pb._SetIfNotExistsRequest
    ) -> pb._SetIfNotExistsResponse:
        require_item(request.cache_key, request.cache_body, request.ttl_milliseconds)
        if cache.get(request.cache_key) is not None:
            return pb._SetIfNotExistsResponse(not_stored={})
        cache.put(request.cache_key, request.cache_body, request.ttl_milliseconds)
        return pb._SetIfNotExistsResponse(stored={})

    def increment(self, cache: Cache, request: pb._IncrementRequest) -> pb._IncrementResponse:
        key, ttl = require_key(request.cache_key), require_ttl(request.ttl_milliseconds)
        stored = cache.get(key)
        total = request.amount + (0 if stored is None else parse_integer(stored))
        if total not in INT64:
            raise IncrementOverflow(total)
        value = b"%d" % total
        require_item_size(key, value)
        cache.put(key, value, ttl)
        return pb._IncrementResponse(value=total)


def hit_or_miss(value: bytes | None) -> pb._GetResponse:
    if value is None:
        return pb._GetResponse(result=pb.Miss)
    return pb._GetResponse(result=pb.Hit, cache_body=value)


def condition_holds(request: pb._SetIfRequest, stored: bytes | None) -> bool:
    """Whether the value stored now, None if absent, is one the request wants to write over."""
    condition = request.WhichOneof("condition")
    if condition is None:
        raise InvalidArgument("condition must be set: it says when to store the value")
    present = stored is not None
    # Conditions on presence alone carry no value, and look at `equal` no more than they do.
    equal: bool = stored == getattr(getattr(request, condition), "value_to_check", None)
    return {
        "present": present,
        "absent": not present,
        "equal": equal,
        "not_equal": not equal,
        "present_and_not_equal": present and not equal,
        "absent_or_equal": not present or equal,
    }[condition]


def parse_integer(stored: bytes) -> int:
    if INTEGER.fullmatch(stored) and (number := int(stored)) in INT64:
        return number
    raise NotAnInteger
