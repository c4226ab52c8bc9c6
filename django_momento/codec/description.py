"""Describe stored bytes by their tag, without reading the value."""

from __future__ import annotations

import re
from typing import NamedTuple

from .codec import ATTRIBUTED, COMPRESSED, PROTECTION, SERIALIZER, TAGGED
from .protection import Encryption, Signature
from .serializers import DOTTED_NUMBER, SERIALIZERS

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_NAMES = {number: name for name, number in SERIALIZERS.items()} | {DOTTED_NUMBER: "a dotted path"}
_PROTECTIONS = {Signature.flag: "signed", Encryption.flag: "encrypted"}


class Description(NamedTuple):
    """How a value is stored. ``serializer`` is ``integer`` for digits that Momento can increment."""

    serializer: str
    protection: str
    compressed: bool
    attributed: bool = False

    def __str__(self) -> str:
        attributes = ", with attributes" if self.attributed else ""
        return (
            f"{self.serializer}, {self.protection}, {'' if self.compressed else 'not '}compressed{attributes}"
        )


def describe(data: bytes) -> Description:
    """Return the format of stored bytes. Bytes without a tag are an integer, or taken for JSON."""
    if _INTEGER.fullmatch(data):
        return Description("integer", "unsigned", compressed=False)
    tag = data[0] if data else 0
    if not tag & TAGGED:
        return Description("json" if data else "unknown", "unsigned", compressed=False)
    return Description(
        _NAMES.get(tag & SERIALIZER, "unknown"),
        _PROTECTIONS.get(tag & PROTECTION, "unsigned"),
        compressed=bool(tag & COMPRESSED),
        attributed=bool(tag & ATTRIBUTED),
    )
