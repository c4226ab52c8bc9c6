"""What docs/values.md says can be changed while a site runs, every configuration of the codec does."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from django_momento.codec.codec import Codec
from django_momento.codec.protection import Encryption, Protection, Signature
from django_momento.codec.serializers import SERIALIZERS
from django_momento.exceptions import UnreadableValue
from tests.kit.codecs import (
    CONFIGURATIONS,
    ENCRYPTION_KEY,
    KEY,
    OTHER_ENCRYPTION_KEY,
    OTHER_SECRET,
    PROTECTIONS,
    SECRET,
    Configuration,
)
from tests.kit.tables import table

DOCUMENT = (Path(__file__).parents[2] / "docs" / "values.md").read_text()
VALUES = {"short": "value", "long": ["value"] * 50, "integer": 7}


def tables() -> list[dict[str, list[str]]]:
    """Read the two tables of changes: the cells of each row by its first cell."""
    between = re.search(r"<!-- changes: begin.*?-->\n(.*?)<!-- changes: end -->", DOCUMENT, re.DOTALL)
    assert between is not None
    rows = [table.splitlines() for table in between.group(1).split("\n\n")]
    cells = [
        [[cell.replace("`", "").strip() for cell in row.strip("|").split("|")] for row in table]
        for table in rows
    ]
    return [{first: rest for first, *rest in table} for table in cells]


CHANGES, BY_PROTECTION = tables()
READERS = BY_PROTECTION["written with, down; read with, across"]


def is_documented_as_read(written: Configuration, reader: Configuration) -> bool:
    """Look up in the document whether one configuration reads what another wrote."""
    answers = [BY_PROTECTION[written.protection][READERS.index(reader.protection)]]
    if written.serializer != reader.serializer:
        answers.append(CHANGES["SERIALIZER"][0])
    if written.compressor != reader.compressor:
        answers.append(CHANGES["COMPRESSOR, on, off or another"][0].split(",")[0])
    assert set(answers) <= {"read", "misses"}
    return set(answers) == {"read"}


def is_read(codec: Codec, data: bytes, value: object) -> bool:
    """Return whether a codec reads stored data as the value that it was, rather than as a miss."""
    try:
        answer = codec.decode(KEY, data)
    except UnreadableValue:
        return False
    assert value == answer
    return True


def test_the_document_has_every_way_to_seal() -> None:
    """The table of protections is complete in both directions."""
    assert list(PROTECTIONS) == list(BY_PROTECTION)[2:]
    assert list(PROTECTIONS) == READERS


@table("value", VALUES.values())
@table("written", CONFIGURATIONS)
def test_each_configuration_reads_what_the_document_says(written: Configuration, value: object) -> None:
    """What each configuration writes is read by each other, or is a miss, as documented."""
    data = written.codec().encode(KEY, value)
    surprises = [
        str(reader)
        for reader in CONFIGURATIONS
        if is_read(reader.codec(), data, value)
        != (is_documented_as_read(written, reader) or type(value) is int)
    ]

    assert [] == surprises


def test_long_values_are_those_that_are_compressed() -> None:
    """The comparison above must cover what is compressed and what is not."""
    for configuration in CONFIGURATIONS:
        if configuration.compressor:
            plain = configuration._replace(compressor=None).codec()
            smaller = configuration.codec()
            assert len(plain.encode(KEY, VALUES["short"])) == len(smaller.encode(KEY, VALUES["short"]))
            assert len(plain.encode(KEY, VALUES["long"])) > len(smaller.encode(KEY, VALUES["long"]))


@table("configuration", CONFIGURATIONS)
def test_another_minimum_to_compress_reads_the_same(configuration: Configuration) -> None:
    """COMPRESS_MIN_LENGTH says what is written, not what is read."""
    assert ["read"] == CHANGES["COMPRESS_MIN_LENGTH"]
    early, late = configuration.codec(compress_min_length=0), configuration.codec(compress_min_length=10_000)
    for value in VALUES.values():
        assert is_read(early, late.encode(KEY, value), value)
        assert is_read(late, early.encode(KEY, value), value)


KEYS: dict[str, tuple[list[Protection], list[Protection], list[Protection]]] = {
    "SIGN": (
        [Signature([SECRET])],
        [Signature([OTHER_SECRET, SECRET])],
        [Signature([OTHER_SECRET])],
    ),
    "ENCRYPTION_KEY": (
        [Encryption([ENCRYPTION_KEY])],
        [Encryption([OTHER_ENCRYPTION_KEY, ENCRYPTION_KEY])],
        [Encryption([OTHER_ENCRYPTION_KEY])],
    ),
}


@table(("protection", "serializer"), list(product(KEYS, SERIALIZERS)))
def test_keys_change_as_the_document_says(protection: str, serializer: str) -> None:
    """The old key behind the new one reads everything; without it, its values are misses."""
    name = "SECRET_KEY" if protection == "SIGN" else "ENCRYPTION_KEY"
    kept, gone = (answer for change, answer in CHANGES.items() if change.startswith(f"{name}, the old one"))
    assert (["read"], "misses") == (kept, gone[0].split(",")[0])

    old, both, new = (
        Configuration(serializer, protection, "zlib").codec(protections) for protections in KEYS[protection]
    )
    for value in VALUES["short"], VALUES["long"]:
        before, after = old.encode(KEY, value), both.encode(KEY, value)
        assert is_read(both, before, value)
        assert is_read(both, after, value)
        assert is_read(new, after, value)
        assert not is_read(new, before, value)
        assert not is_read(old, after, value)


@table(
    ("configuration", "stored", "value"),
    [
        (
            Configuration("pickle", "SIGN"),
            "a1271bf6d3d790627cbf3b6942a1120f7880059511000000000000007d948c046e616d65948c0341646194732e",
            {"name": "Ada"},
        ),
        (
            Configuration("json", "SIGN"),
            "a2687f50a3b7b72e5a565597336236c4cb7b226e616d65223a22416461227d",
            {"name": "Ada"},
        ),
        (Configuration("pickle", "neither"), "818005882e", True),
        (Configuration("json", "neither"), b'{"name":"Ada"}'.hex(), {"name": "Ada"}),
        (Configuration("json", "SIGN"), b"-7".hex(), -7),
    ],
)
def test_what_the_first_version_wrote_is_still_read(
    configuration: Configuration, stored: str, value: object
) -> None:
    """The format of 0.1, byte for byte, outlives what has been added to it."""
    data = bytes.fromhex(stored)

    assert is_read(configuration.codec(), data, value)
    assert is_read(configuration._replace(compressor="zlib").codec(), data, value)
    if configuration.protection == "SIGN":
        assert is_read(configuration._replace(protection="both").codec(), data, value)
