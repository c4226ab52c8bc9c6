"""Attributes of a stored value: the time until which it is fresh, and the versions of its tags.

They stand in a block between the tag and the payload, which the protection binds to the value. The block
begins with its length in two bytes. Then each attribute has a number of one byte, the length of its data in
two bytes, and its data:

    1  the time until which the value is fresh, as milliseconds since 1970 in eight bytes; at most once
    2  a tag: a version of eight bytes, then the tag's name as UTF-8

All numbers are unsigned and have the highest byte first. Other attributes are reserved. A value with a
reserved attribute cannot be read, because ignoring the attribute could bring back a value that is invalid.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..clock import wall
from ..exceptions import UnreadableValue

# The largest block, without its length. Every read pays for these bytes.
MAX_ATTRIBUTES_BYTES = 16 * 1024
TAG_VERSION_BYTES = 8
MAX_FRESH_UNTIL = 2**64 - 1

# Milliseconds by which ``clock.wall`` may be late.
_CLOCK_LAG = 10

LENGTH_BYTES = 2
_TIME_BYTES = 8
_FRESH_UNTIL = 1
_TAG = 2


class Attributes(NamedTuple):
    """The attributes of a value. Without any, the value is stored as if there were no attributes.

    ``fresh_until`` is in milliseconds of the wall clock, or None. ``tags`` has the name and the version of
    each tag.
    """

    fresh_until: int | None = None
    tags: tuple[tuple[str, bytes], ...] = ()


class Attributed(NamedTuple):
    """A value that was stored with attributes."""

    value: Any
    attributes: Attributes


def is_stale(data: bytes, stored: Attributed) -> bool:
    """Return whether a value is past the time until which it is fresh.

    In an outage, the shield serves bytes of a class of its own, which are never stale.
    """
    fresh_until = stored.attributes.fresh_until
    return fresh_until is not None and type(data) is bytes and wall() * 1000 + _CLOCK_LAG >= fresh_until


def encode_attributes(attributes: Attributes) -> bytes:
    """Return the block of attributes. Raises ValueError if one is out of range or the block is too long."""
    fresh_until, tags = attributes
    block = b""
    if fresh_until is not None:
        if not 0 <= fresh_until <= MAX_FRESH_UNTIL:
            raise ValueError(f"fresh_until is {fresh_until}, which is no time in milliseconds since 1970.")
        block = _encode(_FRESH_UNTIL, fresh_until.to_bytes(_TIME_BYTES, "big"))
    for name, version in tags:
        if len(version) != TAG_VERSION_BYTES:
            raise ValueError(f"The version of a tag has {TAG_VERSION_BYTES} bytes, not {len(version)}.")
        block += _encode(_TAG, version + name.encode("utf-8", "surrogatepass"))
    if len(block) > MAX_ATTRIBUTES_BYTES:
        raise ValueError(
            f"The {len(tags)} tags of a value take {len(block):,} bytes; "
            f"at most {MAX_ATTRIBUTES_BYTES:,} fit. "
            "Give it fewer tags or shorter names."
        )
    return _number(len(block)) + block


def _encode(number: int, data: bytes) -> bytes:
    # A name that is too long for its length also exceeds the limit of the block.
    length = min(len(data), 2 ** (8 * LENGTH_BYTES) - 1)
    return bytes((number,)) + _number(length) + data


def _number(length: int) -> bytes:
    return length.to_bytes(LENGTH_BYTES, "big")


def end_of_attributes(data: bytes, start: int) -> int:
    """Return where the block that begins at ``start`` ends. Raises UnreadableValue if it is not whole."""
    length = int.from_bytes(data[start : start + LENGTH_BYTES], "big")
    end = start + LENGTH_BYTES + length
    if end > len(data) or length > MAX_ATTRIBUTES_BYTES:
        raise UnreadableValue("its attributes are cut short, or too long")
    return end


def decode_attributes(block: bytes) -> Attributes:
    """Return the attributes of a whole block.

    Raises UnreadableValue, with the reason, for a block that ``encode_attributes`` of this version did not
    write.
    """
    fresh_until: int | None = None
    tags: list[tuple[str, bytes]] = []
    place = LENGTH_BYTES
    if len(block) == place:
        raise UnreadableValue("its attributes are empty")
    while place < len(block):
        number, start = block[place], place + 1 + LENGTH_BYTES
        end = start + int.from_bytes(block[place + 1 : start], "big")
        if end > len(block):
            raise UnreadableValue("its attributes are cut short, or too long")
        data, place = block[start:end], end
        if number == _FRESH_UNTIL and len(data) == _TIME_BYTES and fresh_until is None:
            fresh_until = int.from_bytes(data, "big")
        elif number == _TAG and len(data) >= TAG_VERSION_BYTES:
            tags.append((_decode_name(data[TAG_VERSION_BYTES:]), data[:TAG_VERSION_BYTES]))
        else:
            raise UnreadableValue(f"its attribute {number:#x} is not known to this version")
    return Attributes(fresh_until, tuple(tags))


def _decode_name(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise UnreadableValue("the name of a tag is not UTF-8") from error
