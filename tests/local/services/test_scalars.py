"""The calls on scalars: over the wire one by one, and all of them at random against a plain dict."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.errors import IncrementOverflow, NotAnInteger
from django_momento.local.services.items import Items
from django_momento.local.services.scalars import Scalars
from django_momento.local.storage.retention import Retention
from django_momento.local.storage.store import Store
from tests.kit.tables import table
from tests.kit.wire import Wire, refusal, status
from tests.local.clock import FakeClock

LIMIT = 5_242_880


def put(wire: Wire, key: Any = b"k", value: Any = b"v", ttl: Any = 100) -> Any:
    return wire.Set(pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=ttl))


def get(wire: Wire, key: Any = b"k") -> Any:
    response = wire.Get(pb._GetRequest(cache_key=key))
    return response.cache_body if response.result == pb.Hit else None


def ttl(wire: Wire, key: Any = b"k") -> Any:
    return wire.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=key)).found.remaining_ttl_millis


def increment(wire: Wire, amount: Any = 1, ttl: Any = 100) -> Any:
    return wire.Increment(pb._IncrementRequest(cache_key=b"k", amount=amount, ttl_milliseconds=ttl)).value


def test_a_set_value_is_a_hit_and_any_other_key_a_miss(wire: Wire) -> None:
    """Keys and values are bytes of any kind, and a value may be empty."""
    assert put(wire, b"\x00\xff", b"").result == pb.Ok
    assert (get(wire, b"\x00\xff"), get(wire, b"other")) == (b"", None)


def test_a_value_is_a_miss_at_the_end_of_its_ttl(wire: Wire, clock: FakeClock) -> None:
    """Exactly at the boundary, and not a millisecond before."""
    put(wire, ttl=100)
    clock.advance(99)
    assert get(wire) == b"v"
    clock.advance(1)
    assert None is get(wire)


def test_get_batch_answers_in_the_order_asked(wire: Wire) -> None:
    """One response for each key, hits and misses mixed. A key that is given twice has two."""
    put(wire, b"a", b"1")
    put(wire, b"b", b"2")
    keys = [b"b", b"x", b"a", b"b"]
    answers = wire.GetBatch(pb._GetBatchRequest(items=[pb._GetRequest(cache_key=key) for key in keys]))
    assert [pb.Hit, pb.Miss, pb.Hit, pb.Hit] == [answer.result for answer in answers]
    assert [answer.cache_body for answer in answers] == [b"2", b"", b"1", b"2"]


def test_set_batch_writes_each_item_with_its_own_ttl(wire: Wire) -> None:
    """One Ok an item; of two with the same key the last stays."""
    items = [
        pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=milliseconds)
        for key, value, milliseconds in [(b"a", b"1", 10), (b"b", b"2", 20), (b"a", b"3", 30)]
    ]
    assert [pb.Ok] * 3 == [answer.result for answer in wire.SetBatch(pb._SetBatchRequest(items=items))]
    assert [(get(wire, key), ttl(wire, key)) for key in (b"a", b"b")] == [(b"3", 30), (b"2", 20)]


def test_empty_batches_have_empty_answers(wire: Wire) -> None:
    """A request without items has a stream without responses."""
    assert wire.GetBatch(pb._GetBatchRequest()) == []
    assert wire.SetBatch(pb._SetBatchRequest()) == []


def test_a_set_batch_with_one_bad_item_writes_none(wire: Wire) -> None:
    """The stream fails as a whole, before anything is written."""
    good = pb._SetRequest(cache_key=b"good", cache_body=b"v", ttl_milliseconds=10)
    bad = pb._SetRequest(cache_key=b"bad", cache_body=b"v", ttl_milliseconds=0)
    assert status(wire.SetBatch, pb._SetBatchRequest(items=[good, bad])) == StatusCode.INVALID_ARGUMENT
    assert None is get(wire, b"good")


def test_a_large_batch_comes_through_whole(wire: Wire) -> None:
    """More than any window or default message limit holds, one message an item."""
    value = bytes(1_000_000)
    for number in range(10):
        put(wire, b"%d" % number, value)
    request = pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"%d" % number) for number in range(10)])
    assert [value] * 10 == [answer.cache_body for answer in wire.GetBatch(request)]


@pytest.mark.parametrize(
    ("condition", "absent", "same", "different"),
    [
        ({"present": {}}, False, True, True),
        ({"absent": {}}, True, False, False),
        ({"equal": {"value_to_check": b"same"}}, False, True, False),
        ({"not_equal": {"value_to_check": b"same"}}, True, False, True),
        ({"present_and_not_equal": {"value_to_check": b"same"}}, False, False, True),
        ({"absent_or_equal": {"value_to_check": b"same"}}, True, True, False),
    ],
)
def test_set_if_stores_where_its_condition_holds(
    wire: Wire, condition: Any, absent: Any, same: Any, different: Any
) -> None:
    """Each condition, on an absent item, an equal value and another one."""
    put(wire, b"same", b"same")
    put(wire, b"different", b"different")
    for key, stored in [(b"absent", absent), (b"same", same), (b"different", different)]:
        request = pb._SetIfRequest(cache_key=key, cache_body=b"new", ttl_milliseconds=7, **condition)
        before = get(wire, key)
        assert wire.SetIf(request).WhichOneof("result") == ("stored" if stored else "not_stored")
        assert get(wire, key) == (b"new" if stored else before)


def test_an_equal_condition_on_an_empty_value_needs_an_item(wire: Wire) -> None:
    """An absent item is not the same as an empty one."""
    request = pb._SetIfRequest(
        cache_key=b"k", cache_body=b"new", ttl_milliseconds=7, equal={"value_to_check": b""}
    )
    assert wire.SetIf(request).WhichOneof("result") == "not_stored"
    put(wire, value=b"")
    assert wire.SetIf(request).WhichOneof("result") == "stored"


def test_set_if_not_exists_stores_once(wire: Wire, clock: FakeClock) -> None:
    """The second value and its TTL are ignored until the first has expired."""
    results = []
    for value, pause in [(b"first", 0), (b"second", 99), (b"third", 1)]:
        clock.advance(pause)
        request = pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=value, ttl_milliseconds=100)
        results.append((wire.SetIfNotExists(request).WhichOneof("result"), get(wire)))
    assert results == [("stored", b"first"), ("not_stored", b"first"), ("stored", b"third")]


def test_increment_starts_at_zero_and_stores_decimal_text(wire: Wire) -> None:
    """The value is readable as text, and negative amounts count down."""
    assert [increment(wire, amount) for amount in (5, -1, -10)] == [5, 4, -6]
    assert get(wire) == b"-6"


def test_increment_overwrites_the_ttl(wire: Wire, clock: FakeClock) -> None:
    """Each call sets the TTL anew, longer or shorter."""
    increment(wire, ttl=100)
    increment(wire, ttl=10)
    assert ttl(wire) == 10


@table(
    "value",
    [
        *(b"", b"x", b"1.5", b" 1", b"1\n", b"1_000", b"+1", b"--1", b"-", b"\xff", b"9" * 5000),
        *("\N{ARABIC-INDIC DIGIT ONE}".encode(), b"9223372036854775808", b"-9223372036854775809"),
    ],
)
def test_what_is_no_integer_cannot_be_incremented(wire: Wire, value: Any) -> None:
    """FAILED_PRECONDITION, and value and TTL stay."""
    put(wire, value=value, ttl=100)
    request = pb._IncrementRequest(cache_key=b"k", amount=1, ttl_milliseconds=7)
    assert status(wire.Increment, request) == StatusCode.FAILED_PRECONDITION
    assert (value, 100) == (get(wire), ttl(wire))


@pytest.mark.parametrize(("value", "amount"), [(b"9223372036854775807", 1), (b"-9223372036854775808", -1)])
def test_a_result_beyond_64_bits_is_refused(wire: Wire, value: Any, amount: Any) -> None:
    """OUT_OF_RANGE, and value and TTL stay."""
    put(wire, value=value, ttl=100)
    error = refusal(wire.Increment, pb._IncrementRequest(cache_key=b"k", amount=amount, ttl_milliseconds=7))
    assert error.code() == StatusCode.OUT_OF_RANGE
    assert "does not fit a signed 64-bit integer" in error.details()
    assert (value, 100) == (get(wire), ttl(wire))


@pytest.mark.parametrize("value", [b"9223372036854775806", b"-9223372036854775808", b"007", b"-0"])
def test_every_64_bit_integer_can_be_incremented(wire: Wire, value: Any) -> None:
    """Up to the very last one, leading zeros included."""
    put(wire, value=value)
    assert increment(wire) == int(value) + 1


def test_a_value_of_five_million_bytes_goes_in_and_out(wire: Wire) -> None:
    """Legal for Momento, and more than gRPC allows by default."""
    value = bytes(5_000_000)
    put(wire, value=value)
    assert get(wire) == value


@table(
    ("rpc", "request_"),
    [
        ("Set", pb._SetRequest(cache_key=b"k", cache_body=bytes(LIMIT), ttl_milliseconds=1)),
        (
            "SetBatch",
            pb._SetBatchRequest(
                items=[pb._SetRequest(cache_key=b"k", cache_body=bytes(LIMIT), ttl_milliseconds=1)]
            ),
        ),
        ("SetIf", pb._SetIfRequest(cache_key=b"k", cache_body=bytes(LIMIT), ttl_milliseconds=1, absent={})),
        (
            "SetIfNotExists",
            pb._SetIfNotExistsRequest(cache_key=b"k", cache_body=bytes(LIMIT), ttl_milliseconds=1),
        ),
        ("Increment", pb._IncrementRequest(cache_key=bytes(LIMIT), amount=1, ttl_milliseconds=1)),
    ],
)
def test_an_item_too_large_is_refused_by_that_name(wire: Wire, rpc: Any, request_: Any) -> None:
    """RESOURCE_EXHAUSTED, with the `err` by which the SDKs tell which limit it was."""
    error = refusal(getattr(wire, rpc), request_)
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED
    assert ("err", "item_size_limit_exceeded") in error.trailing_metadata()
    assert error.details() == "The item size limit is 5242880 bytes for key and value; this item has 5242881"


@table(
    ("rpc", "request_", "argument"),
    [
        ("Get", pb._GetRequest(), "cache_key"),
        ("GetBatch", pb._GetBatchRequest(items=[pb._GetRequest()]), "cache_key"),
        ("Set", pb._SetRequest(ttl_milliseconds=1), "cache_key"),
        ("Set", pb._SetRequest(cache_key=b"k"), "ttl_milliseconds"),
        ("SetIf", pb._SetIfRequest(cache_key=b"k", absent={}), "ttl_milliseconds"),
        ("SetIf", pb._SetIfRequest(cache_key=b"k", ttl_milliseconds=1), "condition"),
        ("SetIfNotExists", pb._SetIfNotExistsRequest(cache_key=b"k"), "ttl_milliseconds"),
        ("Increment", pb._IncrementRequest(amount=1, ttl_milliseconds=1), "cache_key"),
        ("Increment", pb._IncrementRequest(cache_key=b"k", amount=1), "ttl_milliseconds"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert error.details().split()[0] == argument
    assert None is get(wire)


KEYS = st.sampled_from([b"a", b"b", b"c"])
VALUES = st.sampled_from([b"", b"x", b"1", b"-7", b"9223372036854775807"])
TTLS = st.sampled_from([1, 2, 5, 100, 2**64 - 1])
PAUSES = st.sampled_from([1, 2, 4, 95, 10_000])
CONDITIONS = st.sampled_from(
    ["present", "absent", "equal", "not_equal", "present_and_not_equal", "absent_or_equal"]
)
ARMS = st.sampled_from(["overwrite_to", "increase_to", "decrease_to"])


class ScalarsMachine(RuleBasedStateMachine):
    """Scalars against a dict of key to (value, time of expiry), expired entries ignored."""

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        self.store = Store(Retention(self.clock))
        self.store.create("cache")
        self.cache = self.store.cache("cache")
        self.model: dict[bytes, Any] = {}

    def live(self, key: Any) -> Any:
        value, expires_at = self.model.get(key, (None, 0))
        return value if self.clock.now < expires_at else None

    def remaining(self, key: Any) -> Any:
        return None if self.live(key) is None else self.model[key][1] - self.clock.now

    def write(self, key: Any, value: Any, ttl: Any) -> None:
        self.model[key] = (value, self.clock.now + ttl)

    @rule(pause=PAUSES)
    def time_passes(self, pause: Any) -> None:
        self.clock.advance(pause)

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        response = Scalars().get(self.cache, pb._GetRequest(cache_key=key))
        assert self.live(key) == (response.cache_body if response.result == pb.Hit else None)

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set(self, key: Any, value: Any, ttl: Any) -> None:
        request = pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=ttl)
        Scalars().set(self.cache, request)
        self.write(key, value, ttl)

    @rule(key=KEYS, value=VALUES, ttl=TTLS, condition=CONDITIONS, check=VALUES)
    def set_if(self, key: Any, value: Any, ttl: Any, condition: Any, check: Any) -> None:
        arm = {condition: {} if condition in ("present", "absent") else {"value_to_check": check}}
        request = pb._SetIfRequest(cache_key=key, cache_body=value, ttl_milliseconds=ttl, **arm)
        present, equal = self.live(key) is not None, self.live(key) == check
        expected = {
            "present": present,
            "absent": not present,
            "equal": present and equal,
            "not_equal": not (present and equal),
            "present_and_not_equal": present and not equal,
            "absent_or_equal": not present or equal,
        }[condition]
        assert Scalars().set_if(self.cache, request).HasField("stored") == expected
        if expected:
            self.write(key, value, ttl)

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set_if_not_exists(self, key: Any, value: Any, ttl: Any) -> None:
        request = pb._SetIfNotExistsRequest(cache_key=key, cache_body=value, ttl_milliseconds=ttl)
        expected = self.live(key) is None
        assert Scalars().set_if_not_exists(self.cache, request).HasField("stored") == expected
        if expected:
            self.write(key, value, ttl)

    @rule(key=KEYS, amount=st.sampled_from([-8, 1, 2**63 - 1]), ttl=TTLS)
    def increment(self, key: Any, amount: Any, ttl: Any) -> None:
        request = pb._IncrementRequest(cache_key=key, amount=amount, ttl_milliseconds=ttl)
        stored = self.live(key)
        if stored in (b"", b"x"):
            with pytest.raises(NotAnInteger):
                Scalars().increment(self.cache, request)
            return
        total = int(stored or 0) + amount
        if not -(2**63) <= total < 2**63:
            with pytest.raises(IncrementOverflow):
                Scalars().increment(self.cache, request)
            return
        assert Scalars().increment(self.cache, request).value == total
        self.write(key, str(total).encode(), ttl)

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        Items().delete(self.cache, pb._DeleteRequest(cache_key=key))
        self.model.pop(key, None)

    @rule(key=KEYS, arm=ARMS, ttl=TTLS)
    def update_ttl(self, key: Any, arm: Any, ttl: Any) -> None:
        request = pb._UpdateTtlRequest(cache_key=key, **{f"{arm}_milliseconds": ttl})
        remaining = self.remaining(key)
        applies = remaining is not None and (
            arm == "overwrite_to" or (ttl > remaining if arm == "increase_to" else ttl < remaining)
        )
        expected = "missing" if remaining is None else "set" if applies else "not_set"
        assert Items().update_ttl(self.cache, request).WhichOneof("result") == expected
        if applies:
            self.write(key, self.live(key), ttl)

    @rule(limit=st.sampled_from([1, 10]))
    def expired_items_are_swept(self, limit: Any) -> None:
        self.store.drop_expired(limit)

    @rule()
    def flush(self) -> None:
        self.cache.flush()
        self.model.clear()

    @precondition(lambda self: self.model)
    @rule()
    def every_ttl_agrees(self) -> None:
        for key in self.model:
            assert self.cache.remaining_ttl(key) == self.remaining(key)

    def teardown(self) -> None:
        """Once everything has expired, nothing holds memory."""
        self.clock.advance(2**65)
        self.store.drop_expired(10_000)
        assert self.store.memory_used() == 0


ScalarsMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
test_any_sequence_of_calls_agrees_with_a_dict = ScalarsMachine.TestCase
