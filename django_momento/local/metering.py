"""Count operations, the unit in which Momento limits and bills.

The rule is an estimate from Momento's documentation as of August 2026. Each item or element that a request
or response carries costs one operation for each started KiB of its key and value. A call without items
counts its key, or all its keys together, as one item. Every call with a valid key costs at least one
operation, also if it fails or finds nothing.

The documentation disagrees or is silent in three places:

- Consistent reads: the page on operations says twice the price, the page on read concerns says six times.
  This module counts ``CONSISTENT_FACTOR``.
- ``SetIf`` is listed at twice the price for every condition. ``SetIfNotExists``, which is deprecated, and
  the calls on hashes are not listed, and a call that is not listed has the factor 1.
- Whether a miss counts the key or nothing is not said. This module counts the key, so that a miss costs one
  operation unless the key is longer than a KiB.

The client's meter uses the same arithmetic on its own values. Nothing here needs gRPC or protobuf to be
loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

KIB = 1024
# A call that ends with one of these statuses has looked at an item or for one, and costs an operation.
CHARGED_STATUSES = frozenset({"NOT_FOUND", "INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION"})
CONSISTENT = "consistent"
CONSISTENT_FACTOR = 2
SET_IF_FACTOR = 2


def item_operations(size: int) -> int:
    """Return the operations of one item of so many bytes: one for each started KiB, at least one."""
    return max(1, -(-size // KIB))


def read_factor(read_concern: str) -> int:
    """Return by how much the read concern multiplies the operations of a read."""
    return CONSISTENT_FACTOR if read_concern.lower() == CONSISTENT else 1


def operations(rpc: str, request: Any, response: Any, read_concern: str = "") -> int:
    """Return the operations of a data call from its messages.

    A batch has a response for each item of the request. Without a response the call has failed and costs one
    operation.
    """
    if response is None:
        return 1
    count = _COUNTS.get(rpc)
    total = _one_item(request) if count is None else count(request, response)
    if rpc == "SetIf":
        return total * SET_IF_FACTOR
    return total * read_factor(read_concern) if rpc in READS else total


def _one_item(request: Any) -> int:
    """Count the key of an item, or the name of a collection, and the value if the request carries one."""
    size = 0
    for name in ("cache_key", "cache_body", "dictionary_name", "list_name", "set_name"):
        size += len(getattr(request, name, b""))
    return item_operations(size)


def _elements(elements: Iterable[bytes]) -> int:
    return max(1, sum(item_operations(len(element)) for element in elements))


def _pairs(pairs: Iterable[Any]) -> int:
    return max(1, sum(item_operations(len(pair.field) + len(pair.value)) for pair in pairs))


def _get(request: Any, response: Any) -> int:
    return item_operations(len(request.cache_key) + len(response.cache_body))


def _get_batch(request: Any, response: Any) -> int:
    values = zip(request.items, response.values, strict=True)
    return max(1, sum(item_operations(len(item.cache_key) + len(value or b"")) for item, value in values))


def _set_batch(request: Any, response: Any) -> int:
    return max(1, sum(item_operations(len(item.cache_key) + len(item.cache_body)) for item in request.items))


def _keys_exist(request: Any, response: Any) -> int:
    return item_operations(sum(map(len, request.cache_keys)))


def _get_with_hash(request: Any, response: Any) -> int:
    return item_operations(len(request.cache_key) + len(response.found.value))


def _dictionary_get(request: Any, response: Any) -> int:
    # A dictionary that is missing has no parts, and then its fields are all that the call carries.
    bodies = [len(part.cache_body) for part in response.found.items] or [0] * len(request.fields)
    sizes = zip(request.fields, bodies, strict=True)
    return max(1, sum(item_operations(len(field) + size) for field, size in sizes))


def _dictionary_delete(request: Any, response: Any) -> int:
    return _elements(request.some.fields)


def _set_difference(request: Any, response: Any) -> int:
    return _elements([*request.subtrahend.set.elements, *request.minuend.elements])


def _sorted_set_fetch(request: Any, response: Any) -> int:
    found = response.found
    scored = (element.value for element in found.values_with_scores.elements)
    return _elements([*found.values.values, *scored])


_COUNTS: dict[str, Callable[[Any, Any], int]] = {
    "Get": _get,
    "GetBatch": _get_batch,
    "GetWithHash": _get_with_hash,
    "SetBatch": _set_batch,
    "KeysExist": _keys_exist,
    "DictionaryGet": _dictionary_get,
    "DictionaryFetch": lambda request, response: _pairs(response.found.items),
    "DictionarySet": lambda request, response: _pairs(request.items),
    "DictionaryDelete": _dictionary_delete,
    "DictionaryIncrement": lambda request, response: _elements([request.field]),
    "SetFetch": lambda request, response: _elements(response.found.elements),
    "SetSample": lambda request, response: _elements(response.found.elements),
    "SetPop": lambda request, response: _elements(response.found.elements),
    "SetContains": lambda request, response: _elements(request.elements),
    "SetUnion": lambda request, response: _elements(request.elements),
    "SetDifference": _set_difference,
    "ListPushFront": lambda request, response: _elements([request.value]),
    "ListPushBack": lambda request, response: _elements([request.value]),
    "ListPopFront": lambda request, response: _elements([response.found.front]),
    "ListPopBack": lambda request, response: _elements([response.found.back]),
    "ListConcatenateFront": lambda request, response: _elements(request.values),
    "ListConcatenateBack": lambda request, response: _elements(request.values),
    "ListFetch": lambda request, response: _elements(response.found.values),
    "ListRemove": lambda request, response: _elements([request.all_elements_with_value]),
    "SortedSetPut": lambda request, response: _elements(element.value for element in request.elements),
    "SortedSetFetch": _sorted_set_fetch,
    "SortedSetGetScore": lambda request, response: _elements(request.values),
    "SortedSetGetRank": lambda request, response: _elements([request.value]),
    "SortedSetIncrement": lambda request, response: _elements([request.value]),
    "SortedSetRemove": lambda request, response: _elements(request.some.values),
    "SortedSetUnionStore": lambda request, response: _elements(source.set_name for source in request.sources),
}

READS = frozenset(
    {
        *("Get", "GetBatch", "GetWithHash", "KeysExist", "ItemGetTtl", "ItemGetType"),
        *("DictionaryGet", "DictionaryFetch", "DictionaryLength"),
        *("SetFetch", "SetSample", "SetContains", "SetLength", "ListFetch", "ListLength"),
        *("SortedSetFetch", "SortedSetGetScore", "SortedSetGetRank", "SortedSetLength"),
        "SortedSetLengthByScore",
    }
)
