"""The calls on sets.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.collections import Set
from ..storage.store import Cache
from ..validation import require_key, require_ttl


class Sets:
    def set_fetch(self, cache: Cache, request: pb._SetFetchRequest) -> pb._SetFetchResponse:
        elements = cache.collection(_require_name(request.set_name), Set)
        if elements is None:
            return pb._SetFetchResponse(missing={})
        return pb._SetFetchResponse(found={"elements": elements})

    def set_sample(self, cache: Cache, request: pb._SetSampleRequest) -> pb._SetSampleResponse:
        elements = cache.collection(_require_name(request.set_name), Set)
        if elements is None:
            return pb._SetSampleResponse(missing={})
        return pb._SetSampleResponse(found={"elements": _sample(elements, request.limit)})

    def set_length(self, cache: Cache, request: pb._SetLengthRequest) -> pb._SetLengthResponse:
        elements = cache.collection(_require_name(request.set_name), Set)
        if elements is None:
            return pb._SetLengthResponse(missing={})
        return pb._SetLengthResponse(found={"length": len(elements)})

    def set_contains(self, cache: Cache, request: pb._SetContainsRequest) -> pb._SetContainsResponse:
        elements = cache.collection(_require_name(request.set_name), Set)
        if elements is None:
            return pb._SetContainsResponse(missing={})
        return pb._SetContainsResponse(found={"contains": [asked in elements for asked in request.elements]})

    def set_union(self, cache: Cache, request: pb._SetUnionRequest) -> pb._SetUnionResponse:
        key, ttl = _require_name(request.set_name), require_ttl(request.ttl_milliseconds)
        for element in request.elements:
            cache.limits.require_element_size(element)
        with cache.writing(key, Set, ttl, refresh_ttl=request.refresh_ttl) as elements:
            for element in request.elements:
                elements.add(element)
        return pb._SetUnionResponse()

    def set_difference(self, cache: Cache, request: pb._SetDifferenceRequest) -> pb._SetDifferenceResponse:
        with cache.removing(_require_name(request.set_name), Set) as elements:
            missing = not elements
            if request.WhichOneof("difference") == "minuend":
                _subtract_from(request.minuend.elements, elements)
            else:
                _subtract(elements, request.subtrahend)
        if missing:
            return pb._SetDifferenceResponse(missing={})
        return pb._SetDifferenceResponse(found={})

    def set_pop(self, cache: Cache, request: pb._SetPopRequest) -> pb._SetPopResponse:
        if request.count == 0:
            raise InvalidArgument("count must be greater than 0: it says how many elements to take")
        with cache.removing(_require_name(request.set_name), Set) as elements:
            popped = _sample(elements, request.count)
            for element in popped:
                elements.remove(element)
        if not popped:
            return pb._SetPopResponse(missing={})
        return pb._SetPopResponse(found={"elements": popped})


def _require_name(set_name: bytes) -> bytes:
    return require_key(set_name, "set_name")


def _sample(elements: Set, limit: int) -> list[bytes]:
    """Return up to `limit` elements, each at most once, in random order."""
    return random.sample(list(elements), min(limit, len(elements)))


def _subtract(elements: Set, subtrahend: pb._SetDifferenceRequest._Subtrahend) -> None:
    match subtrahend.WhichOneof("subtrahend_set"):
        case "set":
            taken = list(subtrahend.set.elements)
        case "identity":
            taken = list(elements)
        case _:
            raise InvalidArgument("difference must be set: it says which elements to remove")
    for element in taken:
        elements.remove(element)


def _subtract_from(minuend: Iterable[bytes], elements: Set) -> None:
    """Leave the elements of the minuend that are not in the stored set."""
    left = [element for element in minuend if element not in elements]
    for element in list(elements):
        elements.remove(element)
    for element in left:
        elements.add(element)
