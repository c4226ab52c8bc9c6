"""The calls on lists: by Momento's own clients, over the wire, and at random against plain lists."""

from __future__ import annotations

from typing import Any

from grpc import StatusCode
from hypothesis import strategies as st
from hypothesis.stateful import rule
from momento.responses import CacheListFetch, CacheListLength, CacheListPopBack, CacheListRemoveValue
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.services.lists import Lists
from django_momento.local.storage.collections import List
from tests.kit.sdk import Blocking
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal
from tests.local.collection_machine import (
    ELEMENTS,
    INDEXES,
    KEYS,
    SETTINGS,
    SOME,
    TTLS,
    CollectionMachine,
)

calls = Lists()


def put(wire: Wire, *values: Any) -> None:
    wire.ListConcatenateBack(
        pb._ListConcatenateBackRequest(list_name=b"l", values=values, ttl_milliseconds=99)
    )


def fetch(wire: Wire, **window: Any) -> Any:
    return list(wire.ListFetch(pb._ListFetchRequest(list_name=b"l", **window)).found.values)


def window(start: Any, end: Any) -> Any:
    """Return the arms of a request; an end that is not given is said to be unbounded, or not said at all."""
    arms = {"unbounded_start": {}} if start is None else {"inclusive_start": start}
    return arms if end is None else {**arms, "exclusive_end": end}


def test_the_sdk_writes_at_both_ends(sdk: Blocking) -> None:
    """Values written together keep their order, also in front."""
    assert sdk.list_concatenate_back("cache", "l", ["2", "3"]).list_length == 2
    assert sdk.list_concatenate_front("cache", "l", ["0", "1"]).list_length == 4
    assert sdk.list_push_back("cache", "l", "4").list_length == 5
    assert sdk.list_push_front("cache", "l", b"\xff").list_length == 6
    assert sdk.list_fetch("cache", "l").value_list_bytes == [b"\xff", b"0", b"1", b"2", b"3", b"4"]
    assert sdk.list_length("cache", "l").length == 6


def test_the_sdk_truncates_the_far_end(sdk: Blocking) -> None:
    """The values just written stay, and the returned length is that after the truncation."""
    sdk.list_concatenate_back("cache", "l", ["1", "2", "3"])
    assert sdk.list_concatenate_back("cache", "l", ["4", "5"], truncate_front_to_size=3).list_length == 3
    assert sdk.list_fetch("cache", "l").value_list_string == ["3", "4", "5"]
    assert sdk.list_concatenate_front("cache", "l", ["1", "2"], truncate_back_to_size=3).list_length == 3
    assert sdk.list_fetch("cache", "l").value_list_string == ["1", "2", "3"]
    assert sdk.list_push_back("cache", "l", "x", truncate_front_to_size=1).list_length == 1
    assert sdk.list_push_front("cache", "l", "y", truncate_back_to_size=1).list_length == 1
    assert sdk.list_fetch("cache", "l").value_list_string == ["y"]


def test_the_sdk_pops_until_there_is_no_list(sdk: Blocking) -> None:
    """From either end; then all is a miss."""
    sdk.list_concatenate_back("cache", "l", ["1", "2", "3"])
    assert sdk.list_pop_front("cache", "l").value_string == "1"
    assert sdk.list_pop_back("cache", "l").value_string == "3"
    assert sdk.list_pop_back("cache", "l").value_string == "2"
    assert isinstance(sdk.list_pop_back("cache", "l"), CacheListPopBack.Miss)
    assert isinstance(sdk.list_fetch("cache", "l"), CacheListFetch.Miss)
    assert isinstance(sdk.list_length("cache", "l"), CacheListLength.Miss)


def test_the_sdk_removes_all_equal_values(sdk: Blocking) -> None:
    """A success also where there is no such value, or no list."""
    sdk.list_concatenate_back("cache", "l", ["1", "x", "2", "x"])
    for value in ("x", "x", "1", "2", "2"):
        assert isinstance(sdk.list_remove_value("cache", "l", value), CacheListRemoveValue.Success)
    assert isinstance(sdk.list_fetch("cache", "l"), CacheListFetch.Miss)


