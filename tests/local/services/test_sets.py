"""The calls on sets: by Momento's own clients, over the wire, and at random against plain sets."""

from __future__ import annotations

import itertools
from typing import Any

from grpc import StatusCode
from hypothesis import strategies as st
from hypothesis.stateful import rule
from momento.responses import CacheSetAddElements, CacheSetFetch, CacheSetRemoveElements
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.services.sets import Sets
from django_momento.local.storage.collections import Set
from tests.kit.sdk import Blocking
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal
from tests.local.collection_machine import KEYS, SETTINGS, SOME, TTLS, CollectionMachine

calls = Sets()


def test_the_sdk_fetches_each_element_once(sdk: Blocking) -> None:
    """Duplicates, within a call and across calls, are ignored."""
    added = sdk.set_add_elements("cache", "s", {"a", b"\xff"})
    assert isinstance(added, CacheSetAddElements.Success)
    sdk.set_add_element("cache", "s", "a")
    assert sdk.set_fetch("cache", "s").value_set_bytes == {b"a", b"\xff"}


def test_the_sdk_misses_a_set_without_elements(sdk: Blocking) -> None:
    """One that never existed, and one that lost its last element. Removing succeeds in both."""
    assert isinstance(sdk.set_fetch("cache", "s"), CacheSetFetch.Miss)
    sdk.set_add_element("cache", "s", "a")
    for _ in range(2):
        assert isinstance(sdk.set_remove_elements("cache", "s", {"a", "x"}), CacheSetRemoveElements.Success)
        assert isinstance(sdk.set_fetch("cache", "s"), CacheSetFetch.Miss)


def test_popped_elements_are_gone(wire: Wire) -> None:
    """Each is handed out once, and the set is gone with the last."""
    elements = [b"%d" % number for number in range(10)]
    wire.SetUnion(pb._SetUnionRequest(set_name=b"s", elements=elements, ttl_milliseconds=9))
    popped = [wire.SetPop(pb._SetPopRequest(set_name=b"s", count=4)).found.elements for _ in range(3)]
    assert ([4, 4, 2], sorted(elements)) == (
        [len(part) for part in popped],
        sorted(itertools.chain(*popped)),
    )
    assert wire.SetPop(pb._SetPopRequest(set_name=b"s", count=4)).HasField("missing")
    assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"s"])).exists) == [False]


def test_samples_differ(wire: Wire) -> None:
    """They are random: fifty of one in a hundred are never all the same."""
    elements = [b"%d" % number for number in range(100)]
    wire.SetUnion(pb._SetUnionRequest(set_name=b"s", elements=elements, ttl_milliseconds=9))
    request = pb._SetSampleRequest(set_name=b"s", limit=1)
    assert len({wire.SetSample(request).found.elements[0] for _ in range(50)}) > 1


@table(
    ("rpc", "request_", "argument"),
    [
        ("SetFetch", pb._SetFetchRequest(), "set_name"),
        ("SetSample", pb._SetSampleRequest(), "set_name"),
        ("SetLength", pb._SetLengthRequest(), "set_name"),
        ("SetContains", pb._SetContainsRequest(), "set_name"),
        ("SetUnion", pb._SetUnionRequest(ttl_milliseconds=1), "set_name"),
        ("SetUnion", pb._SetUnionRequest(set_name=b"s"), "ttl_milliseconds"),
        ("SetDifference", pb._SetDifferenceRequest(subtrahend={"identity": {}}), "set_name"),
        ("SetDifference", pb._SetDifferenceRequest(set_name=b"s"), "difference"),
        ("SetDifference", pb._SetDifferenceRequest(set_name=b"s", subtrahend={}), "difference"),
        ("SetPop", pb._SetPopRequest(count=1), "set_name"),
        ("SetPop", pb._SetPopRequest(set_name=b"s"), "count"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)


class SetsMachine(CollectionMachine):
    wanted = Set
    empty = set()

    @rule(key=KEYS, elements=SOME, ttl=TTLS, refresh=st.booleans())
    def union(self, key: Any, elements: Any, ttl: Any, refresh: Any) -> None:
        calls.set_union(
            self.cache,
            pb._SetUnionRequest(set_name=key, elements=elements, ttl_milliseconds=ttl, refresh_ttl=refresh),
        )
        self.write(key, self.live(key) | set(elements), ttl, refresh)

    @rule(key=KEYS, elements=SOME, arm=st.sampled_from(["minuend", "set", "identity"]))
    def difference(self, key: Any, elements: Any, arm: Any) -> None:
        stored = self.live(key)
        change, left = {
            "minuend": ({"minuend": {"elements": elements}}, set(elements) - stored if stored else set()),
            "set": ({"subtrahend": {"set": {"elements": elements}}}, stored - set(elements)),
            "identity": ({"subtrahend": {"identity": {}}}, set()),
        }[arm]
        response = calls.set_difference(self.cache, pb._SetDifferenceRequest(set_name=key, **change))
        assert response.WhichOneof("set") == ("found" if stored else "missing")
        self.write(key, left)

    @rule(key=KEYS, count=st.integers(1, 6))
    def pop(self, key: Any, count: Any) -> None:
        stored = self.live(key)
        response = calls.set_pop(self.cache, pb._SetPopRequest(set_name=key, count=count))
        assert response.WhichOneof("set") == ("found" if stored else "missing")
        popped = list(response.found.elements)
        assert (len(popped), True) == (min(count, len(stored)), set(popped) <= stored)
        assert len(popped) == len(set(popped))
        self.write(key, stored - set(popped))

    @rule(key=KEYS, limit=st.integers(0, 6), elements=SOME)
    def read(self, key: Any, limit: Any, elements: Any) -> None:
        stored = self.live(key)
        fetched = calls.set_fetch(self.cache, pb._SetFetchRequest(set_name=key))
        sample = calls.set_sample(self.cache, pb._SetSampleRequest(set_name=key, limit=limit))
        length = calls.set_length(self.cache, pb._SetLengthRequest(set_name=key))
        contains = calls.set_contains(self.cache, pb._SetContainsRequest(set_name=key, elements=elements))
        for response in (fetched, sample, length, contains):
            assert response.WhichOneof("set") == ("found" if stored else "missing")
        assert stored == set(fetched.found.elements)
        assert len(stored) == len(fetched.found.elements) == length.found.length
        assert set(sample.found.elements) <= stored
        assert len(sample.found.elements) == len(set(sample.found.elements)) == min(limit, len(stored))
        assert [element in stored for element in elements if stored] == list(contains.found.contains)


SetsMachine.TestCase.settings = SETTINGS
test_any_sequence_of_calls_agrees_with_a_set = SetsMachine.TestCase
