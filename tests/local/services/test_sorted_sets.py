"""The calls on sorted sets: by Momento's own clients, over the wire, and at random against plain dicts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from grpc import StatusCode
from hypothesis import strategies as st
from hypothesis.stateful import rule
from momento.requests import SortOrder
from momento.responses import (
    CacheSortedSetFetch,
    CacheSortedSetGetRank,
    CacheSortedSetGetScore,
    CacheSortedSetGetScores,
    CacheSortedSetRemoveElement,
)
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.services.sorted_sets import SortedSets
from django_momento.local.storage.collections import SortedSet
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

calls = SortedSets()
SCORES = st.sampled_from([-math.inf, -2.5, -0.0, 0.0, 1.0, 1e300, math.inf])
BOUNDS = st.none() | st.tuples(SCORES, st.booleans())

NO_AGGREGATE: Any = 9


def scored(items: Any) -> Any:
    return [pb._SortedSetElement(value=value, score=score) for value, score in items]


def put(wire: Wire, items: Any, key: Any = b"z", ttl: Any = 99) -> None:
    wire.SortedSetPut(pb._SortedSetPutRequest(set_name=key, elements=scored(items), ttl_milliseconds=ttl))


def fetch(wire: Wire, **arguments: Any) -> Any:
    response = wire.SortedSetFetch(pb._SortedSetFetchRequest(set_name=b"z", **arguments))
    return list(response.found.values.values)


def test_the_sdk_fetches_by_rank(sdk: Blocking) -> None:
    """In either order, a start and an end counted in that order."""
    sdk.sorted_set_put_elements("cache", "z", {"b": 2.0, "a": 1.0, "c": 3.0, "aa": 1.0})
    ascending = sdk.sorted_set_fetch_by_rank("cache", "z", 1, 3)
    assert ascending.value_list_string == [("aa", 1.0), ("b", 2.0)]
    descending = sdk.sorted_set_fetch_by_rank("cache", "z", 0, -1, sort_order=SortOrder.DESCENDING)
    assert descending.value_list_string == [("c", 3.0), ("b", 2.0), ("aa", 1.0)]


def test_the_sdk_fetches_by_score(sdk: Blocking) -> None:
    """Both ends belong to the range; offset and count come after the order."""
    sdk.sorted_set_put_elements("cache", "z", {str(n): float(n) for n in range(6)})
    fetched = sdk.sorted_set_fetch_by_score("cache", "z", 1, 4, SortOrder.DESCENDING, offset=1, count=2)
    assert fetched.value_list_string == [("3", 3.0), ("2", 2.0)]
    none = sdk.sorted_set_fetch_by_score("cache", "z", min_score=9)
    assert isinstance(none, CacheSortedSetFetch.Hit)
    assert none.value_list_string == []


def test_the_sdk_reads_scores_and_ranks(sdk: Blocking) -> None:
    """Of a value in the set, of a missing value, and of a missing set."""
    assert isinstance(sdk.sorted_set_get_rank("cache", "z", "a"), CacheSortedSetGetRank.Miss)
    assert isinstance(sdk.sorted_set_get_score("cache", "z", "a"), CacheSortedSetGetScore.Miss)
    assert isinstance(sdk.sorted_set_get_scores("cache", "z", ["a"]), CacheSortedSetGetScores.Miss)
    sdk.sorted_set_put_elements("cache", "z", {"a": 1.5, "b": -2.0})
    assert sdk.sorted_set_get_rank("cache", "z", "a").rank == 1
    assert sdk.sorted_set_get_rank("cache", "z", "a", SortOrder.DESCENDING).rank == 0
    assert isinstance(sdk.sorted_set_get_rank("cache", "z", "x"), CacheSortedSetGetRank.Miss)
    assert sdk.sorted_set_get_score("cache", "z", "b").score == -2.0
    assert isinstance(sdk.sorted_set_get_score("cache", "z", "x"), CacheSortedSetGetScore.Miss)
    several = sdk.sorted_set_get_scores("cache", "z", ["b", "x", "a"])
    assert [type(part).__name__ for part in several.responses] == ["Hit", "Miss", "Hit"]


def test_the_sdk_counts_and_removes(sdk: Blocking) -> None:
    """From zero; the set is gone with its last element, and removing is always a success."""
    assert [sdk.sorted_set_increment_score("cache", "z", "a", by).score for by in (1.5, -2.0)] == [1.5, -0.5]
    for _ in range(2):
        removed = sdk.sorted_set_remove_element("cache", "z", "a")
        assert isinstance(removed, CacheSortedSetRemoveElement.Success)
        assert isinstance(sdk.sorted_set_fetch_by_rank("cache", "z"), CacheSortedSetFetch.Miss)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("SUM", [(b"a", 1.0), (b"b", 12.0), (b"c", 20.0)]), ("MIN", [(b"a", 1), (b"b", 2), (b"c", 20)]),
     ("MAX", [(b"a", 1), (b"b", 10), (b"c", 20)])],
)  # fmt: skip
def test_a_union_weighs_and_aggregates(wire: Wire, aggregate: Any, expected: Any) -> None:
    """It replaces the destination and its TTL. A missing source is empty."""
    put(wire, [(b"a", 1.0), (b"b", 2.0)], key=b"one")
    put(wire, [(b"b", 5.0), (b"c", 10.0)], key=b"two")
    put(wire, [(b"old", 1.0)], key=b"z", ttl=10_000)
    sources = [
        {"set_name": b"one", "weight": 1},
        {"set_name": b"two", "weight": 2},
        {"set_name": b"x", "weight": 3},
    ]
    request = pb._SortedSetUnionStoreRequest(
        set_name=b"z", sources=sources, aggregate=aggregate, ttl_milliseconds=7
    )
    assert wire.SortedSetUnionStore(request).length == 3
    answer = wire.SortedSetFetch(pb._SortedSetFetchRequest(set_name=b"z", with_scores=True))
    pairs = [(element.value, element.score) for element in answer.found.values_with_scores.elements]
    assert expected == sorted(pairs)
    assert wire.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=b"z")).found.remaining_ttl_millis == 7


def test_a_union_may_read_what_it_writes(wire: Wire) -> None:
    """The destination can be a source, twice even."""
    put(wire, [(b"a", 1.0)])
    source = {"set_name": b"z", "weight": 2}
    request = pb._SortedSetUnionStoreRequest(set_name=b"z", sources=[source, source], ttl_milliseconds=7)
    wire.SortedSetUnionStore(request)
    score = wire.SortedSetGetScore(pb._SortedSetGetScoreRequest(set_name=b"z", values=[b"a"]))
    assert [part.score for part in score.found.elements] == [4.0]


def test_an_empty_union_deletes_its_destination(wire: Wire) -> None:
    """An empty set does not exist, also where a scalar was."""
    wire.Set(pb._SetRequest(cache_key=b"z", cache_body=b"v", ttl_milliseconds=9))
    source = {"set_name": b"x", "weight": 1}
    request = pb._SortedSetUnionStoreRequest(set_name=b"z", sources=[source], ttl_milliseconds=7)
    assert wire.SortedSetUnionStore(request).length == 0
    assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"z"])).exists) == [False]


def test_a_score_that_is_no_number_is_refused(wire: Wire) -> None:
    """It would have no place in the order; nothing of the request is written."""
    elements = scored([(b"a", 1.0), (b"b", math.nan)])
    error = refusal(
        wire.SortedSetPut, pb._SortedSetPutRequest(set_name=b"z", elements=elements, ttl_milliseconds=9)
    )
    assert (error.code(), error.details()) == (StatusCode.INVALID_ARGUMENT, "score must be a number")
    assert fetch(wire) == []


def test_infinities_have_their_place(wire: Wire) -> None:
    """At either end; adding them up to no number is refused and changes nothing."""
    put(wire, [(b"top", math.inf), (b"low", -math.inf), (b"mid", 0.0)])
    assert fetch(wire) == [b"low", b"mid", b"top"]
    request = pb._SortedSetIncrementRequest(set_name=b"z", value=b"top", amount=-math.inf, ttl_milliseconds=9)
    assert refusal(wire.SortedSetIncrement, request).code() == StatusCode.INVALID_ARGUMENT
    assert fetch(wire) == [b"low", b"mid", b"top"]


SOURCE = {"set_name": b"s", "weight": 1}


@table(
    ("rpc", "request_", "argument"),
    [
        ("SortedSetPut", pb._SortedSetPutRequest(ttl_milliseconds=1), "set_name"),
        ("SortedSetPut", pb._SortedSetPutRequest(set_name=b"z"), "ttl_milliseconds"),
        ("SortedSetFetch", pb._SortedSetFetchRequest(), "set_name"),
        ("SortedSetGetScore", pb._SortedSetGetScoreRequest(), "set_name"),
        ("SortedSetGetRank", pb._SortedSetGetRankRequest(), "set_name"),
        ("SortedSetLength", pb._SortedSetLengthRequest(), "set_name"),
        ("SortedSetLengthByScore", pb._SortedSetLengthByScoreRequest(), "set_name"),
        ("SortedSetIncrement", pb._SortedSetIncrementRequest(set_name=b"z"), "ttl_milliseconds"),
        ("SortedSetRemove", pb._SortedSetRemoveRequest(all={}), "set_name"),
        ("SortedSetRemove", pb._SortedSetRemoveRequest(set_name=b"z"), "remove_elements"),
        ("SortedSetUnionStore", pb._SortedSetUnionStoreRequest(set_name=b"z", ttl_milliseconds=1), "sources"),
        (
            "SortedSetUnionStore",
            pb._SortedSetUnionStoreRequest(
                set_name=b"z", sources=[SOURCE], ttl_milliseconds=1, aggregate=NO_AGGREGATE
            ),
            "aggregate",
        ),
        (
            "SortedSetUnionStore",
            pb._SortedSetUnionStoreRequest(set_name=b"z", sources=[SOURCE]),
            "ttl_milliseconds",
        ),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)


def inside(score: Any, lower: Any, upper: Any) -> Any:
    """Whether a score lies between two bounds, each None or a score and whether that one is left out."""
    above = lower is None or (score > lower[0] if lower[1] else score >= lower[0])
    below = upper is None or (score < upper[0] if upper[1] else score <= upper[0])
    return above and below


@table(
    ("bounds", "length"),
    [
        ({}, 3),
        ({"unbounded_min": {}, "unbounded_max": {}}, 3),
        ({"inclusive_min": 2}, 2),
        ({"exclusive_min": 2}, 1),
        ({"inclusive_max": 2}, 2),
        ({"exclusive_max": 2}, 1),
        ({"inclusive_min": 2, "inclusive_max": 2}, 1),
        ({"exclusive_min": 1, "exclusive_max": 3}, 1),
        ({"inclusive_min": 3, "inclusive_max": 1}, 0),
    ],
)
def test_a_length_by_score_counts_between_its_bounds(wire: Wire, bounds: Any, length: int) -> None:
    """Each bound is inclusive, exclusive or missing."""
    elements = [{"value": value, "score": score} for value, score in ((b"a", 1), (b"b", 2), (b"c", 3))]
    wire.SortedSetPut(pb._SortedSetPutRequest(set_name=b"z", elements=elements, ttl_milliseconds=1000))
    response = wire.SortedSetLengthByScore(pb._SortedSetLengthByScoreRequest(set_name=b"z", **bounds))
    assert response.found.length == length


ORDERS: tuple[Any, Any] = (0, 1)  # ascending, descending


class SortedSetsMachine(CollectionMachine):
    wanted = SortedSet
    empty = {}

    def ordered(self, key: Any, descending: Any = False) -> Any:
        pairs = sorted((score, value) for value, score in self.live(key).items())
        return pairs[::-1] if descending else pairs

    def outcome(self, key: Any) -> Any:
        return "found" if self.live(key) else "missing"

    @rule(key=KEYS, items=st.lists(st.tuples(ELEMENTS, SCORES), max_size=5), ttl=TTLS, refresh=st.booleans())
    def put(self, key: Any, items: Any, ttl: Any, refresh: Any) -> None:
        request = pb._SortedSetPutRequest(
            set_name=key, elements=scored(items), ttl_milliseconds=ttl, refresh_ttl=refresh
        )
        calls.sorted_set_put(self.cache, request)
        self.write(key, {**self.live(key), **dict(items)}, ttl, refresh)

    @rule(
        key=KEYS, value=ELEMENTS, amount=st.sampled_from([-1.0, 0.5, 1e300]), ttl=TTLS, refresh=st.booleans()
    )
    def increment(self, key: Any, value: Any, amount: Any, ttl: Any, refresh: Any) -> None:
        request = pb._SortedSetIncrementRequest(
            set_name=key, value=value, amount=amount, ttl_milliseconds=ttl, refresh_ttl=refresh
        )
        expected = self.live(key).get(value, 0.0) + amount
        assert calls.sorted_set_increment(self.cache, request).score == expected
        self.write(key, {**self.live(key), value: expected}, ttl, refresh)

    @rule(key=KEYS, values=SOME)
    def remove(self, key: Any, values: Any) -> None:
        request = pb._SortedSetRemoveRequest(set_name=key, some={"values": values})
        calls.sorted_set_remove(self.cache, request)
        self.write(key, {value: score for value, score in self.live(key).items() if value not in values})

    @rule(key=KEYS)
    def remove_all(self, key: Any) -> None:
        calls.sorted_set_remove(self.cache, pb._SortedSetRemoveRequest(set_name=key, all={}))
        self.write(key, {})

    @rule(key=KEYS, other=KEYS, weight=st.sampled_from([-2.0, 0.5]), ttl=TTLS)
    def unite_by_maximum(self, key: Any, other: Any, weight: Any, ttl: Any) -> None:
        sources = [{"set_name": key, "weight": 1}, {"set_name": other, "weight": weight}]
        request = pb._SortedSetUnionStoreRequest(
            set_name=key, sources=sources, aggregate="MAX", ttl_milliseconds=ttl
        )
        union = self.live(key)
        for value, score in self.live(other).items():
            union[value] = max(union.get(value, -math.inf), score * weight)
        assert calls.sorted_set_union_store(self.cache, request).length == len(union)
        self.write(key, union, ttl, refresh_ttl=True)

    @rule(key=KEYS, start=INDEXES, end=INDEXES, descending=st.booleans())
    def fetch_by_index(self, key: Any, start: Any, end: Any, descending: Any) -> None:
        window = {"unbounded_start": {}} if start is None else {"inclusive_start_index": start}
        window |= {} if end is None else {"exclusive_end_index": end}
        request = pb._SortedSetFetchRequest(
            set_name=key, order=ORDERS[descending], with_scores=True, by_index=window
        )
        response = calls.sorted_set_fetch(self.cache, request)
        assert response.WhichOneof("sorted_set") == self.outcome(key)
        found = [(element.score, element.value) for element in response.found.values_with_scores.elements]
        assert self.ordered(key, descending)[start:end] == found

    @rule(
        key=KEYS, lower=BOUNDS, upper=BOUNDS, offset=st.integers(0, 3), count=st.integers(-1, 3),
        descending=st.booleans(),
    )  # fmt: skip
    def fetch_by_score(
        self, key: Any, lower: Any, upper: Any, offset: Any, count: Any, descending: Any
    ) -> None:
        window = {"offset": offset, "count": count}
        window["min_score" if lower else "unbounded_min"] = (
            {"score": lower[0], "exclusive": lower[1]} if lower else {}
        )
        if upper:
            window["max_score"] = {"score": upper[0], "exclusive": upper[1]}
        request = pb._SortedSetFetchRequest(set_name=key, order=ORDERS[descending], by_score=window)
        response = calls.sorted_set_fetch(self.cache, request)
        assert response.WhichOneof("sorted_set") == self.outcome(key)
        expected = [value for score, value in self.ordered(key, descending) if inside(score, lower, upper)]
        expected = expected[offset:] if count < 0 else expected[offset : offset + count]
        assert expected == list(response.found.values.values)

    @rule(key=KEYS, lower=BOUNDS, upper=BOUNDS)
    def lengths(self, key: Any, lower: Any, upper: Any) -> None:
        bounds = {}
        for side, bound in (("min", lower), ("max", upper)):
            if bound:
                bounds[("exclusive_" if bound[1] else "inclusive_") + side] = bound[0]
        counted = calls.sorted_set_length_by_score(
            self.cache, pb._SortedSetLengthByScoreRequest(set_name=key, **bounds)
        )
        length = calls.sorted_set_length(self.cache, pb._SortedSetLengthRequest(set_name=key))
        assert (self.outcome(key),) * 2 == (counted.WhichOneof("sorted_set"), length.WhichOneof("sorted_set"))
        assert sum(inside(score, lower, upper) for score in self.live(key).values()) == counted.found.length
        assert len(self.live(key)) == length.found.length

    @rule(key=KEYS, values=SOME, descending=st.booleans())
    def scores_and_ranks(self, key: Any, values: Any, descending: Any) -> None:
        response = calls.sorted_set_get_score(
            self.cache, pb._SortedSetGetScoreRequest(set_name=key, values=values)
        )
        assert response.WhichOneof("sorted_set") == self.outcome(key)
        if self.live(key):
            found = [part.score if part.result == pb.Hit else None for part in response.found.elements]
            assert [self.live(key).get(value) for value in values] == found
        order = [value for _, value in self.ordered(key, descending)]
        for value in values:
            request = pb._SortedSetGetRankRequest(set_name=key, value=value, order=ORDERS[descending])
            part = calls.sorted_set_get_rank(self.cache, request).element_rank
            expected = (pb.Hit, order.index(value)) if value in order else (pb.Miss, 0)
            assert expected == (part.result, part.rank)


SortedSetsMachine.TestCase.settings = SETTINGS
test_any_sequence_of_calls_agrees_with_a_dict = SortedSetsMachine.TestCase
