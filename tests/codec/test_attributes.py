"""Attributes travel with a value, as well protected as the value itself."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_momento.codec.attributes import (
    LENGTH_BYTES,
    MAX_ATTRIBUTES_BYTES,
    MAX_FRESH_UNTIL,
    Attributed,
    Attributes,
    decode_attributes,
    encode_attributes,
)
from django_momento.codec.codec import build_codec
from django_momento.codec.description import describe
from django_momento.exceptions import UnreadableValue
from django_momento.redaction import SecretStr
from tests.kit.codecs import CONFIGURATIONS, DOTTED_PATH, KEY, Configuration, refusal
from tests.kit.tables import table

repeatably = settings(derandomize=True, deadline=None, database=None)
every_configuration = table("configuration", CONFIGURATIONS)

VERSION = b"\x00version"
ATTRIBUTES = Attributes(1_790_000_000_000, (("products", VERSION), ("größe", bytes(8))))
VALUES: list[Any] = [7, 0, -(2**63), 2**63 - 1, True, None, "", "7", {"a": [1.5, None]}, ["value"] * 50]

any_attributes = st.builds(
    Attributes,
    st.none() | st.integers(0, MAX_FRESH_UNTIL),
    st.lists(st.tuples(st.text(max_size=40), st.binary(min_size=8, max_size=8)), max_size=4).map(tuple),
)


@repeatably
@given(key=st.binary(min_size=1), attributes=any_attributes, data=st.data())
def test_a_value_comes_back_with_its_attributes(
    key: bytes, attributes: Attributes, data: st.DataObject
) -> None:
    """Of the same type, whatever protects, serializes and compresses it; and as often as it is loaded."""
    codec = data.draw(st.sampled_from(CONFIGURATIONS)).codec()
    value = data.draw(st.sampled_from(VALUES))
    stored = codec.encode(key, value, attributes)
    opened = codec.open(key, stored)
    for read in codec.decode(key, stored), opened.load(), opened.load():
        if attributes == Attributes():
            assert read == value
            assert type(read) is type(value)
        else:
            assert type(read) is Attributed
            assert read == (value, attributes)
            assert type(read.value) is type(value)


@every_configuration
def test_no_attributes_are_stored_as_before(configuration: Configuration) -> None:
    """So that other versions, and other services, read these values."""
    codec = configuration.codec()
    for value in VALUES:
        for stored in codec.encode(KEY, value, Attributes()), codec.encode(KEY, value):
            assert not describe(stored).attributed
            assert codec.open(KEY, stored).attributes is None
            assert codec.open(KEY, stored).load() == codec.decode(KEY, stored) == value


@every_configuration
def test_the_tag_tells_that_a_value_has_attributes(configuration: Configuration) -> None:
    """And nothing else of the format changes: serializer, protection and compressor are as without them."""
    codec = configuration.codec()
    for value in ("short", ["value"] * 50):
        plain, attributed = codec.encode(KEY, value), codec.encode(KEY, value, ATTRIBUTES)
        assert describe(attributed).attributed
        assert describe(attributed)._replace(attributed=False) == describe(plain)
        assert attributed[0] & 0x0F in range(9, 13)


@every_configuration
def test_every_bit_of_protected_attributes_is_protected(configuration: Configuration) -> None:
    """A value with one bit changed, one byte cut out, or one byte more, is not read."""
    codec = configuration.codec()
    is_protected = configuration.protection != "neither"
    stored = codec.encode(KEY, {"admin": False}, ATTRIBUTES)
    number = int.from_bytes(stored, "big")
    changed = [(number ^ (1 << bit)).to_bytes(len(stored), "big") for bit in range(len(stored) * 8)]
    changed += [stored[:place] + stored[place + 1 :] for place in range(len(stored))]
    changed += [stored[:place] + b"\0" + stored[place:] for place in range(len(stored) + 1)]
    changed += [stored[:end] for end in range(len(stored))]
    if configuration.serializer == "pickle" and not is_protected:
        changed = [data for data in changed if len(data) < len(stored)]

    read = []
    for data in changed:
        try:
            codec.decode(KEY, data)
        except UnreadableValue:
            continue
        read.append(data)

    assert not (read and is_protected)
    if is_protected:
        assert "for this key" in refusal(codec, stored, b":1:another")


@table("protection", ["SIGN", "ENCRYPTION_KEY", "both"])
@table("serializer", ["pickle", "json"])
def test_attributes_cannot_be_moved_stripped_or_added(protection: str, serializer: str) -> None:
    """The parts of two sealed values of one key make no third one, wherever they are put together."""
    codec = Configuration(serializer, protection).codec()
    block, other = encode_attributes(ATTRIBUTES), encode_attributes(Attributes(5))
    attributed, older, plain = (
        codec.encode(KEY, "value", each) for each in (ATTRIBUTES, Attributes(5), None)
    )
    plain_tag, attributed_tag = plain[:1], attributed[:1]
    forgeries = {
        "stripped": plain_tag + attributed[1 + len(block) :],
        "stripped, with the block as payload": plain_tag + attributed[1:],
        "added": attributed_tag + block + plain[1:],
        "of the other value": attributed_tag + other + attributed[1 + len(block) :],
        "and the reverse": attributed_tag + block + older[1 + len(other) :],
    }

    for data in forgeries.values():
        assert refusal(codec, data)


def test_a_signature_does_not_move_bytes_between_attributes_and_payload() -> None:
    """The signature is over both, one after the other, and the length of the block parts them."""
    codec = Configuration("json", "SIGN").codec()
    block = encode_attributes(Attributes(None, (("a", VERSION),)))
    stored = codec.encode(KEY, "value", Attributes(None, (("a", VERSION),)))
    tag, signature, payload = stored[:1], stored[1 + len(block) : 17 + len(block)], stored[17 + len(block) :]
    length = len(block) - LENGTH_BYTES
    for moved in (1, 2, 5):
        longer = (length + moved).to_bytes(2, "big") + block[2:] + payload[:moved]
        shorter = (length - moved).to_bytes(2, "big") + block[2:-moved]
        assert "signature" in refusal(codec, tag + longer + signature + payload[moved:])
        assert "signature" in refusal(codec, tag + shorter + signature + block[-moved:] + payload)


def entry(number: int, data: bytes) -> bytes:
    return bytes((number,)) + len(data).to_bytes(2, "big") + data


@table(
    ("entries", "reason"),
    [
        (b"", "attributes are empty"),
        (entry(0, b""), "attribute 0x0 is not known"),
        (entry(3, b"new"), "attribute 0x3 is not known"),
        (entry(1, bytes(8)) + entry(9, b""), "attribute 0x9 is not known"),
        (entry(1, bytes(7)), "attribute 0x1 is not known"),
        (entry(1, bytes(8)) * 2, "attribute 0x1 is not known"),
        (entry(2, bytes(7)), "attribute 0x2 is not known"),
        (entry(2, bytes(8) + b"\xff"), "not UTF-8"),
        (entry(1, bytes(8))[:-1], "cut short"),
        (b"\1", "cut short"),
        (b"\1\0", "cut short"),
        (entry(2, bytes(MAX_ATTRIBUTES_BYTES)), "too long"),
    ],
)
@table("configuration", [Configuration("json", "neither"), Configuration("pickle", "SIGN", "zlib")])
def test_other_attributes_make_a_value_unreadable(
    configuration: Configuration, entries: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a later version included: without knowing it, nobody can tell whether the value is valid."""
    codec = configuration.codec()
    block = len(entries).to_bytes(2, "big") + entries
    monkeypatch.setattr("django_momento.codec.codec.encode_attributes", lambda _: block)
    stored = codec.encode(KEY, "value", ATTRIBUTES)

    assert reason in refusal(codec, stored)


