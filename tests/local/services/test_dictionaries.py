"""The calls on dictionaries: by Momento's own clients, over the wire, and at random against plain dicts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode
from hypothesis import strategies as st
from hypothesis.stateful import rule
from momento.requests import CollectionTtl
from momento.responses import (
    CacheDictionaryFetch,
    CacheDictionaryGetField,
    CacheDictionaryGetFields,
    CacheDictionaryRemoveFields,
    CacheDictionarySetFields,
)
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.errors import IncrementOverflow, NotAnInteger
from django_momento.local.services.dictionaries import Dictionaries
from django_momento.local.storage.collections import Dictionary
from tests.kit.sdk import Blocking
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal, status
from tests.local.clock import FakeClock
from tests.local.collection_machine import (
    ELEMENTS,
    KEYS,
    SETTINGS,
    SOME,
    TTLS,
    CollectionMachine,
)

calls = Dictionaries()


def pairs(items: Any) -> Any:
    return [pb._DictionaryFieldValuePair(field=field, value=value) for field, value in items]


def test_the_sdk_reads_the_fields_it_set(sdk: Blocking) -> None:
    """One field, several with a miss among them, and all of them."""
    assert isinstance(
        sdk.dictionary_set_fields("cache", "d", {"a": "1", "b": b"\xff"}), CacheDictionarySetFields.Success
    )
    assert sdk.dictionary_get_field("cache", "d", "a").value_string == "1"
    assert isinstance(sdk.dictionary_get_field("cache", "d", "x"), CacheDictionaryGetField.Miss)
    several = sdk.dictionary_get_fields("cache", "d", ["b", "x", "a"])
    assert several.value_dictionary_string_bytes == {"b": b"\xff", "a": b"1"}
    assert [type(part).__name__ for part in several.responses] == ["Hit", "Miss", "Hit"]
    assert sdk.dictionary_fetch("cache", "d").value_dictionary_bytes_bytes == {b"a": b"1", b"b": b"\xff"}


def test_the_sdk_misses_what_is_not_there(sdk: Blocking) -> None:
    """One that never existed, and one that lost its last field. Removing succeeds in both."""
    assert isinstance(sdk.dictionary_fetch("cache", "d"), CacheDictionaryFetch.Miss)
    assert isinstance(sdk.dictionary_get_fields("cache", "d", ["a"]), CacheDictionaryGetFields.Miss)
    sdk.dictionary_set_field("cache", "d", "a", "1")
    for _ in range(2):
        removed = sdk.dictionary_remove_fields("cache", "d", ["a", "x"])
        assert isinstance(removed, CacheDictionaryRemoveFields.Success)
        assert isinstance(sdk.dictionary_fetch("cache", "d"), CacheDictionaryFetch.Miss)


def test_the_sdk_counts_in_a_field(sdk: Blocking) -> None:
    """From zero, in decimal text, and not where there is none."""
    assert [sdk.dictionary_increment("cache", "d", "n", amount).value for amount in (5, -7)] == [5, -2]
    assert sdk.dictionary_get_field("cache", "d", "n").value_string == "-2"
    sdk.dictionary_set_field("cache", "d", "text", "x")
    refused = sdk.dictionary_increment("cache", "d", "text")
    assert refused.error_code.name == "FAILED_PRECONDITION_ERROR"


@pytest.mark.parametrize(("refresh", "lives"), [(True, True), (False, False)])
def test_the_sdk_refreshes_a_ttl_only_if_asked_to(
    sdk: Blocking, clock: FakeClock, refresh: Any, lives: Any
) -> None:
    """The second write moves the expiry or leaves it where it was."""
    ttl = timedelta(seconds=10)
    sdk.dictionary_set_field("cache", "d", "a", "1", ttl=CollectionTtl(ttl, True))
    clock.advance(9_000)
    sdk.dictionary_set_field("cache", "d", "b", "2", ttl=CollectionTtl(ttl, refresh))
    clock.advance(1_000)
    assert isinstance(sdk.dictionary_fetch("cache", "d"), CacheDictionaryFetch.Hit) == lives


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63)])
def test_a_field_beyond_64_bits_is_refused(wire: Wire, amount: Any) -> None:
    """OUT_OF_RANGE, and the field stays."""
    request = pb._DictionaryIncrementRequest(
        dictionary_name=b"d", field=b"n", amount=amount, ttl_milliseconds=9
    )
    wire.DictionaryIncrement(request)
    assert status(wire.DictionaryIncrement, request) == StatusCode.OUT_OF_RANGE
    found = wire.DictionaryFetch(pb._DictionaryFetchRequest(dictionary_name=b"d")).found
    assert [pair.value for pair in found.items] == [b"%d" % amount]


def test_a_refused_increment_makes_no_dictionary(wire: Wire) -> None:
    """Neither the key nor its memory."""
    request = pb._DictionaryIncrementRequest(dictionary_name=b"d", field=b"n", amount=1)
    assert status(wire.DictionaryIncrement, request) == StatusCode.INVALID_ARGUMENT
    assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"d"])).exists) == [False]


def test_deleting_all_fields_deletes_the_dictionary(wire: Wire) -> None:
    """The other arm of the request, which no Python SDK sends."""
    wire.DictionarySet(
        pb._DictionarySetRequest(dictionary_name=b"d", items=pairs([(b"a", b"1")]), ttl_milliseconds=9)
    )
    assert wire.DictionaryLength(pb._DictionaryLengthRequest(dictionary_name=b"d")).found.length == 1
    wire.DictionaryDelete(pb._DictionaryDeleteRequest(dictionary_name=b"d", all={}))
    assert wire.DictionaryLength(pb._DictionaryLengthRequest(dictionary_name=b"d")).HasField("missing")


@table(
    ("rpc", "request_", "argument"),
    [
        ("DictionaryGet", pb._DictionaryGetRequest(), "dictionary_name"),
        ("DictionaryFetch", pb._DictionaryFetchRequest(), "dictionary_name"),
        ("DictionaryLength", pb._DictionaryLengthRequest(), "dictionary_name"),
        ("DictionarySet", pb._DictionarySetRequest(ttl_milliseconds=1), "dictionary_name"),
        ("DictionarySet", pb._DictionarySetRequest(dictionary_name=b"d"), "ttl_milliseconds"),
        ("DictionaryIncrement", pb._DictionaryIncrementRequest(ttl_milliseconds=1), "dictionary_name"),
        ("DictionaryDelete", pb._DictionaryDeleteRequest(all={}), "dictionary_name"),
        ("DictionaryDelete", pb._DictionaryDeleteRequest(dictionary_name=b"d"), "delete"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)


class DictionariesMachine(CollectionMachine):
    wanted = Dictionary
    empty = {}

    def parts(self, value: Any) -> Any:
        return [field + text for field, text in value.items()]

    @rule(
        key=KEYS, items=st.lists(st.tuples(ELEMENTS, ELEMENTS), max_size=4), ttl=TTLS, refresh=st.booleans()
    )
    def set(self, key: Any, items: Any, ttl: Any, refresh: Any) -> None:
        calls.dictionary_set(
            self.cache,
            pb._DictionarySetRequest(
                dictionary_name=key, items=pairs(items), ttl_milliseconds=ttl, refresh_ttl=refresh
            ),
        )
        self.write(key, {**self.live(key), **dict(items)}, ttl, refresh)

    @rule(
        key=KEYS, field=ELEMENTS, amount=st.sampled_from([-8, 1, 2**63 - 1]), ttl=TTLS, refresh=st.booleans()
    )
    def increment(self, key: Any, field: Any, amount: Any, ttl: Any, refresh: Any) -> None:
        request = pb._DictionaryIncrementRequest(
            dictionary_name=key, field=field, amount=amount, ttl_milliseconds=ttl, refresh_ttl=refresh
        )
        try:
            total = int(self.live(key).get(field, b"0")) + amount
        except ValueError:
            with pytest.raises(NotAnInteger):
                calls.dictionary_increment(self.cache, request)
            return
        if not -(2**63) <= total < 2**63:
            with pytest.raises(IncrementOverflow):
                calls.dictionary_increment(self.cache, request)
            return
        assert calls.dictionary_increment(self.cache, request).value == total
        self.write(key, {**self.live(key), field: b"%d" % total}, ttl, refresh)

    @rule(key=KEYS, fields=SOME)
    def remove(self, key: Any, fields: Any) -> None:
        calls.dictionary_delete(
            self.cache, pb._DictionaryDeleteRequest(dictionary_name=key, some={"fields": fields})
        )
        self.write(key, {field: text for field, text in self.live(key).items() if field not in fields})

    @rule(key=KEYS)
    def remove_all(self, key: Any) -> None:
        calls.dictionary_delete(self.cache, pb._DictionaryDeleteRequest(dictionary_name=key, all={}))
        self.write(key, {})

    @rule(key=KEYS, fields=SOME)
    def get(self, key: Any, fields: Any) -> None:
        response = calls.dictionary_get(
            self.cache, pb._DictionaryGetRequest(dictionary_name=key, fields=fields)
        )
        assert bool(self.live(key)) == response.HasField("found")
        if self.live(key):
            answers = [part.cache_body if part.result == pb.Hit else None for part in response.found.items]
            assert [self.live(key).get(field) for field in fields] == answers

    @rule(key=KEYS)
    def fetch(self, key: Any) -> None:
        response = calls.dictionary_fetch(self.cache, pb._DictionaryFetchRequest(dictionary_name=key))
        assert self.live(key) == {pair.field: pair.value for pair in response.found.items}
        length = calls.dictionary_length(self.cache, pb._DictionaryLengthRequest(dictionary_name=key))
        assert len(self.live(key)) == length.found.length


DictionariesMachine.TestCase.settings = SETTINGS
test_any_sequence_of_calls_agrees_with_a_dict = DictionariesMachine.TestCase
