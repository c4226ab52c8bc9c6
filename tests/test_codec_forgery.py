"""Whoever can write to the cache must not be able to make a site read what it did not write."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_momento.codec import INTEGER_RANGE, Codec, signing_key
from django_momento.exceptions import UnreadableValue

KEY = b":1:key"
SECRET, OTHER = signing_key("secret"), signing_key("another secret")
HEADER = 1 + 16  # tag and signature

CODECS = {
    "signed pickle": Codec("pickle", [SECRET]),
    "unsigned pickle": Codec("pickle"),
    "signed json": Codec("json", [SECRET]),
    "plain json": Codec("json"),
}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
every_signed_codec = pytest.mark.parametrize("name", ["signed pickle", "signed json"])

unpickled: list[str] = []


class Touchy:
    """Tells when it is unpickled, as an attacker's object would do worse."""

    def __reduce__(self) -> Any:
        return unpickled.append, ("unpickled",)


# JSON cannot carry such an object: there it is the answer that must not come back.
VALUES = {"signed pickle": [Touchy()], "signed json": {"admin": False}}


@pytest.fixture(autouse=True)
def _nothing_is_unpickled() -> Iterator[None]:
    """No test in here may reach the unpickler with what an attacker chose."""
    unpickled.clear()
    yield
    assert [] == unpickled


def refusal(codec: Codec, data: bytes, key: bytes = KEY) -> str:
    with pytest.raises(UnreadableValue) as refused:
        codec.decode(key, data)
    return str(refused.value)


def accepted(codec: Codec, forgeries: list[bytes]) -> list[bytes]:
    """Answer which of the forgeries a codec reads as anything at all."""
    read = []
    for data in forgeries:
        try:
            codec.decode(KEY, data)
        except UnreadableValue:
            continue
        read.append(data)
    return read


@every_signed_codec
def test_every_single_bit_of_a_signed_value_is_protected(name: str) -> None:
    """A value with one bit changed, wherever it is, is not read."""
    data = CODECS[name].encode(KEY, VALUES[name])
    number = int.from_bytes(data, "big")
    flipped = [(number ^ (1 << bit)).to_bytes(len(data), "big") for bit in range(len(data) * 8)]

    assert [] == accepted(CODECS[name], flipped)


@every_signed_codec
def test_a_signed_value_cut_short_or_prolonged_is_refused(name: str) -> None:
    """A value that lost or won bytes at either end, or lost some inside, is not read."""
    data = CODECS[name].encode(KEY, VALUES[name])
    cut = [data[:end] for end in range(len(data))] + [data[start:] for start in range(1, len(data))]
    without = [data[:place] + data[place + 1 :] for place in range(len(data))]
    longer = [data + more for more in (b"\0", b" ", b"\n", b".", data)] + [b"\0" + data, data[:1] + data]

    assert [] == accepted(CODECS[name], cut + without + longer)


@every_signed_codec
@pytest.mark.parametrize("key", [b":1:other", b":1:ke", b":1:key2", b":2:key", b"", b":1:KEY", b":1:key\0"])
def test_a_value_moved_to_another_key_is_refused(name: str, key: bytes) -> None:
    """Another user's session, copied under one's own key, must not open."""
    assert "signature" in refusal(CODECS[name], CODECS[name].encode(KEY, VALUES[name]), key)


@every_signed_codec
def test_key_and_payload_cannot_be_split_elsewhere(name: str) -> None:
    """A key that ends in the start of a payload does not make the rest of it valid, nor the reverse."""
    # With the tag inside it, at which the two could be taken apart once more.
    data = CODECS[name].encode(KEY, "xây" if name == "signed json" else b"x\xa1y")
    tag, header, payload = data[:1], data[:HEADER], data[HEADER:]
    start, rest = payload.split(tag, 1)

    for key, forged in (
        (KEY + tag + start, rest),
        (KEY + payload[:2], payload[2:]),
        (KEY[:-2], KEY[-2:] + payload),
    ):
        assert "signature" in refusal(CODECS[name], header + forged, key)


@every_signed_codec
def test_the_signature_of_another_value_does_not_fit(name: str) -> None:
    """Two signed values cannot be mixed into a third."""
    one = CODECS[name].encode(KEY, VALUES[name])
    two = CODECS[name].encode(KEY, "another value")

    assert [] == accepted(CODECS[name], [one[:HEADER] + two[HEADER:], two[:HEADER] + one[HEADER:]])


@every_signed_codec
@pytest.mark.parametrize("keys", [[OTHER], [OTHER, signing_key("a third")]])
def test_the_value_of_another_site_is_refused(name: str, keys: list[bytes]) -> None:
    """Two sites that share a Momento cache, but not SECRET_KEY, do not read each other."""
    serializer = name.split()[1]

    assert "signature" in refusal(Codec(serializer, keys), CODECS[name].encode(KEY, VALUES[name]))


def test_a_signature_without_a_secret_is_refused() -> None:
    """A plain hash, which anybody can make, is no signature."""
    payload = pickle.dumps(Touchy())
    for key in (b"", b"\0" * 32, b"secret"):
        data = Codec("pickle", [key]).encode(KEY, Touchy())
        assert payload.endswith(data[-5:])
        refusal(CODECS["signed pickle"], data)


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_secret_keys_rotate_without_losing_the_cache(serializer: str) -> None:
    """All keys read, the first one writes; a key that is dropped reads no more."""
    old, both, new = (Codec(serializer, keys) for keys in ([SECRET], [OTHER, SECRET], [OTHER]))
    before, after = old.encode(KEY, "before"), both.encode(KEY, "after")

    assert ("before", "after", "after") == (
        both.decode(KEY, before),
        both.decode(KEY, after),
        new.decode(KEY, after),
    )
    assert "signature" in refusal(new, before)
    assert "signature" in refusal(old, after)


