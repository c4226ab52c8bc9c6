"""GetWithHash and SetIfHash over the wire; no Python SDK has them."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb

from tests.kit.wire import Wire, refusal


def put(wire: Wire, key: Any, value: Any, **condition: Any) -> Any:
    return wire.SetIfHash(
        pb._SetIfHashRequest(cache_key=key, cache_body=value, ttl_milliseconds=9, **condition)
    )


def get(wire: Wire, key: Any) -> Any:
    response = wire.GetWithHash(pb._GetWithHashRequest(cache_key=key))
    return (response.found.value, response.found.hash) if response.HasField("found") else None


def test_equal_values_have_equal_hashes(wire: Wire) -> None:
    """Whatever wrote them, under whatever key; and other values have others."""
    hash_a = put(wire, b"a", b"same", unconditional={}).stored.new_hash
    wire.Set(pb._SetRequest(cache_key=b"b", cache_body=b"same", ttl_milliseconds=9))
    hash_c = put(wire, b"c", b"", unconditional={}).stored.new_hash
    assert (get(wire, b"a"), get(wire, b"b")) == ((b"same", hash_a), (b"same", hash_a))
    assert get(wire, b"c") == (b"", hash_c)
    assert len({hash_a, hash_c, b""}) == 3


def test_what_is_not_there_has_no_hash(wire: Wire) -> None:
    """`missing`, not an empty hash."""
    assert None is get(wire, b"x")


@pytest.mark.parametrize(
    ("condition", "absent", "same", "different"),
    [
        ("present_and_hash_equal", False, True, False),
        ("present_and_not_hash_equal", False, False, True),
        ("absent_or_hash_equal", True, True, False),
        ("absent_or_not_hash_equal", True, False, True),
    ],
)
def test_set_if_hash_stores_where_its_condition_holds(
    wire: Wire, condition: Any, absent: Any, same: Any, different: Any
) -> None:
    """Each condition, on an absent item, an equal value and another one."""
    checked = put(wire, b"same", b"same", unconditional={}).stored.new_hash
    put(wire, b"different", b"different", unconditional={})
    for key, stored in [(b"absent", absent), (b"same", same), (b"different", different)]:
        before = get(wire, key)
        response = put(wire, key, b"new", **{condition: {"hash_to_check": checked}})
        assert response.WhichOneof("result") == ("stored" if stored else "not_stored")
        assert get(wire, key) == ((b"new", response.stored.new_hash) if stored else before)


@pytest.mark.parametrize(
    ("rpc", "request_", "argument"),
    [
        ("GetWithHash", pb._GetWithHashRequest(), "cache_key"),
        ("SetIfHash", pb._SetIfHashRequest(ttl_milliseconds=1, unconditional={}), "cache_key"),
        ("SetIfHash", pb._SetIfHashRequest(cache_key=b"k", unconditional={}), "ttl_milliseconds"),
        ("SetIfHash", pb._SetIfHashRequest(cache_key=b"k", ttl_milliseconds=1), "condition"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)
