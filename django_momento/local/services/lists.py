"""The calls on lists.

Each method handles the RPC of ``cache_client.Scs`` with its name. It takes the cache and the request and
returns the response.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from momento_wire_types import cacheclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.collections import List
from ..storage.slices import index_slice
from ..storage.store import Cache
from ..validation import require_key, require_ttl

FrontWrite = pb._ListConcatenateFrontRequest | pb._ListPushFrontRequest
BackWrite = pb._ListConcatenateBackRequest | pb._ListPushBackRequest


class Lists:
    def list_push_front(self, cache: Cache, request: pb._ListPushFrontRequest) -> pb._ListPushFrontResponse:
        length = _write_front(cache, request, [request.value])
        return pb._ListPushFrontResponse(list_length=length)

    def list_concatenate_front(
        self, cache: Cache, request: pb._ListConcatenateFrontRequest
    ) -> pb._ListConcatenateFrontResponse:
        length = _write_front(cache, request, request.values)
        return pb._ListConcatenateFrontResponse(list_length=length)

    def list_push_back(self, cache: Cache, request: pb._ListPushBackRequest) -> pb._ListPushBackResponse:
        length = _write_back(cache, request, [request.value])
        return pb._ListPushBackResponse(list_length=length)

    def list_concatenate_back(
        self, cache: Cache, request: pb._ListConcatenateBackRequest
    ) -> pb._ListConcatenateBackResponse:
        length = _write_back(cache, request, request.values)
        return pb._ListConcatenateBackResponse(list_length=length)

    def list_pop_front(self, cache: Cache, request: pb._ListPopFrontRequest) -> pb._ListPopFrontResponse:
        popped, length = _pop(cache, request.list_name, slice(None, 1))
        if not popped:
            return pb._ListPopFrontResponse(missing={})
        return pb._ListPopFrontResponse(found={"front": popped[0], "list_length": length})

    def list_pop_back(self, cache: Cache, request: pb._ListPopBackRequest) -> pb._ListPopBackResponse:
        popped, length = _pop(cache, request.list_name, slice(-1, None))
        if not popped:
            return pb._ListPopBackResponse(missing={})
        return pb._ListPopBackResponse(found={"back": popped[0], "list_length": length})

    def list_fetch(self, cache: Cache, request: pb._ListFetchRequest) -> pb._ListFetchResponse:
        values = cache.collection(_require_name(request.list_name), List)
        if values is None:
            return pb._ListFetchResponse(missing={})
        return pb._ListFetchResponse(found={"values": values[index_slice(request)]})

    def list_length(self, cache: Cache, request: pb._ListLengthRequest) -> pb._ListLengthResponse:
        values = cache.collection(_require_name(request.list_name), List)
        if values is None:
            return pb._ListLengthResponse(missing={})
        return pb._ListLengthResponse(found={"length": len(values)})

    def list_retain(self, cache: Cache, request: pb._ListRetainRequest) -> pb._ListRetainResponse:
        # The call creates no list, so that the TTL matters only if it is to be refreshed.
        ttl = require_ttl(request.ttl_milliseconds) if request.refresh_ttl else request.ttl_milliseconds
        with cache.writing(
            _require_name(request.list_name), List, ttl, refresh_ttl=request.refresh_ttl
        ) as values:
            missing = not values
            values.keep(values[index_slice(request)])
        if missing:
            return pb._ListRetainResponse(missing={})
        return pb._ListRetainResponse(found={"list_length": len(values)})

    def list_remove(self, cache: Cache, request: pb._ListRemoveRequest) -> pb._ListRemoveResponse:
        if request.WhichOneof("remove") is None:
            raise InvalidArgument("remove must be set: it says which values to remove")
        removed = request.all_elements_with_value
        with cache.removing(_require_name(request.list_name), List) as values:
            missing = not values
            values.keep([value for value in values[:] if value != removed])
        if missing:
            return pb._ListRemoveResponse(missing={})
        return pb._ListRemoveResponse(found={"list_length": len(values)})

    def list_erase(self, cache: Cache, request: pb._ListEraseRequest) -> pb._ListEraseResponse:
        with cache.removing(_require_name(request.list_name), List) as values:
            missing = not values
            erased = _indexes_to_erase(request, len(values))
            values.keep([value for index, value in enumerate(values[:]) if index not in erased])
        if missing:
            return pb._ListEraseResponse(missing={})
        return pb._ListEraseResponse(found={"list_length": len(values)})


def _require_name(list_name: bytes) -> bytes:
    return require_key(list_name, "list_name")


@contextmanager
def _writing(cache: Cache, request: FrontWrite | BackWrite, added: Iterable[bytes]) -> Iterator[List]:
    key, ttl = _require_name(request.list_name), require_ttl(request.ttl_milliseconds)
    for value in added:
        cache.limits.require_element_size(value)
    with cache.writing(key, List, ttl, refresh_ttl=request.refresh_ttl) as values:
        yield values


def _write_front(cache: Cache, request: FrontWrite, added: Iterable[bytes]) -> int:
    """Insert values before the others, in their own order. Return the new length."""
    with _writing(cache, request, added) as values:
        values.replace(slice(0, 0), added)
        if size := request.truncate_back_to_size:
            values.replace(slice(size, None))
    return len(values)


def _write_back(cache: Cache, request: BackWrite, added: Iterable[bytes]) -> int:
    """Append values after the others, in their own order. Return the new length."""
    with _writing(cache, request, added) as values:
        values.replace(slice(len(values), None), added)
        if size := request.truncate_front_to_size:
            values.replace(slice(None, max(len(values) - size, 0)))
    return len(values)


def _pop(cache: Cache, list_name: bytes, part: slice) -> tuple[list[bytes], int]:
    """Remove a slice from a list. Return the slice and the number of values that are left."""
    with cache.removing(_require_name(list_name), List) as values:
        popped = values[part]
        values.replace(part)
    return popped, len(values)


def _indexes_to_erase(request: pb._ListEraseRequest, length: int) -> set[int]:
    """Return the indexes that the ranges cover. All ranges refer to the list before the call."""
    match request.WhichOneof("erase"):
        case "all":
            return set(range(length))
        case "some":
            ranges = [range(part.begin_index, part.begin_index + part.count) for part in request.some.ranges]
            return {index for part in ranges for index in part[: max(length - part.start, 0)]}
    raise InvalidArgument("erase must be set: it says which values to erase")