def test_a_signing_key_serves_for_nothing_else() -> None:
    """The secret itself stays out of it, and str and bytes mean the same."""
    assert signing_key("secret") == signing_key(b"secret")
    assert 4 == len({SECRET, OTHER, b"secret".ljust(32, b"\0"), signing_key("")})
    assert b"secret" not in SECRET


@pytest.mark.parametrize(
    ("written", "read", "reason"),
    [
        ("signed pickle", "unsigned pickle", "it is signed pickle, which this configuration does not accept"),
        ("unsigned pickle", "signed pickle", "it is unsigned pickle, which this configuration does not"),
        ("signed pickle", "signed json", "it is signed pickle, which this configuration does not accept"),
        ("unsigned pickle", "signed json", "it is unsigned pickle, which this configuration does not accept"),
        ("signed pickle", "plain json", "it cannot be deserialized (UnicodeDecodeError)"),
        ("unsigned pickle", "plain json", "it cannot be deserialized (UnicodeDecodeError)"),
        ("signed json", "plain json", "it cannot be deserialized (UnicodeDecodeError)"),
        ("signed json", "signed pickle", "it is signed json, which this configuration does not accept"),
        ("signed json", "unsigned pickle", "it is signed json, which this configuration does not accept"),
        ("plain json", "signed json", "it was not written by this cache backend"),
        ("plain json", "signed pickle", "it was not written by this cache backend"),
        ("plain json", "unsigned pickle", "it was not written by this cache backend"),
    ],
)
def test_only_what_the_configuration_writes_is_read(written: str, read: str, reason: str) -> None:
    """Neither a weaker format nor another serializer is taken, and the reason says which it was."""
    value: Any = ["value"] if "json" in written else [Touchy()]

    assert refusal(CODECS[read], CODECS[written].encode(KEY, value)).startswith(reason)


@pytest.mark.parametrize("read", ["signed pickle", "unsigned pickle", "signed json"])
def test_a_signed_value_cannot_be_relabelled(read: str) -> None:
    """Neither taking the signature away nor changing the tag makes a value of another kind."""
    forgeries = []
    for name in ("signed pickle", "signed json"):
        data = CODECS[name].encode(KEY, VALUES[name])
        forgeries += [bytes((tag,)) + data[1:] for tag in range(256) if tag not in (data[0], 0x81)]
        forgeries += [bytes((tag,)) + data[HEADER:] for tag in range(256) if tag != 0x81]

    assert [] == accepted(CODECS[read], forgeries)


@pytest.mark.parametrize(("written", "read"), [("pickle", "json"), ("json", "pickle")])
def test_a_signature_is_for_one_serializer_only(written: str, read: str) -> None:
    """A site that changes SERIALIZER must not hand its old values, relabelled, to the new one."""
    data = CODECS[f"signed {written}"].encode(KEY, ["value"])
    tag = CODECS[f"signed {read}"].encode(KEY, ["value"])[:1]

    assert "signature" in refusal(CODECS[f"signed {read}"], tag + data[1:])


@every_codec
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
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
    if name == "unsigned pickle" and data[:1] == b"\x81":
        return  # Its tag: what follows is pickle, which SIGN=False trusts.
    try:
        value = codec.decode(KEY, data)
    except UnreadableValue:
        return

    if name == "plain json":
        assert value == json.loads(data)
    else:
        assert data == codec.encode(KEY, value)
        assert value in INTEGER_RANGE


@pytest.mark.parametrize(
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
@pytest.mark.parametrize("name", ["signed pickle", "unsigned pickle", "signed json"])
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
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"text", "it was not written by this cache backend"),
        (b"\x80\x05", "its format (0x80) is not known to this version"),
        (b"\x8f", "its format (0x8f) is not known to this version"),
        (b"\xc1", "its format (0xc1) is not known to this version"),
        (b"\xff", "its format (0xff) is not known to this version"),
    ],
)
def test_a_reason_is_given_for_what_is_unreadable(codec: Codec, data: bytes, reason: str) -> None:
    """The one warning in the log says what was met: a foreign program, or a newer release."""
    plain = codec is CODECS["plain json"]

    assert refusal(codec, data).startswith("it cannot be deserialized (" if plain else reason)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_json_nested_too_deep_is_unreadable(data: bytes) -> None:
    """A hundred thousand brackets are a miss, not a RecursionError and no crash."""
    assert "RecursionError" in refusal(CODECS["plain json"], data)


@pytest.mark.parametrize(
    "data",
    [b"{", b"tru", b"'a'", b'"a', b"{1: 2}", b"[1,]", b"nul", b"\xef\xbb\xbf1", b'"\xed\xa0\x80"', b"1 2"],
)
def test_what_is_no_json_is_unreadable(data: bytes) -> None:
    """Foreign text and broken encodings are misses."""
    assert refusal(CODECS["plain json"], data)


@pytest.mark.parametrize("name", ["signed pickle", "unsigned pickle"])
def test_a_class_that_is_gone_is_unreadable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that renames a class finds misses in its cache, not errors."""
    module = types.ModuleType("module_of_yesterday")
    module.Gone = type("Gone", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, module.__name__, module)
        data = CODECS[name].encode(KEY, module.Gone())

    assert "(ModuleNotFoundError)" in refusal(CODECS[name], data)


def test_a_refusal_shows_nothing_of_the_value() -> None:
    """The reason ends in logs, and the value may be anybody's."""
    value = "hunter2"
    reasons = [
        refusal(CODECS[read], CODECS[written].encode(KEY, value))
        for read in CODECS
        for written in CODECS
        if read != written
    ]

    assert [] == [reason for reason in reasons if value in reason]
