"""The calls on sorted sets.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

from collections.abc import Callable

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.collections import SortedSet
from ..storage.slices import length_slice, rank_slice, score_slice
from ..storage.store import Cache
from ..validation import require_key, require_score, require_ttl

Pairs = list[tuple[float, bytes]]
ScorePart = pb._SortedSetGetScoreResponse._SortedSetGetScoreResponsePart
AGGREGATES: dict[int, Callable[[float, float], float]] = {
    pb._SortedSetUnionStoreRequest.SUM: float.__add__,
    pb._SortedSetUnionStoreRequest.MIN: min,
    pb._SortedSetUnionStoreRequest.MAX: max,
}


class SortedSets:
    def sorted_set_put(self, cache: Cache, request: pb._SortedSetPutRequest) -> pb._SortedSetPutResponse:
        key, ttl = _require_name(request.set_name), require_ttl(request.ttl_milliseconds)
        for element in request.elements:
            require_score(element.score)
            cache.limits.require_element_size(element.value)
        with cache.writing(key, SortedSet, ttl, refresh_ttl=request.refresh_ttl) as elements:
            for element in request.elements:
                elements.put(element.value, element.score)
        return pb._SortedSetPutResponse()

    def sorted_set_fetch(
        self, cache: Cache, request: pb._SortedSetFetchRequest
    ) -> pb._SortedSetFetchResponse:
        elements = cache.collection(_require_name(request.set_name), SortedSet)
        if elements is None:
            return pb._SortedSetFetchResponse(missing={})
        pairs = _fetch(elements, request)
        if not request.with_scores:
            values = [value for _, value in pairs]
            return pb._SortedSetFetchResponse(found={"values": {"values": values}})
        scored = [pb._SortedSetElement(value=value, score=score) for score, value in pairs]
        return pb._SortedSetFetchResponse(found={"values_with_scores": {"elements": scored}})

    def sorted_set_get_score(
        self, cache: Cache, request: pb._SortedSetGetScoreRequest
    ) -> pb._SortedSetGetScoreResponse:
        elements = cache.collection(_require_name(request.set_name), SortedSet)
        if elements is None:
            return pb._SortedSetGetScoreResponse(missing={})
        parts = [_hit_or_miss(elements.score(value)) for value in request.values]
        return pb._SortedSetGetScoreResponse(found={"elements": parts})

    def sorted_set_get_rank(
        self, cache: Cache, request: pb._SortedSetGetRankRequest
    ) -> pb._SortedSetGetRankResponse:
        elements = cache.collection(_require_name(request.set_name), SortedSet)
        # Not the ``missing`` arm, because the Python SDK takes it for an error.
        if elements is None or elements.score(request.value) is None:
            return pb._SortedSetGetRankResponse(element_rank={"result": pb.Miss})
        rank = elements.rank(request.value)
        if request.order == pb._SortedSetGetRankRequest.DESCENDING:
            rank = len(elements) - 1 - rank
        return pb._SortedSetGetRankResponse(element_rank={"result": pb.Hit, "rank": rank})

    def sorted_set_length(
        self, cache: Cache, request: pb._SortedSetLengthRequest
    ) -> pb._SortedSetLengthResponse:
        elements = cache.collection(_require_name(request.set_name), SortedSet)
        if elements is None:
            return pb._SortedSetLengthResponse(missing={})
        return pb._SortedSetLengthResponse(found={"length": len(elements)})

    def sorted_set_length_by_score(
        self, cache: Cache, request: pb._SortedSetLengthByScoreRequest
    ) -> pb._SortedSetLengthByScoreResponse:
        elements = cache.collection(_require_name(request.set_name), SortedSet)
        if elements is None:
            return pb._SortedSetLengthByScoreResponse(missing={})
        length = len(elements[length_slice(elements, request)])
        return pb._SortedSetLengthByScoreResponse(found={"length": length})

    def sorted_set_increment(
        self, cache: Cache, request: pb._SortedSetIncrementRequest
    ) -> pb._SortedSetIncrementResponse:
        key, ttl = _require_name(request.set_name), require_ttl(request.ttl_milliseconds)
        cache.limits.require_element_size(request.value)
        with cache.writing(key, SortedSet, ttl, refresh_ttl=request.refresh_ttl) as elements:
            score = require_score((elements.score(request.value) or 0.0) + request.amount)
            elements.put(request.value, score)
        return pb._SortedSetIncrementResponse(score=score)

    def sorted_set_remove(
        self, cache: Cache, request: pb._SortedSetRemoveRequest
    ) -> pb._SortedSetRemoveResponse:
        with cache.removing(_require_name(request.set_name), SortedSet) as elements:
            for value in _values_to_remove(elements, request):
                elements.remove(value)
        return pb._SortedSetRemoveResponse()

    def sorted_set_union_store(
        self, cache: Cache, request: pb._SortedSetUnionStoreRequest
    ) -> pb._SortedSetUnionStoreResponse:
        key, ttl = _require_name(request.set_name), require_ttl(request.ttl_milliseconds)
        union = _union(cache, request)
        if union:
            cache.put(key, union, ttl)
        else:
            cache.delete(key)
        return pb._SortedSetUnionStoreResponse(length=len(union))


def _require_name(set_name: bytes) -> bytes:
    return require_key(set_name, "set_name")


def _hit_or_miss(score: float | None) -> ScorePart:
    return ScorePart(result=pb.Miss) if score is None else ScorePart(result=pb.Hit, score=score)


def _fetch(elements: SortedSet, request: pb._SortedSetFetchRequest) -> Pairs:
    """Return the pairs of the requested range in the requested order. Indexes count in that order."""
    descending = request.order == pb._SortedSetFetchRequest.DESCENDING
    part = score_slice(elements, request.by_score) if request.HasField("by_score") else slice(None)
    pairs = elements[part]
    if descending:
        pairs.reverse()
    if request.HasField("by_score"):
        pairs = pairs[request.by_score.offset :]
        return pairs if request.by_score.count < 0 else pairs[: request.by_score.count]
    return pairs[rank_slice(request.by_index)]


def _values_to_remove(elements: SortedSet, request: pb._SortedSetRemoveRequest) -> list[bytes]:
    match request.WhichOneof("remove_elements"):
        case "all":
            return [value for _, value in elements[:]]
        case "some":
            return list(request.some.values)
    raise InvalidArgument("remove_elements must be set: it says which elements to remove")


def _union(cache: Cache, request: pb._SortedSetUnionStoreRequest) -> SortedSet:
    if not request.sources:
        raise InvalidArgument("sources must not be empty: they are the sets to unite")
    aggregate = AGGREGATES.get(request.aggregate)
    if aggregate is None:
        raise InvalidArgument("aggregate must be SUM, MIN or MAX")
    union = SortedSet()
    for source in request.sources:
        for score, value in cache.collection(_require_name(source.set_name), SortedSet) or ():
            weighted, known = score * source.weight, union.score(value)
            union.put(value, require_score(weighted if known is None else aggregate(known, weighted)))
    return union
