"""What is stored comes back as it was; what anybody else wrote does not come back at all."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import pickle
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_momento.codec import Codec, signing_key
from django_momento.exceptions import UnreadableValue

KEY = b":1:key"
SECRET = signing_key("secret")

CODECS = {
    "signed pickle": Codec("pickle", [SECRET]),
    "unsigned pickle": Codec("pickle"),
    "signed json": Codec("json", [SECRET]),
    "plain json": Codec("json"),
}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)

# The same examples every time, and no deadline, which a busy machine would miss.
repeatably = settings(derandomize=True, deadline=None, database=None)

EDGES = [0, 1, -1, 10, -10, 2**31, 2**63 - 1, -(2**63)]
BEYOND = [2**63, -(2**63) - 1, 10**19 - 1, -(10**19) + 1, 10**19, 2**64, -(10**300)]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(
    scalars.filter(lambda value: value not in (math.inf, -math.inf)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
hashables = scalars | st.binary() | st.datetimes() | st.decimals(allow_nan=False) | st.uuids()
python_values = st.recursive(
    hashables | st.complex_numbers(allow_nan=False) | st.frozensets(hashables, max_size=3),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(hashables, inner, max_size=3),
    max_leaves=8,
)


class Colour(enum.IntEnum):
    RED = 1


class Count(int):
    """An integer of a type of its own."""


@repeatably
@given(key=st.binary(min_size=1), value=python_values)
@pytest.mark.parametrize("name", ["signed pickle", "unsigned pickle"])
def test_a_python_value_comes_back(name: str, key: bytes, value: object) -> None:
    """Whatever pickles is answered equal and of the same type, under any key."""
    codec = CODECS[name]
    answer = codec.decode(key, codec.encode(key, value))

    assert (value, type(value)) == (answer, type(answer))


@repeatably
@given(key=st.binary(min_size=1), value=json_values)
@example(key=KEY, value=2**63)
@pytest.mark.parametrize("name", ["signed json", "plain json"])
def test_a_json_value_comes_back(name: str, key: bytes, value: object) -> None:
    """Whatever JSON can say is answered equal and of the same type, under any key."""
    codec = CODECS[name]
    answer = codec.decode(key, codec.encode(key, value))

    assert (value, type(value)) == (answer, type(answer))


@every_codec
@pytest.mark.parametrize("number", EDGES)
def test_an_integer_is_stored_as_its_digits(codec: Codec, number: int) -> None:
    """Momento increments decimal digits, so that is what every 64-bit integer is stored as."""
    assert str(number).encode() == codec.encode(KEY, number)
    assert number == codec.decode(KEY, str(number).encode())


@every_codec
@pytest.mark.parametrize("number", BEYOND)
def test_an_integer_beyond_64_bits_comes_back(codec: Codec, number: int) -> None:
    """It cannot be incremented, but stored like any other value."""
    assert number == codec.decode(KEY, codec.encode(KEY, number))


@every_codec
@pytest.mark.parametrize("value", [True, False, None, 0.0, 1.0, -0.0, 1e300, "", "1", "-7", [], {}])
def test_what_resembles_an_integer_keeps_its_type(codec: Codec, value: object) -> None:
    """``True`` is not 1, nor ``"1"``, nor 1.0."""
    answer = codec.decode(KEY, codec.encode(KEY, value))

    assert (repr(value), type(value)) == (repr(answer), type(answer))


@pytest.mark.parametrize("value", [Colour.RED, Count(7), decimal.Decimal(1), dt.timedelta(1)])
def test_a_number_of_another_type_keeps_its_type(value: object) -> None:
    """Only plain integers become digits; an enum's member stays one."""
    codec = CODECS["signed pickle"]
    answer = codec.decode(KEY, codec.encode(KEY, value))

    assert (value, type(value)) == (answer, type(answer))


@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, "text", 1.5, True, None, 2**63])
def test_unsigned_json_is_stored_as_it_is(value: object) -> None:
    """Services in other languages read it with nothing but a JSON parser."""
    data = CODECS["plain json"].encode(KEY, value)

    assert value == json.loads(data)
    assert value == CODECS["plain json"].decode(KEY, json.dumps(value, indent=1).encode())


@pytest.mark.parametrize("name", ["signed pickle", "unsigned pickle", "signed json"])
def test_the_first_byte_says_what_a_value_is(name: str) -> None:
    """Stored values outlive a release: the tags of the formats never change."""
    tags = {"signed pickle": 0xA1, "unsigned pickle": 0x81, "signed json": 0xA2}

    assert tags[name] == CODECS[name].encode(KEY, "value")[0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}])
@pytest.mark.parametrize("name", ["signed json", "plain json"])
def test_numbers_that_json_lacks_are_refused(name: str, value: object) -> None:
    """NaN is not JSON: other languages would fail on it, so writing it fails here."""
    with pytest.raises(ValueError, match="JSON"):
        CODECS[name].encode(KEY, value)


@pytest.mark.parametrize("data", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]"])
def test_numbers_that_json_lacks_are_unreadable(data: bytes) -> None:
    """What could not have been written is not read."""
    with pytest.raises(UnreadableValue, match=r"cannot be deserialized \(ValueError\)"):
        CODECS["plain json"].decode(KEY, data)


@pytest.mark.parametrize("value", [threading.Lock(), lambda: None, types, (x for x in ())])
@pytest.mark.parametrize("name", ["signed pickle", "unsigned pickle"])
def test_a_value_that_cannot_be_pickled_raises(name: str, value: object) -> None:
    """An unpicklable value is a bug of the caller's, and loud."""
    with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
        CODECS[name].encode(KEY, value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", dt.date(2026, 1, 1), {(1, 2): 3}])
@pytest.mark.parametrize("name", ["signed json", "plain json"])
def test_a_value_that_json_cannot_say_raises(name: str, value: object) -> None:
    """JSON takes no guesses at types it does not have."""
    with pytest.raises(TypeError):
        CODECS[name].encode(KEY, value)


@pytest.mark.parametrize("name", ["signed json", "plain json"])
def test_a_value_nested_too_deep_for_json_raises(name: str) -> None:
    """Python's JSON has a limit, and meeting it while writing is loud."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(RecursionError):
        CODECS[name].encode(KEY, deep)


def test_many_threads_share_a_codec() -> None:
    """One codec serves every thread of a process: signatures must not run into each other."""
    codec = CODECS["signed pickle"]

    def round_trips(thread: int) -> list[Any]:
        values = [("value", thread, number) for number in range(200)]
        return [codec.decode(KEY, codec.encode(KEY, value)) == value for value in values]

    with ThreadPoolExecutor(8) as threads:
        assert all(all(answers) for answers in threads.map(round_trips, range(8)))
