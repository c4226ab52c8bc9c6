"""What is stored comes back as it was; what anybody else wrote does not come back at all."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import pickle
import random
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_momento.codec.codec import Codec
from django_momento.codec.compressors import COMPRESSORS
from django_momento.exceptions import UnreadableValue
from tests.kit.codecs import (
    CONFIGURATIONS,
    DOTTED_PATH,
    KEY,
    PROTECTIONS,
    Configuration,
    needs_careful_msgpack,
)
from tests.kit.tables import table

CODECS = {
    "signed pickle": Configuration("pickle", "SIGN").codec(),
    "unsigned pickle": Configuration("pickle", "neither").codec(),
    "signed json": Configuration("json", "SIGN").codec(),
    "plain json": Configuration("json", "neither").codec(),
}
every_codec = table("codec", CODECS.values())

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


msgpack_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-(2**63), 2**63 - 1), inner),
    max_leaves=8,
)
literals = st.recursive(
    scalars.filter(lambda value: value not in (math.inf, -math.inf)) | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
VALUES = {"pickle": python_values, "json": json_values, "msgpack": msgpack_values, DOTTED_PATH: literals}


@repeatably
@given(key=st.binary(min_size=1), data=st.data())
@pytest.mark.parametrize("serializer", VALUES)
def test_a_value_comes_back(serializer: str, key: bytes, data: st.DataObject) -> None:
    """Whatever a serializer takes is answered equal and of the same type, however and wherever it is kept."""
    configurations = [one for one in CONFIGURATIONS if one.serializer == serializer]
    codec = data.draw(st.sampled_from(configurations)).codec()
    value = data.draw(VALUES[serializer])
    for kept in value, [value] * 20:
        answer = codec.decode(key, codec.encode(key, kept))
        assert (kept, type(kept)) == (answer, type(answer))


@every_codec
@table("number", EDGES)
def test_an_integer_is_stored_as_its_digits(codec: Codec, number: int) -> None:
    """Momento increments decimal digits, so that is what every 64-bit integer is stored as."""
    assert str(number).encode() == codec.encode(KEY, number)
    assert number == codec.decode(KEY, str(number).encode())


@every_codec
@table("number", BEYOND)
def test_an_integer_beyond_64_bits_comes_back(codec: Codec, number: int) -> None:
    """It cannot be incremented, but stored like any other value."""
    assert number == codec.decode(KEY, codec.encode(KEY, number))


@every_codec
@table("value", [True, False, None, 0.0, 1.0, -0.0, 1e300, "", "1", "-7", [], {}])
def test_what_resembles_an_integer_keeps_its_type(codec: Codec, value: object) -> None:
    """``True`` is not 1, nor ``"1"``, nor 1.0."""
    answer = codec.decode(KEY, codec.encode(KEY, value))

    assert (repr(value), type(value)) == (repr(answer), type(answer))


@table("value", [Colour.RED, Count(7), decimal.Decimal(1), dt.timedelta(1)])
def test_a_number_of_another_type_keeps_its_type(value: object) -> None:
    """Only plain integers become digits; an enum's member stays one."""
    codec = CODECS["signed pickle"]
    answer = codec.decode(KEY, codec.encode(KEY, value))

    assert (value, type(value)) == (answer, type(answer))


@table("value", [{"a": [1, None, "ü"]}, "text", 1.5, True, None, 2**63])
def test_unsigned_json_is_stored_as_it_is(value: object) -> None:
    """Services in other languages read it with nothing but a JSON parser."""
    data = CODECS["plain json"].encode(KEY, value)

    assert value == json.loads(data)
    assert value == CODECS["plain json"].decode(KEY, json.dumps(value, indent=1).encode())


@pytest.mark.parametrize(
    ("configuration", "short", "long"),
    [
        (Configuration("pickle", "neither", "zlib"), "81", "91 01"),
        (Configuration("pickle", "SIGN", "gzip"), "a1", "b1 02"),
        (Configuration("pickle", "ENCRYPTION_KEY", "lzma"), "c1", "d1 03"),
        (Configuration("pickle", "both", "zstd"), "c1", "d1 04"),
        (Configuration("json", "neither", "lz4"), "22", "92 05"),
        (Configuration("json", "SIGN"), "a2", "a2"),
        (Configuration("json", "ENCRYPTION_KEY"), "c2", "c2"),
        pytest.param(Configuration("msgpack", "neither"), "83", "83", marks=needs_careful_msgpack),
        (Configuration("msgpack", "SIGN", "zlib"), "a3", "b3 01"),
        (Configuration(DOTTED_PATH, "neither", "zlib"), "84 d64f550a", "94 d64f550a 01"),
        (Configuration(DOTTED_PATH, "ENCRYPTION_KEY"), "c4 d64f550a", "c4 d64f550a"),
    ],
    ids=str,
)
def test_the_tag_says_what_a_value_is(configuration: Configuration, short: str, long: str) -> None:
    """Stored values outlive a release: the tags of the formats never change."""
    codec = configuration.codec()

    assert codec.encode(KEY, "value").startswith(bytes.fromhex(short))
    assert codec.encode(KEY, "value" * 50).startswith(bytes.fromhex(long))


