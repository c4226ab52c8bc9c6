"""Values that older versions stored stay readable.

``stored_values.json`` was written once, by the code of commit ecf7bc1, and is never written again. It holds
each value of ``VALUES`` as every serializer that takes the value, every protection and every compressor
stored it. The data of a value is in hexadecimal.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from django_momento.codec.codec import ValueCodec, build_codec
from django_momento.redaction import SecretStr
from tests.kit.codecs import DOTTED_PATH, needs_careful_msgpack
from tests.kit.tables import table

FILE = Path(__file__).with_name("stored_values.json")
SIGNING_SECRETS = ("a secret key of the tests", "an older secret key of the tests")
ENCRYPTION_KEYS = SecretStr(
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, AAECAwQFBgcICQoLDA0ODw"  # 32 and 16 bytes
)
LONG = [{"name": f"product {number}", "price": number * 1.5, "tags": ["a", "b"]} for number in range(40)]

VALUES: dict[str, Any] = {
    "zero": 0,
    "integer": 42,
    "negative": -7,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "huge": 2**63,
    "true": True,
    "none": None,
    "float": -1.5,
    "empty text": "",
    "digits": "42",
    "text": "Grüße, \u4e16\u754c \U0001f600\n",
    "bytes": b"\x00\x80\xff",
    "list": [1, "two", None, 3.0, False],
    "mapping": {"a": {"b": [1, 2, {"c": None}]}, "ü": "x"},
    "tuple": (1, (2, "three")),
    "set": {1, 2},
    "time": datetime(2026, 8, 1, 12, 30, 15, 250, tzinfo=timezone.utc),
    "decimal": Decimal("10.50"),
    "exactly long enough": "x" * 1024,
    "long": LONG,
    "long text": "A sentence that is repeated. " * 100,
}


class StoredValue(NamedTuple):
    """One entry of the file. ``signed_by`` and ``encrypted_by`` count the keys from the newest."""

    serializer: str
    protection: str
    compressor: str | None
    key: str
    value: str
    data: str


STORED_VALUES = [StoredValue(*entry) for entry in json.loads(FILE.read_text())]


def reader(stored: StoredValue) -> ValueCodec:
    is_signed, is_encrypted = stored.protection.startswith("signed"), stored.protection.startswith("encr")
    return build_codec(
        stored.serializer,
        signing_secrets=SIGNING_SECRETS if is_signed else (),
        encryption_key=ENCRYPTION_KEYS if is_encrypted else None,
    )


def configuration(stored: StoredValue) -> tuple[str, str, str]:
    return stored.serializer, stored.protection, stored.compressor or "uncompressed"


@table(
    "stored_values",
    [
        pytest.param(list(group), id="-".join(map(str, parts)).replace(" ", "_"))
        for parts, group in groupby(STORED_VALUES, configuration)
        if parts[:2] != ("msgpack", "plain")
    ],
)
def test_a_value_stored_by_an_older_version_is_read_as_it_was(stored_values: list[StoredValue]) -> None:
    for stored in stored_values:
        value = reader(stored).decode(stored.key.encode(), bytes.fromhex(stored.data))

        assert value == VALUES[stored.value], stored
        assert type(value) is type(VALUES[stored.value]), stored


@needs_careful_msgpack
def test_unprotected_msgpack_of_an_older_version_is_read_as_it_was() -> None:
    for stored in STORED_VALUES:
        if (stored.serializer, stored.protection) == ("msgpack", "plain"):
            value = reader(stored).decode(stored.key.encode(), bytes.fromhex(stored.data))

            assert value == VALUES[stored.value], stored


def test_the_file_has_a_value_of_each_serializer_protection_and_compressor() -> None:
    configurations = {configuration(stored) for stored in STORED_VALUES}

    assert configurations == {
        (serializer, protection, compressor)
        for serializer in ("pickle", "json", "msgpack", DOTTED_PATH)
        for protection in (
            *(["plain"] if serializer != "pickle" else []),
            "signed",
            "signed by an older key",
            "encrypted",
            "encrypted by an older key",
        )
        for compressor in ("uncompressed", "zlib", "gzip", "lzma", "zstd", "lz4")
    }
