"""A protected value is good for one Momento cache, and values of older versions stay readable."""

from __future__ import annotations

from typing import Any

import pytest

from django_momento.codec.codec import ValueCodec, build_codec
from django_momento.exceptions import UnreadableValue
from django_momento.redaction import SecretStr
from tests.kit.tables import table

KEY = b":1:key"
VALUES = ["text", ["x" * 50] * 100]
SECRETS: dict[str, dict[str, Any]] = {
    "signed": {"signing_secrets": ("secret",)},
    "encrypted with 32 bytes": {"encryption_key": SecretStr("A" * 43)},
    "encrypted with 16 bytes": {"encryption_key": SecretStr("A" * 22)},
    "keys with the API key": {"encryption_key": lambda: (SecretStr("A" * 22), "the secret")},
    "both": {"signing_secrets": ("secret",), "encryption_key": SecretStr("A" * 22)},
}
every_secret = table("secrets", SECRETS.values())
every_compressor = table("compressor", [None, "zlib"])


def codec(secrets: dict[str, Any], cache_name: str | None, compressor: str | None = None) -> ValueCodec:
    return build_codec("pickle", **secrets, compressor=compressor, cache_name=cache_name)


@every_secret
@every_compressor
def test_a_value_is_not_read_in_another_cache(secrets: dict[str, Any], compressor: str | None) -> None:
    """Whoever can write to both caches can copy a value, but not have it read."""
    for value in VALUES:
        data = codec(secrets, "a-cache", compressor).encode(KEY, value)

        assert value == codec(secrets, "a-cache").decode(KEY, data)
        for other in ("another-cache", "a-cach", "a-cachee", "", None):
            with pytest.raises(UnreadableValue):
                codec(secrets, other).decode(KEY, data)


@every_secret
@every_compressor
def test_a_value_of_before_caches_were_bound_is_read(secrets: dict[str, Any], compressor: str | None) -> None:
    for value in VALUES:
        data = codec(secrets, None, compressor).encode(KEY, value)

        assert value == codec(secrets, "a-cache").decode(KEY, data)


def test_older_keys_read_values_of_their_cache() -> None:
    old = {"signing_secrets": ("old",)}
    new = {"signing_secrets": ("new", "old")}
    data = codec(old, "a-cache").encode(KEY, "value")

    assert "value" == codec(new, "a-cache").decode(KEY, data)
    with pytest.raises(UnreadableValue):
        codec(new, "another-cache").decode(KEY, data)
    with pytest.raises(UnreadableValue):
        codec(old, "a-cache").decode(KEY, codec(new, "a-cache").encode(KEY, "value"))


def test_the_name_of_a_cache_may_hold_any_text() -> None:
    for name in ("\u00fc", "x" * 255, "a b"):
        data = codec(SECRETS["signed"], name).encode(KEY, "value")

        assert "value" == codec(SECRETS["signed"], name).decode(KEY, data)