@table("compressor", COMPRESSORS)
@table("protection", PROTECTIONS)
def test_a_value_is_compressed_from_the_minimum_on(protection: str, compressor: str) -> None:
    """COMPRESS_MIN_LENGTH is a length of the serialized value, and the first that is compressed."""
    codec = Configuration("json", protection, compressor).codec(compress_min_length=1024)
    plain = Configuration("json", protection).codec()
    shorter, longer = "a" * 1021, "a" * 1022

    assert len(plain.encode(KEY, shorter)) == len(codec.encode(KEY, shorter))
    assert len(plain.encode(KEY, longer)) > len(codec.encode(KEY, longer)) + 900


@table("compressor", COMPRESSORS)
def test_what_compression_would_not_make_smaller_is_kept_as_it_is(compressor: str) -> None:
    """Random bytes, and what is compressed already, cost neither a byte nor the time to decompress."""
    noise = random.Random(1).randbytes(2000)
    compressing, plain = Configuration("pickle", "SIGN", compressor), Configuration("pickle", "SIGN")

    assert plain.codec().encode(KEY, noise) == compressing.codec().encode(KEY, noise)


def test_short_json_is_stored_as_it_is_beside_long_json_that_is_compressed() -> None:
    """Turning compression on for a plain JSON cache leaves short values readable to everybody."""
    codec = Configuration("json", "neither", "zlib").codec()

    assert b'"value"' == codec.encode(KEY, "value")
    assert "value" * 50 == codec.decode(KEY, codec.encode(KEY, "value" * 50))
    assert "value" * 50 == codec.decode(KEY, json.dumps("value" * 50).encode())


@table("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}])
@table("name", ["signed json", "plain json"])
def test_numbers_that_json_lacks_are_refused(name: str, value: object) -> None:
    """NaN is not JSON: other languages would fail on it, so writing it fails here."""
    with pytest.raises(ValueError, match="JSON"):
        CODECS[name].encode(KEY, value)


@table("data", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]"])
def test_numbers_that_json_lacks_are_unreadable(data: bytes) -> None:
    """What could not have been written is not read."""
    with pytest.raises(UnreadableValue, match=r"cannot be deserialized \(ValueError\)"):
        CODECS["plain json"].decode(KEY, data)


@table("value", [threading.Lock(), lambda: None, types, (number for number in range(0))])
@table("name", ["signed pickle", "unsigned pickle"])
def test_a_value_that_cannot_be_pickled_raises(name: str, value: object) -> None:
    """An unpicklable value is a bug of the caller's, and loud."""
    with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
        CODECS[name].encode(KEY, value)


@table("value", [object(), {1, 2}, b"bytes", dt.date(2026, 1, 1), {(1, 2): 3}])
@table("name", ["signed json", "plain json"])
def test_a_value_that_json_cannot_say_raises(name: str, value: object) -> None:
    """JSON takes no guesses at types it does not have."""
    with pytest.raises(TypeError):
        CODECS[name].encode(KEY, value)


@table("name", ["signed json", "plain json"])
def test_a_value_nested_too_deep_for_json_raises(name: str) -> None:
    """Python's JSON has a limit, and meeting it while writing is loud."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(RecursionError):
        CODECS[name].encode(KEY, deep)


@table("compressor", [None, *COMPRESSORS])
@table("protection", PROTECTIONS)
def test_many_threads_share_a_codec(protection: str, compressor: str | None) -> None:
    """One codec serves every thread of a process: they must not run into each other."""
    codec = Configuration("pickle", protection, compressor).codec()

    def round_trips(thread: int) -> list[Any]:
        values = [("value", thread, number) * 20 for number in range(50)]
        return [codec.decode(KEY, codec.encode(KEY, value)) == value for value in values]

    with ThreadPoolExecutor(8) as threads:
        assert all(all(answers) for answers in threads.map(round_trips, range(8)))
