"""Every way to configure a codec, for the tests of what is stored."""

from __future__ import annotations

import ast
from itertools import product
from typing import Any, NamedTuple

import pytest

from django_momento.codec.codec import Codec
from django_momento.codec.compressors import COMPRESSORS, find_compressor
from django_momento.codec.protection import Encryption, Protection, ProtectionKey, Signature, signing_key
from django_momento.codec.serializers import SERIALIZERS, find_serializer
from django_momento.exceptions import UnreadableValue

KEY = b":1:key"
SECRET, OTHER_SECRET = signing_key("secret"), signing_key("another secret")
ENCRYPTION_KEY = ProtectionKey(bytes(range(32)))
OTHER_ENCRYPTION_KEY = ProtectionKey(bytes(range(16)))

DOTTED_PATH = "tests.kit.codecs.Literals"
PROTECTIONS: dict[str, list[Protection]] = {
    "neither": [],
    "SIGN": [Signature([SECRET])],
    "ENCRYPTION_KEY": [Encryption([ENCRYPTION_KEY])],
    "both": [Encryption([ENCRYPTION_KEY]), Signature([SECRET])],
}


class Literals:
    """A site's own serializer: Python's literals as text."""

    def dumps(self, value: Any) -> bytes:
        return repr(value).encode()

    def loads(self, data: bytes) -> Any:
        return ast.literal_eval(data.decode())


class Configuration(NamedTuple):
    """The options of values. ``protection`` names one of ``PROTECTIONS``, as docs/values.md does."""

    serializer: str = "pickle"
    protection: str = "SIGN"
    compressor: str | None = None

    def __str__(self) -> str:
        return f"{self.serializer}-{self.protection}-{self.compressor}"

    def codec(self, protections: list[Protection] | None = None, compress_min_length: int = 64) -> Codec:
        """Make a codec, with other protections than those of the configuration if there are any."""
        return Codec(
            find_serializer(self.serializer),
            PROTECTIONS[self.protection] if protections is None else protections,
            find_compressor(self.compressor) if self.compressor else None,
            compress_min_length,
        )


# Older ones believe the lengths that a forger writes, and so are not used without a protection.
HAS_CAREFUL_MSGPACK = not find_serializer("msgpack").hazard
needs_careful_msgpack = pytest.mark.skipif(not HAS_CAREFUL_MSGPACK, reason="needs ormsgpack 1.13")

CONFIGURATIONS = [
    Configuration(*parts)
    for parts in product([*SERIALIZERS, DOTTED_PATH], PROTECTIONS, [None, *COMPRESSORS])
    if HAS_CAREFUL_MSGPACK or parts[:2] != ("msgpack", "neither")
]

unpickled: list[str] = []


class Touchy:
    """Tells when it is unpickled, as an attacker's object would do worse."""

    def __reduce__(self) -> Any:
        return unpickled.append, ("unpickled",)


def refusal(codec: Codec, data: bytes, key: bytes = KEY) -> str:
    """Return the reason why a codec refuses stored data."""
    with pytest.raises(UnreadableValue) as refused:
        codec.decode(key, data)
    return str(refused.value)
