"""The calls on dictionaries.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.collections import Dictionary
from ..storage.store import Cache
from ..validation import add, require_key, require_ttl

Part = pb._DictionaryGetResponse._DictionaryGetResponsePart


class Dictionaries:
    def dictionary_get(self, cache: Cache, request: pb._DictionaryGetRequest) -> pb._DictionaryGetResponse:
        dictionary = cache.collection(_require_name(request.dictionary_name), Dictionary)
        if dictionary is None:
            return pb._DictionaryGetResponse(missing={})
        parts = [_hit_or_miss(dictionary.get(field)) for field in request.fields]
        return pb._DictionaryGetResponse(found={"items": parts})

    def dictionary_fetch(
        self, cache: Cache, request: pb._DictionaryFetchRequest
    ) -> pb._DictionaryFetchResponse:
        dictionary = cache.collection(_require_name(request.dictionary_name), Dictionary)
        if dictionary is None:
            return pb._DictionaryFetchResponse(missing={})
        pairs = [
            pb._DictionaryFieldValuePair(field=field, value=value) for field, value in dictionary.items()
        ]
        return pb._DictionaryFetchResponse(found={"items": pairs})

    def dictionary_length(
        self, cache: Cache, request: pb._DictionaryLengthRequest
    ) -> pb._DictionaryLengthResponse:
        dictionary = cache.collection(_require_name(request.dictionary_name), Dictionary)
        if dictionary is None:
            return pb._DictionaryLengthResponse(missing={})
        return pb._DictionaryLengthResponse(found={"length": len(dictionary)})

    def dictionary_set(self, cache: Cache, request: pb._DictionarySetRequest) -> pb._DictionarySetResponse:
        key, ttl = _require_name(request.dictionary_name), require_ttl(request.ttl_milliseconds)
        for item in request.items:
            cache.limits.require_element_size(item.field, item.value)
        with cache.writing(key, Dictionary, ttl, refresh_ttl=request.refresh_ttl) as dictionary:
            for item in request.items:
                dictionary.put(item.field, item.value)
        return pb._DictionarySetResponse()

    def dictionary_increment(
        self, cache: Cache, request: pb._DictionaryIncrementRequest
    ) -> pb._DictionaryIncrementResponse:
        key, ttl = _require_name(request.dictionary_name), require_ttl(request.ttl_milliseconds)
        with cache.writing(key, Dictionary, ttl, refresh_ttl=request.refresh_ttl) as dictionary:
            total = add(dictionary.get(request.field), request.amount)
            value = b"%d" % total
            cache.limits.require_element_size(request.field, value)
            dictionary.put(request.field, value)
        return pb._DictionaryIncrementResponse(value=total)

    def dictionary_delete(
        self, cache: Cache, request: pb._DictionaryDeleteRequest
    ) -> pb._DictionaryDeleteResponse:
        with cache.removing(_require_name(request.dictionary_name), Dictionary) as dictionary:
            for field in _fields_to_delete(dictionary, request):
                dictionary.remove(field)
        return pb._DictionaryDeleteResponse()


def _require_name(dictionary_name: bytes) -> bytes:
    return require_key(dictionary_name, "dictionary_name")


def _hit_or_miss(value: bytes | None) -> Part:
    return Part(result=pb.Miss) if value is None else Part(result=pb.Hit, cache_body=value)


def _fields_to_delete(dictionary: Dictionary, request: pb._DictionaryDeleteRequest) -> list[bytes]:
    match request.WhichOneof("delete"):
        case "all":
            return [field for field, _ in dictionary.items()]
        case "some":
            return list(request.some.fields)
    raise InvalidArgument("delete must be set: it says which fields to delete")
