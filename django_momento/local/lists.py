"""The calls on lists.

One method per RPC of ``cache_client.Scs``, which gets the cache and the request and returns the
response. How long a list stays is the cache's business, and so is that an empty one does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.arguments import require_key, require_ttl
from django_momento.local.errors import InvalidArgument
from django_momento.local.store import Cache
from django_momento.local.values import List
from django_momento.local.windows import index_window

FrontWrite = pb._ListConcatenateFrontRequest | pb._ListPushFrontRequest
BackWrite = pb._ListConcatenateBackRequest | pb._ListPushBackRequest


class Lists:
    def list_push_front(self, cache: Cache, request: pb._ListPushFrontRequest) -> pb._ListPushFrontResponse:
        length = write_front(cache, request, [request.value])
        return pb._ListPushFrontResponse(list_length=length)

    def list_concatenate_front(
        self, cache: Cache, request: pb._ListConcatenateFrontRequest
    ) -> pb._ListConcatenateFrontResponse:
        length = write_front(cache, request, request.values)
        return pb._ListConcatenateFrontResponse(list_length=length)

    def list_push_back(self, cache: Cache, request: pb._ListPushBackRequest) -> pb._ListPushBackResponse:
        length = write_back(cache, request, [request.value])
        return pb._ListPushBackResponse(list_length=length)

    def list_concatenate_back(
        self, cache: Cache, request: pb._ListConcatenateBackRequest
    ) -> pb._ListConcatenateBackResponse:
        length = write_back(cache, request, request.values)
        return pb._ListConcatenateBackResponse(list_length=length)

    def list_pop_front(self, cache: Cache, request: pb._ListPopFrontRequest) -> pb._ListPopFrontResponse:
        popped, length = pop(cache, request.list_name, slice(None, 1))
        if not popped:
            return pb._ListPopFrontResponse(missing={})
        return pb._ListPopFrontResponse(found={"front": popped[0], "list_length": length})

    def list_pop_back(self, cache: Cache, request: pb._ListPopBackRequest) -> pb._ListPopBackResponse:
        popped, length = pop(cache, request.list_name, slice(-1, None))
        if not popped:
            return pb._ListPopBackResponse(missing={})
        return pb._ListPopBackResponse(found={"back": popped[0], "list_length": length})

    def list_fetch(self, cache: Cache, request: pb._ListFetchRequest) -> pb._ListFetchResponse:
        values = cache.collection(name(request.list_name), List)
        if values is None:
            return pb._ListFetchResponse(missing={})
        return pb._ListFetchResponse(found={"values": values[index_window(request)]})

    def list_length(self, cache: Cache, request: pb._ListLengthRequest) -> pb._ListLengthResponse:
        values = cache.collection(name(request.list_name), List)
        if values is None:
            return pb._ListLengthResponse(missing={})
        return pb._ListLengthResponse(found={"length": len(values)})

    def list_retain(self, cache: Cache, request: pb._ListRetainRequest) -> pb._ListRetainResponse:
        # Nothing is made where there was no list, so the TTL counts only if it is to be refreshed.
        ttl = require_ttl(request.ttl_milliseconds) if request.refresh_ttl else request.ttl_milliseconds
        with cache.writing(name(request.list_name), List, ttl, refresh_ttl=request.refresh_ttl) as values:
            missing = not values
            values.keep(values[index_window(request)])
        if missing:
            return pb._ListRetainResponse(missing={})
        return pb._ListRetainResponse(found={"list_length": len(values)})

    def list_remove(self, cache: Cache, request: pb._ListRemoveRequest) -> pb._ListRemoveResponse:
        if request.WhichOneof("remove") is None:
            raise InvalidArgument("remove must be set: it says which values to remove")
        removed = request.all_elements_with_value
        with cache.removing(name(request.list_name), List) as values:
            missing = not values
            values.keep([value for value in values[:] if value != removed])
        if missing:
            return pb._ListRemoveResponse(missing={})
        return pb._ListRemoveResponse(found={"list_length": len(values)})

    def list_erase(self, cache: Cache, request: pb._ListEraseRequest) -> pb._ListEraseResponse:
        with cache.removing(name(request.list_name), List) as values:
            missing = not values
            erased = erased_indexes(request, len(values))
            values.keep([value for index, value in enumerate(values[:]) if index not in erased])
        if missing:
            return pb._ListEraseResponse(missing={})
        return pb._ListEraseResponse(found={"list_length": len(values)})


def name(list_name: bytes) -> bytes:
    return require_key(list_name, "list_name")


@contextmanager
def written(cache: Cache, request: FrontWrite | BackWrite, added: Iterable[bytes]) -> Iterator[List]:
    key, ttl = name(request.list_name), require_ttl(request.ttl_milliseconds)
    for value in added:
        cache.limits.require_element_size(value)
    with cache.writing(key, List, ttl, refresh_ttl=request.refresh_ttl) as values:
        yield values


def write_front(cache: Cache, request: FrontWrite, added: Iterable[bytes]) -> int:
    """Put values before the others, in their own order; return how many there are then."""
    with written(cache, request, added) as values:
        values.replace(slice(0, 0), added)
        if size := request.truncate_back_to_size:
            values.replace(slice(size, None))
    return len(values)


def write_back(cache: Cache, request: BackWrite, added: Iterable[bytes]) -> int:
    """Put values after the others, in their own order; return how many there are then."""
    with written(cache, request, added) as values:
        values.replace(slice(len(values), None), added)
        if size := request.truncate_front_to_size:
            values.replace(slice(None, max(len(values) - size, 0)))
    return len(values)


def pop(cache: Cache, list_name: bytes, window: slice) -> tuple[list[bytes], int]:
    """Take a window out of a list; return it and how many values are left."""
    with cache.removing(name(list_name), List) as values:
        popped = values[window]
        values.replace(window)
    return popped, len(values)


def erased_indexes(request: pb._ListEraseRequest, length: int) -> set[int]:
    """Return the indexes that the ranges cover, all of them counted in the list as it is before."""
    match request.WhichOneof("erase"):
        case "all":
            return set(range(length))
        case "some":
            ranges = [range(part.begin_index, part.begin_index + part.count) for part in request.some.ranges]
            return {index for part in ranges for index in part[: max(length - part.start, 0)]}
    raise InvalidArgument("erase must be set: it says which values to erase")
