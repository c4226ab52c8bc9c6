"""What another program wrote, or this one for another purpose, is a miss with a reason, and nothing worse."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_momento.codec.codec import INTEGER_RANGE, Codec
from django_momento.exceptions import UnreadableValue
from tests.kit.codecs import KEY, Configuration, Touchy, refusal, unpickled
from tests.kit.tables import table

CODECS = {
    "signed pickle": Configuration("pickle", "SIGN").codec(),
    "unsigned pickle": Configuration("pickle", "neither").codec(),
    "encrypted pickle": Configuration("pickle", "ENCRYPTION_KEY").codec(),
    "signed json": Configuration("json", "SIGN").codec(),
    "plain json": Configuration("json", "neither").codec(),
    "signed msgpack": Configuration("msgpack", "SIGN").codec(),
}
every_codec = table("codec", CODECS.values())


@pytest.fixture(autouse=True)
def _nothing_is_unpickled() -> Iterator[None]:
    """No test in here may reach the unpickler with what an attacker chose."""
    unpickled.clear()
    yield
    assert [] == unpickled


@every_codec
@table("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_is_never_unpickled(codec: Codec, protocol: int) -> None:
    """What other Django backends store, or an attacker writes, is no value of this one."""
    assert refusal(codec, pickle.dumps(Touchy(), protocol))


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(
    data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | st.from_regex(rb"[-+ 0-9_.]{1,25}")
)
@example(data=b"")
@example(data=b"\xa1")
@example(data=b"\xa2" + b"\0" * 16)
@pytest.mark.parametrize("name", CODECS)
def test_foreign_bytes_are_unreadable_and_nothing_else(name: str, data: bytes) -> None:
    """Whatever another program wrote is a value only where this one would have written the same."""
    codec = CODECS[name]
    if name == "unsigned pickle" and data[:1] in (b"\x81", b"\x91"):
        return  # Its tags: what follows is pickle, which SIGN=False trusts.
    try:
        value = codec.decode(KEY, data)
    except UnreadableValue:
        return

    if name == "plain json":
        assert value == json.loads(data)
    else:
        assert data == codec.encode(KEY, value)
        assert value in INTEGER_RANGE


@table(
    "data",
    [
        b"9223372036854775808",
        b"-9223372036854775809",
        b"9" * 19,
        b"9" * 20,
        b"007",
        b"-0",
        b"+1",
        b" 1",
        b"1 ",
        b"1\n",
        b"1_0",
        b"-",
        b"--1",
        b"1.0",
        b"0x1",
        "٣".encode(),
    ],
)
@table("name", ["signed pickle", "unsigned pickle", "signed json"])
def test_only_canonical_digits_are_an_integer(name: str, data: bytes) -> None:
    """Momento and this codec write an integer of 64 bits in one way; nothing else is one."""
    assert refusal(CODECS[name], data)


@every_codec
@pytest.mark.parametrize("digits", [b"9" * 5000, b"-" + b"9" * 5000])
def test_a_number_of_absurd_length_is_unreadable(codec: Codec, digits: bytes) -> None:
    """Python refuses to convert it, which must not surface as a ValueError."""
    assert refusal(codec, digits)


@every_codec
def test_an_integer_needs_no_signature(codec: Codec) -> None:
    """Momento itself writes it when it increments: integers are the one thing an attacker may set."""
    assert 7 == codec.decode(KEY, b"7")
    assert int is type(codec.decode(KEY, b"1"))


@every_codec
@table(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"text", "it was not written by this cache backend"),
        (b"\x80\x05", "its format (0x80) is not known to this version"),
        (b"\x8f", "its format (0x8f) is not known to this version"),
        (b"\xe1", "its format (0xe1) is not known to this version"),
        (b"\xff", "its format (0xff) is not known to this version"),
    ],
)
def test_a_reason_is_given_for_what_is_unreadable(codec: Codec, data: bytes, reason: str) -> None:
    """The one warning in the log says what was met: a foreign program, or a newer release."""
    is_taken_for_json = codec is CODECS["plain json"] and data < b"\x80"

    assert refusal(codec, data).startswith("it cannot be deserialized (" if is_taken_for_json else reason)


@table("data", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_json_nested_too_deep_is_unreadable(data: bytes) -> None:
    """A hundred thousand brackets are a miss, not a RecursionError and no crash."""
    assert "RecursionError" in refusal(CODECS["plain json"], data)


@table(
    "data",
    [b"{", b"tru", b"'a'", b'"a', b"{1: 2}", b"[1,]", b"nul", b"\xef\xbb\xbf1", b'"\xed\xa0\x80"', b"1 2"],
)
def test_what_is_no_json_is_unreadable(data: bytes) -> None:
    """Foreign text and broken encodings are misses."""
    assert refusal(CODECS["plain json"], data)


@table("name", ["signed pickle", "unsigned pickle"], afresh=True)
def test_a_class_that_is_gone_is_unreadable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that renames a class finds misses in its cache, not errors."""
    module = types.ModuleType("module_of_yesterday")
    module.Gone = type("Gone", (), {"__module__": module.__name__})  # type: ignore[attr-defined]  # a module of the test
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, module.__name__, module)
        data = CODECS[name].encode(KEY, module.Gone())

    assert "(ModuleNotFoundError)" in refusal(CODECS[name], data)
