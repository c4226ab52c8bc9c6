"""Items of different types under the keys of one cache."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.storage.collections import ELEMENT_OVERHEAD, Collection, List, Set
from django_momento.local.storage.retention import ITEM_OVERHEAD, Retention
from django_momento.local.storage.store import Store
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal
from tests.local.clock import FakeClock

TYPES = ["SCALAR", "DICTIONARY", "SET", "LIST", "SORTED_SET"]
FIELD = {"field": b"f", "value": b"1"}
# For each type a call that reads it, one that writes to it, and one that takes something away.
CALLS = {
    "SCALAR": [
        ("Get", pb._GetRequest(cache_key=b"k")),
        ("GetBatch", pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k")])),
        ("GetWithHash", pb._GetWithHashRequest(cache_key=b"k")),
        ("Increment", pb._IncrementRequest(cache_key=b"k", amount=1, ttl_milliseconds=9)),
        ("SetIf", pb._SetIfRequest(cache_key=b"k", equal={"value_to_check": b"1"}, ttl_milliseconds=9)),
    ],
    "DICTIONARY": [
        ("DictionaryFetch", pb._DictionaryFetchRequest(dictionary_name=b"k")),
        ("DictionarySet", pb._DictionarySetRequest(dictionary_name=b"k", items=[FIELD], ttl_milliseconds=9)),
        ("DictionaryDelete", pb._DictionaryDeleteRequest(dictionary_name=b"k", all={})),
    ],
    "SET": [
        ("SetFetch", pb._SetFetchRequest(set_name=b"k")),
        ("SetUnion", pb._SetUnionRequest(set_name=b"k", elements=[b"1"], ttl_milliseconds=9)),
        ("SetPop", pb._SetPopRequest(set_name=b"k", count=1)),
    ],
    "LIST": [
        ("ListFetch", pb._ListFetchRequest(list_name=b"k")),
        ("ListPushBack", pb._ListPushBackRequest(list_name=b"k", value=b"1", ttl_milliseconds=9)),
        ("ListPopFront", pb._ListPopFrontRequest(list_name=b"k")),
    ],
    "SORTED_SET": [
        ("SortedSetGetRank", pb._SortedSetGetRankRequest(set_name=b"k", value=b"1")),
        (
            "SortedSetIncrement",
            pb._SortedSetIncrementRequest(set_name=b"k", value=b"1", amount=1, ttl_milliseconds=9),
        ),
        ("SortedSetRemove", pb._SortedSetRemoveRequest(set_name=b"k", all={})),
    ],
}


def write(wire: Wire, type_: Any) -> None:
    """Store an item of a type under the key b"k"."""
    if type_ == "SCALAR":
        wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"1", ttl_milliseconds=9))
    else:
        rpc, request = CALLS[type_][1]
        getattr(wire, rpc)(request)


def stored_type(wire: Wire) -> Any:
    response = wire.ItemGetType(pb._ItemGetTypeRequest(cache_key=b"k"))
    return pb._ItemGetTypeResponse.ItemType.Name(response.found.item_type)


@table("type_", TYPES)
def test_an_item_has_the_type_of_its_last_write(wire: Wire, type_: Any) -> None:
    """ItemGetType names it, and the calls for any type work on it."""
    write(wire, type_)
    assert stored_type(wire) == type_
    assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"k"])).exists) == [True]
    wire.UpdateTtl(pb._UpdateTtlRequest(cache_key=b"k", overwrite_to_milliseconds=77))
    assert wire.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=b"k")).found.remaining_ttl_millis == 77
    wire.Delete(pb._DeleteRequest(cache_key=b"k"))
    assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"k"])).exists) == [False]


@pytest.mark.parametrize("type_", TYPES)
def test_a_call_for_another_type_is_refused(wire: Wire, type_: Any) -> None:
    """FAILED_PRECONDITION with both types, and the item does not change."""
    write(wire, type_)
    for wanted in TYPES:
        for rpc, request in CALLS[wanted] if wanted != type_ else []:
            error = refusal(getattr(wire, rpc), request)
            assert error.code() == StatusCode.FAILED_PRECONDITION
            assert f"type {wanted}; the one under this key is a {type_}" in error.details()
    assert stored_type(wire) == type_


@pytest.mark.parametrize("type_", TYPES)
def test_set_replaces_an_item_of_any_type(wire: Wire, type_: Any) -> None:
    """The new item is a scalar with a TTL of its own."""
    write(wire, type_)
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"new", ttl_milliseconds=5))
    assert wire.Get(pb._GetRequest(cache_key=b"k")).cache_body == b"new"


@pytest.mark.parametrize("type_", TYPES)
def test_an_item_of_any_type_is_present(wire: Wire, type_: Any) -> None:
    """Conditions on presence alone do not look at values."""
    write(wire, type_)
    request = pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=b"new", ttl_milliseconds=5)
    assert wire.SetIfNotExists(request).HasField("not_stored")
    absent = pb._SetIfRequest(cache_key=b"k", cache_body=b"new", ttl_milliseconds=5, absent={})
    assert wire.SetIf(absent).HasField("not_stored")
    present = pb._SetIfRequest(cache_key=b"k", cache_body=b"new", ttl_milliseconds=5, present={})
    assert wire.SetIf(present).HasField("stored")


def test_a_collection_is_evicted_whole_when_others_are_used(clock: FakeClock) -> None:
    """One that grows makes room for itself among the others, by the order of their use."""
    room = 4 * ITEM_OVERHEAD
    store = Store(Retention(clock, max_memory=room))
    store.create("cache")
    cache = store.cache("cache")
    for key in (b"a", b"b"):
        with cache.writing(key, Set, 10, refresh_ttl=False) as elements:
            elements.add(b"x")
    with cache.writing(b"a", Set, 10, refresh_ttl=False) as elements:
        for number in range(10):
            elements.add(b"%d" % number)
    assert (cache.has(b"a"), cache.has(b"b")) == (True, False)
    assert store.memory_used() == 1 + ITEM_OVERHEAD + 11 * (1 + ELEMENT_OVERHEAD)


def test_a_collection_beyond_all_memory_goes_alone(clock: FakeClock) -> None:
    """Growing until it cannot stay takes no other item along."""
    store = Store(Retention(clock, max_memory=3 * ITEM_OVERHEAD))
    store.create("cache")
    cache = store.cache("cache")
    cache.put(b"other", b"v", 10)
    with cache.writing(b"k", List, 10, refresh_ttl=False) as values:
        values.replace(slice(0, 0), [b"x"])
    with cache.writing(b"k", List, 10, refresh_ttl=False) as values:
        values.replace(slice(0, 0), [bytes(5000)])
    assert (cache.has(b"k"), cache.has(b"other")) == (False, True)


def test_every_collection_knows_its_length() -> None:
    """The base class leaves that to them."""
    with pytest.raises(NotImplementedError):
        len(Collection())
