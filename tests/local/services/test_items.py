"""Delete, KeysExist and the TTL calls over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb

from tests.kit.tables import table
from tests.kit.wire import Wire, refusal
from tests.local.clock import FakeClock


@pytest.fixture
def item(wire: Wire) -> None:
    """An item under the key b"k" with 100 ms to live."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=100))


def ttl(wire: Wire, key: Any = b"k") -> Any:
    response = wire.ItemGetTtl(pb._ItemGetTtlRequest(cache_key=key))
    return response.found.remaining_ttl_millis if response.HasField("found") else None


@pytest.mark.usefixtures("item")
def test_a_deleted_item_is_gone_and_may_be_deleted_again(wire: Wire) -> None:
    """Deleting a missing item succeeds."""
    for _ in range(2):
        wire.Delete(pb._DeleteRequest(cache_key=b"k"))
    assert wire.Get(pb._GetRequest(cache_key=b"k")).result == pb.Miss


@pytest.mark.usefixtures("item")
def test_keys_exist_answers_key_by_key_in_order(wire: Wire) -> None:
    """One bool for each key, also for one that is given twice."""
    response = wire.KeysExist(pb._KeysExistRequest(cache_keys=[b"x", b"k", b"y", b"k"]))
    assert list(response.exists) == [False, True, False, True]


def test_no_keys_have_no_answers(wire: Wire) -> None:
    """If there are no keys, the response is empty."""
    assert list(wire.KeysExist(pb._KeysExistRequest()).exists) == []


@pytest.mark.usefixtures("item")
def test_the_remaining_ttl_is_exact(wire: Wire, clock: FakeClock) -> None:
    """It shrinks with the clock, millisecond by millisecond, until the item is missing."""
    clock.advance(99)
    assert ttl(wire) == 1
    clock.advance(1)
    assert None is ttl(wire)


@pytest.mark.parametrize(
    ("change", "outcome", "remaining"),
    [
        ({"overwrite_to_milliseconds": 50}, "set", 50),
        ({"overwrite_to_milliseconds": 200}, "set", 200),
        ({"overwrite_to_milliseconds": 2**64 - 1}, "set", 2**64 - 1),
        ({"increase_to_milliseconds": 101}, "set", 101),
        ({"increase_to_milliseconds": 100}, "not_set", 100),
        ({"increase_to_milliseconds": 50}, "not_set", 100),
        ({"decrease_to_milliseconds": 99}, "set", 99),
        ({"decrease_to_milliseconds": 100}, "not_set", 100),
        ({"decrease_to_milliseconds": 200}, "not_set", 100),
    ],
)
@pytest.mark.usefixtures("item")
def test_a_ttl_moves_the_way_it_may(wire: Wire, change: Any, outcome: Any, remaining: Any) -> None:
    """Overwriting always applies, increasing and decreasing only if they do."""
    response = wire.UpdateTtl(pb._UpdateTtlRequest(cache_key=b"k", **change))
    assert (outcome, remaining) == (response.WhichOneof("result"), ttl(wire))


@pytest.mark.parametrize("arm", ["overwrite_to", "increase_to", "decrease_to"])
def test_the_ttl_of_a_missing_item_cannot_change(wire: Wire, arm: Any) -> None:
    """All three return ``missing`` and create no item."""
    response = wire.UpdateTtl(pb._UpdateTtlRequest(cache_key=b"k", **{f"{arm}_milliseconds": 10}))
    assert (response.WhichOneof("result"), ttl(wire)) == ("missing", None)


@pytest.mark.usefixtures("item")
def test_a_scalar_is_of_the_scalar_type(wire: Wire) -> None:
    """A missing item has no type."""
    found = wire.ItemGetType(pb._ItemGetTypeRequest(cache_key=b"k"))
    missing = wire.ItemGetType(pb._ItemGetTypeRequest(cache_key=b"x"))
    assert (found.WhichOneof("result"), missing.WhichOneof("result")) == ("found", "missing")
    assert found.found.item_type == pb._ItemGetTypeResponse.SCALAR


@table(
    ("rpc", "request_", "argument"),
    [
        ("Delete", pb._DeleteRequest(), "cache_key"),
        ("KeysExist", pb._KeysExistRequest(cache_keys=[b"k", b""]), "cache_key"),
        ("ItemGetTtl", pb._ItemGetTtlRequest(), "cache_key"),
        ("ItemGetType", pb._ItemGetTypeRequest(), "cache_key"),
        ("UpdateTtl", pb._UpdateTtlRequest(overwrite_to_milliseconds=1), "cache_key"),
        ("UpdateTtl", pb._UpdateTtlRequest(cache_key=b"k"), "update_ttl"),
        (
            "UpdateTtl",
            pb._UpdateTtlRequest(cache_key=b"k", increase_to_milliseconds=0),
            "increase_to_milliseconds",
        ),
    ],
)
@pytest.mark.usefixtures("item")
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, the text begins with the argument, and the item is as it was."""
    error = refusal(getattr(wire, rpc), request_)
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert error.details().split()[0] == argument
    assert ttl(wire) == 100