@repeatably
@given(block=st.binary(max_size=80))
def test_a_block_of_any_bytes_is_read_or_unreadable(block: bytes) -> None:
    """If it is read, it is the block of its attributes."""
    try:
        attributes = decode_attributes(len(block).to_bytes(2, "big") + block)
    except UnreadableValue:
        return
    assert decode_attributes(encode_attributes(attributes)) == attributes


@table(
    ("attributes", "message"),
    [
        (Attributes(-1), "fresh_until is -1"),
        (Attributes(MAX_FRESH_UNTIL + 1), "no time in milliseconds"),
        (Attributes(None, (("a", b"short"),)), "has 8 bytes, not 5"),
        (Attributes(None, (("a" * MAX_ATTRIBUTES_BYTES, VERSION),)), "at most 16,384 fit"),
        (Attributes(None, (("a" * 2**17, VERSION),)), "at most 16,384 fit"),
        (Attributes(None, (("a" * 100, VERSION),) * 200), "200 tags of a value take 22,200 bytes"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(attributes: Attributes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Configuration().codec().encode(KEY, "value", attributes)


def test_the_longest_attributes_fit() -> None:
    name = "x" * (MAX_ATTRIBUTES_BYTES - 8 - 3)
    codec = Configuration().codec()
    attributes = Attributes(None, ((name, VERSION),))

    assert codec.decode(KEY, codec.encode(KEY, 1, attributes)) == (1, attributes)


@table(
    ("configuration", "value", "stored"),
    [
        (Configuration("pickle", "neither"), 7, "89 {block} 80054b072e"),
        (Configuration("json", "neither"), 7, "8a {block} 37"),
        (Configuration("pickle", "SIGN"), 7, "a9 {block} 13b95518ed797791c81625a44e65258b 80054b072e"),
        (
            Configuration("json", "ENCRYPTION_KEY", "zlib"),
            ["v"] * 50,
            (
                "da 01 {block} 9db5ed17a09cc71d46d49976 "
                "f0d10f6824432f5df5c464c699807ee765469e6b80c0cfc10fa357e0fb4e1a03"
            ),
        ),
        (
            Configuration(DOTTED_PATH, "SIGN"),
            7,
            "ac d64f550a {block} 9d79a8ee6fc2a1e0cba836913574246a 37",
        ),
    ],
)
def test_what_the_first_version_with_attributes_wrote_is_still_read(
    configuration: Configuration, value: object, stored: str
) -> None:
    """The format, byte for byte."""
    block = "001e 01 0008 000001a0c4506c00 02 0010 0076657273696f6e 70726f6475637473"
    read = configuration.codec().decode(KEY, bytes.fromhex(stored.format(block=block)))

    assert read == (value, Attributes(1_790_000_000_000, (("products", VERSION),)))


def test_keys_from_the_secret_open_and_encode_attributes() -> None:
    """With the codec whose keys rotate."""
    keys = SecretStr("A" * 22)
    codec = build_codec("pickle", encryption_key=lambda: (keys, "the secret"))
    stored = codec.encode(KEY, 5, ATTRIBUTES)

    assert codec.decode(KEY, stored) == codec.open(KEY, stored).load() == (5, ATTRIBUTES)


def test_open_refuses_what_decode_refuses() -> None:
    codec = Configuration().codec()
    for data in (b"", b"\x80", b"text", b"99999999999999999999", bytes(40), codec.encode(KEY, "x")[:-1]):
        assert refusal(codec, data)
        with pytest.raises(UnreadableValue):
            codec.open(KEY, data)


def test_a_payload_that_cannot_be_deserialized_is_found_when_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec, dumps = Configuration("pickle", "SIGN").codec(), pickle.dumps
    with monkeypatch.context() as patched:
        patched.setattr(pickle, "dumps", lambda *args: dumps(*args)[:-1])
        stored = codec.encode(KEY, "value", ATTRIBUTES)

    opened = codec.open(KEY, stored)

    assert opened.attributes == ATTRIBUTES
    with pytest.raises(UnreadableValue, match="cannot be deserialized"):
        opened.load()
