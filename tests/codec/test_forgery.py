"""Whoever can write to the cache must not be able to make a site read what it did not write."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from django_momento.codec.codec import Codec
from django_momento.codec.protection import Signature, signing_key
from django_momento.exceptions import UnreadableValue
from tests.kit.codecs import (
    DOTTED_PATH,
    KEY,
    OTHER_SECRET,
    SECRET,
    Configuration,
    Touchy,
    refusal,
    unpickled,
)
from tests.kit.tables import table

HEADER = 1 + 16  # tag and signature

CODECS = {
    "signed pickle": Configuration("pickle", "SIGN").codec(),
    "unsigned pickle": Configuration("pickle", "neither").codec(),
    "signed json": Configuration("json", "SIGN").codec(),
    "plain json": Configuration("json", "neither").codec(),
}
SEALED = {
    "signed pickle": CODECS["signed pickle"],
    "signed json": CODECS["signed json"],
    "encrypted pickle": Configuration("pickle", "ENCRYPTION_KEY").codec(),
    "encrypted json": Configuration("json", "ENCRYPTION_KEY").codec(),
    "signed and compressed pickle": Configuration("pickle", "SIGN", "zlib").codec(compress_min_length=0),
    "encrypted and compressed json": Configuration("json", "ENCRYPTION_KEY", "zlib").codec(),
    "encrypted data of a dotted path": Configuration(DOTTED_PATH, "ENCRYPTION_KEY").codec(),
    "signed data of a dotted path": Configuration(DOTTED_PATH, "SIGN").codec(),
}
every_signed_codec = table("name", ["signed pickle", "signed json"])
every_sealed_codec = table("name", SEALED)

# Only pickle can carry such an object. Elsewhere it is the answer that must not come back.
VALUES: dict[str, Any] = {name: {"admin": False} for name in SEALED}
VALUES |= {name: [Touchy()] * 20 for name in SEALED if name.endswith("pickle")}
VALUES["encrypted and compressed json"] = [{"admin": False}] * 10


@pytest.fixture(autouse=True)
def _nothing_is_unpickled() -> Iterator[None]:
    """No test in here may reach the unpickler with what an attacker chose."""
    unpickled.clear()
    yield
    assert [] == unpickled


def signing(serializer: str, *keys: bytes) -> Codec:
    return Configuration(serializer).codec([Signature(keys)])


def accepted(codec: Codec, forgeries: list[bytes]) -> list[bytes]:
    """Return which of the forgeries a codec reads, but for integers, which anybody may set."""
    read = []
    for data in forgeries:
        try:
            value = codec.decode(KEY, data)
        except UnreadableValue:
            continue
        if type(value) is not int:
            read.append(data)
    return read


@every_sealed_codec
def test_every_single_bit_of_a_sealed_value_is_protected(name: str) -> None:
    """A value with one bit changed, wherever it is, is not read."""
    data = SEALED[name].encode(KEY, VALUES[name])
    number = int.from_bytes(data, "big")
    flipped = [(number ^ (1 << bit)).to_bytes(len(data), "big") for bit in range(len(data) * 8)]

    assert [] == accepted(SEALED[name], flipped)


@every_sealed_codec
def test_a_sealed_value_cut_short_or_prolonged_is_refused(name: str) -> None:
    """A value that lost or won bytes at either end, or lost some inside, is not read."""
    data = SEALED[name].encode(KEY, VALUES[name])
    cut = [data[:end] for end in range(len(data))] + [data[start:] for start in range(1, len(data))]
    without = [data[:place] + data[place + 1 :] for place in range(len(data))]
    longer = [data + more for more in (b"\0", b" ", b"\n", b".", data)] + [b"\0" + data, data[:1] + data]

    assert [] == accepted(SEALED[name], cut + without + longer)


@every_sealed_codec
@table("key", [b":1:other", b":1:ke", b":1:key2", b":2:key", b"", b":1:KEY", b":1:key\0"])
def test_a_value_moved_to_another_key_is_refused(name: str, key: bytes) -> None:
    """Another user's session, copied under one's own key, must not open."""
    reason = refusal(SEALED[name], SEALED[name].encode(KEY, VALUES[name]), key)

    assert "this site" in reason
    assert reason.endswith("for this key")


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
@pytest.mark.parametrize("keys", [[OTHER_SECRET], [OTHER_SECRET, signing_key("a third")]])
def test_the_value_of_another_site_is_refused(name: str, keys: list[bytes]) -> None:
    """Two sites that share a Momento cache, but not SECRET_KEY, do not read each other."""
    serializer = name.split()[1]

    assert "signature" in refusal(signing(serializer, *keys), CODECS[name].encode(KEY, VALUES[name]))


def test_a_signature_without_a_secret_is_refused() -> None:
    """A plain hash, which anybody can make, is no signature."""
    payload = pickle.dumps(Touchy())
    for key in (b"", b"\0" * 32, b"secret"):
        data = signing("pickle", key).encode(KEY, Touchy())
        assert payload.endswith(data[-5:])
        refusal(CODECS["signed pickle"], data)


@table("serializer", ["pickle", "json"])
def test_secret_keys_rotate_without_losing_the_cache(serializer: str) -> None:
    """All keys read, the first one writes; a key that is dropped reads no more."""
    old, both = signing(serializer, SECRET), signing(serializer, OTHER_SECRET, SECRET)
    new = signing(serializer, OTHER_SECRET)
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
    assert 4 == len({SECRET, OTHER_SECRET, b"secret".ljust(32, b"\0"), signing_key("")})
    assert SECRET.find(b"secret") == -1


@table(
    ("written", "read", "reason"),
    [
        ("signed pickle", "unsigned pickle", "it is signed pickle, which this configuration does not accept"),
        ("unsigned pickle", "signed pickle", "it is unsigned pickle, which this configuration does not"),
        ("signed pickle", "signed json", "it is signed pickle, which this configuration does not accept"),
        ("unsigned pickle", "signed json", "it is unsigned pickle, which this configuration does not accept"),
        ("signed pickle", "plain json", "it is signed pickle, which this configuration does not accept"),
        ("unsigned pickle", "plain json", "it is unsigned pickle, which this configuration does not accept"),
        ("signed json", "plain json", "it is signed json, which this configuration does not accept"),
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


@table("read", ["signed pickle", "unsigned pickle", "signed json"])
def test_a_signed_value_cannot_be_relabelled(read: str) -> None:
    """Neither taking the signature away nor changing the tag makes a value of another kind."""
    forgeries = []
    for name in ("signed pickle", "signed json"):
        data = CODECS[name].encode(KEY, VALUES[name])
        forgeries += [bytes((tag,)) + data[1:] for tag in range(256) if tag not in (data[0], 0x81)]
        forgeries += [bytes((tag,)) + data[HEADER:] for tag in range(256) if tag != 0x81]

    assert [] == accepted(CODECS[read], forgeries)


@table(("written", "read"), [("pickle", "json"), ("json", "pickle")])
def test_a_signature_is_for_one_serializer_only(written: str, read: str) -> None:
    """A site that changes SERIALIZER must not hand its old values, relabelled, to the new one."""
    data = CODECS[f"signed {written}"].encode(KEY, ["value"])
    tag = CODECS[f"signed {read}"].encode(KEY, ["value"])[:1]

    assert "signature" in refusal(CODECS[f"signed {read}"], tag + data[1:])


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