def test_a_window_past_the_end_of_a_list_is_found_and_empty(wire: Wire) -> None:
    """There is a list, and nothing of it is meant."""
    put(wire, b"0", b"1")
    response = wire.ListFetch(pb._ListFetchRequest(list_name=b"l", inclusive_start=5))
    assert (response.WhichOneof("list"), list(response.found.values)) == ("found", [])


def test_ranges_to_erase_are_those_of_the_list_as_it_was(wire: Wire) -> None:
    """They may overlap, touch, and reach past the end."""
    put(wire, *[b"%d" % number for number in range(8)])
    ranges = [(1, 2), (2, 2), (6, 2**32 - 1), (2**32 - 1, 2**32 - 1), (4, 0)]
    some = {"ranges": [{"begin_index": begin, "count": count} for begin, count in ranges]}
    assert wire.ListErase(pb._ListEraseRequest(list_name=b"l", some=some)).found.list_length == 3
    assert fetch(wire) == [b"0", b"4", b"5"]


def test_writing_no_values_makes_no_list(wire: Wire) -> None:
    """An empty list does not exist."""
    put(wire)
    assert wire.ListLength(pb._ListLengthRequest(list_name=b"l")).HasField("missing")


@table(
    ("rpc", "request_", "argument"),
    [
        ("ListPushFront", pb._ListPushFrontRequest(ttl_milliseconds=1), "list_name"),
        ("ListPushBack", pb._ListPushBackRequest(list_name=b"l"), "ttl_milliseconds"),
        ("ListConcatenateFront", pb._ListConcatenateFrontRequest(list_name=b"l"), "ttl_milliseconds"),
        ("ListConcatenateBack", pb._ListConcatenateBackRequest(ttl_milliseconds=1), "list_name"),
        ("ListPopFront", pb._ListPopFrontRequest(), "list_name"),
        ("ListPopBack", pb._ListPopBackRequest(), "list_name"),
        ("ListFetch", pb._ListFetchRequest(), "list_name"),
        ("ListLength", pb._ListLengthRequest(), "list_name"),
        ("ListRetain", pb._ListRetainRequest(), "list_name"),
        ("ListRetain", pb._ListRetainRequest(list_name=b"l", refresh_ttl=True), "ttl_milliseconds"),
        ("ListRemove", pb._ListRemoveRequest(all_elements_with_value=b"x"), "list_name"),
        ("ListRemove", pb._ListRemoveRequest(list_name=b"l"), "remove"),
        ("ListErase", pb._ListEraseRequest(all={}), "list_name"),
        ("ListErase", pb._ListEraseRequest(list_name=b"l"), "erase"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)


class ListsMachine(CollectionMachine):
    wanted = List
    empty = []

    def outcome(self, stored: Any) -> Any:
        return "found" if stored else "missing"

    @rule(key=KEYS, values=SOME, ttl=TTLS, refresh=st.booleans(), size=st.integers(0, 6))
    def concatenate_back(self, key: Any, values: Any, ttl: Any, refresh: Any, size: Any) -> None:
        request = pb._ListConcatenateBackRequest(
            list_name=key,
            values=values,
            ttl_milliseconds=ttl,
            refresh_ttl=refresh,
            truncate_front_to_size=size,
        )
        expected = (self.live(key) + values)[-size:]
        assert calls.list_concatenate_back(self.cache, request).list_length == len(expected)
        self.write(key, expected, ttl, refresh)

    @rule(key=KEYS, values=SOME, ttl=TTLS, refresh=st.booleans(), size=st.integers(0, 6))
    def concatenate_front(self, key: Any, values: Any, ttl: Any, refresh: Any, size: Any) -> None:
        request = pb._ListConcatenateFrontRequest(
            list_name=key,
            values=values,
            ttl_milliseconds=ttl,
            refresh_ttl=refresh,
            truncate_back_to_size=size,
        )
        expected = (values + self.live(key))[: size or None]
        assert calls.list_concatenate_front(self.cache, request).list_length == len(expected)
        self.write(key, expected, ttl, refresh)

    @rule(key=KEYS, front=ELEMENTS, back=ELEMENTS, ttl=TTLS, refresh=st.booleans())
    def push_at_both_ends(self, key: Any, front: Any, back: Any, ttl: Any, refresh: Any) -> None:
        common = {"list_name": key, "ttl_milliseconds": ttl, "refresh_ttl": refresh}
        calls.list_push_front(self.cache, pb._ListPushFrontRequest(value=front, **common))
        calls.list_push_back(self.cache, pb._ListPushBackRequest(value=back, **common))
        self.write(key, [front, *self.live(key), back], ttl, refresh)

    @rule(key=KEYS)
    def pop_front(self, key: Any) -> None:
        stored = self.live(key)
        response = calls.list_pop_front(self.cache, pb._ListPopFrontRequest(list_name=key))
        assert response.WhichOneof("list") == self.outcome(stored)
        assert (b"".join(stored[:1]), len(stored[1:])) == (response.found.front, response.found.list_length)
        self.write(key, stored[1:])

    @rule(key=KEYS)
    def pop_back(self, key: Any) -> None:
        stored = self.live(key)
        response = calls.list_pop_back(self.cache, pb._ListPopBackRequest(list_name=key))
        assert response.WhichOneof("list") == self.outcome(stored)
        assert (b"".join(stored[-1:]), len(stored[:-1])) == (response.found.back, response.found.list_length)
        self.write(key, stored[:-1])

    @rule(key=KEYS, start=INDEXES, end=INDEXES, ttl=TTLS, refresh=st.booleans())
    def retain(self, key: Any, start: Any, end: Any, ttl: Any, refresh: Any) -> None:
        stored = self.live(key)
        request = pb._ListRetainRequest(
            list_name=key, ttl_milliseconds=ttl, refresh_ttl=refresh, **window(start, end)
        )
        response = calls.list_retain(self.cache, request)
        assert response.WhichOneof("list") == self.outcome(stored)
        assert len(stored[start:end]) == response.found.list_length
        self.write(key, stored[start:end], ttl, refresh)

    @rule(key=KEYS, removed=ELEMENTS)
    def remove(self, key: Any, removed: Any) -> None:
        stored = self.live(key)
        left = [value for value in stored if value != removed]
        request = pb._ListRemoveRequest(list_name=key, all_elements_with_value=removed)
        response = calls.list_remove(self.cache, request)
        assert (response.WhichOneof("list"), response.found.list_length) == (self.outcome(stored), len(left))
        self.write(key, left)

    @rule(key=KEYS, ranges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=3))
    def erase(self, key: Any, ranges: Any) -> None:
        stored = self.live(key)
        erased = {begin + step for begin, count in ranges for step in range(count)}
        left = [value for index, value in enumerate(stored) if index not in erased]
        some = {"ranges": [{"begin_index": begin, "count": count} for begin, count in ranges]}
        response = calls.list_erase(self.cache, pb._ListEraseRequest(list_name=key, some=some))
        assert (response.WhichOneof("list"), response.found.list_length) == (self.outcome(stored), len(left))
        self.write(key, left)

    @rule(key=KEYS)
    def erase_all(self, key: Any) -> None:
        calls.list_erase(self.cache, pb._ListEraseRequest(list_name=key, all={}))
        self.write(key, [])

    @rule(key=KEYS, start=INDEXES, end=INDEXES)
    def read(self, key: Any, start: Any, end: Any) -> None:
        stored = self.live(key)
        fetched = calls.list_fetch(self.cache, pb._ListFetchRequest(list_name=key, **window(start, end)))
        length = calls.list_length(self.cache, pb._ListLengthRequest(list_name=key))
        assert fetched.WhichOneof("list") == length.WhichOneof("list") == self.outcome(stored)
        assert stored[start:end] == list(fetched.found.values)
        assert len(stored) == length.found.length


ListsMachine.TestCase.settings = SETTINGS
test_any_sequence_of_calls_agrees_with_a_list = ListsMachine.TestCase
