"""Encode values as bytes whose first byte tells their format, so that reading never guesses.

An integer of 64 bits is stored as decimal digits, which Momento can increment. JSON that is neither protected
nor compressed is stored as it is, for services in other languages. Every other value starts with a tag:

    bit 7      always 1, because digits and JSON never start like that
    bits 6, 5  the protection: 10 encrypted, 01 signed, 00 unprotected
    bit 4      1 if the payload is compressed
    bit 3      1 if the value has attributes
    bits 2-0   the serializer: 1 pickle, 2 json, 3 msgpack, 4 a dotted path

For a dotted path, four bytes follow that tell it from others. If the payload is compressed, the compressor's
number follows. Then come the attributes, the signature or nonce, and the payload. Other bits are reserved: 0
and 5 to 7 as serializer, 11 as protection. An integer with attributes is serialized like any other value.
Reading accepts only the formats that the configuration allows. It first unseals the payload, then
decompresses it, and only then deserializes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from ..exceptions import CredentialError, UnreadableValue
from ..interruption import is_interruption
from ..redaction import SecretStr
from .attributes import (
    Attributed,
    Attributes,
    decode_attributes,
    encode_attributes,
    end_of_attributes,
)
from .compressors import Compressor, decompress, find_compressor
from .imports import OptionError
from .protection import (
    Encryption,
    Protection,
    ProtectionKey,
    Signature,
    Unprotected,
    encryption_keys,
    keys_of_cache,
    signing_key,
)
from .serializers import DOTTED_NUMBER, SERIALIZERS, Serializer, find_serializer

TAGGED = 0x80
PROTECTION = 0x60
COMPRESSED = 0x10
ATTRIBUTED = 0x08
SERIALIZER = 0x07
INTEGER_RANGE = range(-(2**63), 2**63)
_TAGS = bytes((TAGGED,))
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")

# In words, for the log.
_PROTECTIONS = {Unprotected.flag: "unsigned", Signature.flag: "signed", Encryption.flag: "encrypted"}
_SERIALIZERS = {number: name for name, number in SERIALIZERS.items()}
_SERIALIZERS[DOTTED_NUMBER] = "data of a dotted path"

_NO_ATTRIBUTES = Attributes()

# Stands for keys that are not known yet. No value is ever encrypted with it.
_ANY_KEY = SecretStr("A" * 22)


class ValueCodec(Protocol):
    """The methods of a codec that a cache calls; see ``Codec``."""

    def encode(self, key: bytes, value: Any, attributes: Attributes | None = None) -> bytes: ...
    def decode(self, key: bytes, data: bytes) -> Any: ...
    def open(self, key: bytes, data: bytes) -> Opened: ...


# Returns the encryption keys in use, as ``encryption_keys()`` reads them, and the name of their source.
KeySource = Callable[[], tuple[SecretStr | None, str]]


def build_codec(
    serializer: str,
    *,
    signing_secrets: tuple[str | bytes, ...] = (),
    encryption_key: SecretStr | KeySource | None = None,
    compressor: str | None = None,
    compress_min_length: int = 1024,
    cache_name: str | None = None,
) -> ValueCodec:
    """Return the codec for these settings: the same one for equal settings.

    If ``encryption_key`` is callable, the codec calls it for the keys with each value. With a ``cache_name``,
    signatures and encryption hold only in that Momento cache. Raises OptionError if a package is missing, or
    if a setting names something unusable.
    """
    settings = serializer, signing_secrets, compressor, compress_min_length, cache_name
    if callable(encryption_key):
        return RotatingCodec(lambda key: _build(key, *settings), encryption_key)
    return _build(encryption_key, *settings)


@lru_cache(maxsize=64)
def _build(
    encryption_key: SecretStr | None,
    serializer: str,
    signing_secrets: tuple[str | bytes, ...],
    compressor: str | None,
    compress_min_length: int,
    cache_name: str | None,
) -> Codec:
    def bind(keys: list[ProtectionKey]) -> list[ProtectionKey]:
        return keys if cache_name is None else keys_of_cache(keys, cache_name)

    # Writing takes the first, and reading takes both. So signed values stay readable after encryption is
    # added.
    protections: list[Protection] = []
    if encryption_key:
        protections.append(Encryption(bind(encryption_keys(encryption_key))))
    if signing_secrets:
        protections.append(Signature(bind([signing_key(secret) for secret in signing_secrets])))
    return Codec(
        find_serializer(serializer),
        protections,
        find_compressor(compressor) if compressor else None,
        compress_min_length,
    )


class RotatingCodec:
    """A codec whose encryption keys come with the API key, and may be replaced at any time.

    ``build`` returns the codec for some keys. ``get_keys`` returns the keys in use. Raises OptionError.
    """

    def __init__(self, build: Callable[[SecretStr], Codec], get_keys: KeySource) -> None:
        self._build = build
        self._get_keys = get_keys
        self._keys: SecretStr | None = None
        # Finds a missing package now, before the first value.
        self._codec = build(_ANY_KEY)

    def encode(self, key: bytes, value: Any, attributes: Attributes | None = None) -> bytes:
        """Return the bytes to store; see Codec.encode().

        Raises CredentialError if the keys are missing or unusable.
        """
        return self._current().encode(key, value, attributes)

    def decode(self, key: bytes, data: bytes) -> Any:
        """Return the value; see Codec.decode().

        Raises CredentialError if the keys are missing or unusable.
        """
        return self._current().decode(key, data)

    def open(self, key: bytes, data: bytes) -> Opened:
        """Return the verified payload; see Codec.open().

        Raises CredentialError if the keys are missing or unusable.
        """
        return self._current().open(key, data)

    def _current(self) -> Codec:
        keys, source = self._get_keys()
        if keys is None or keys is not self._keys:
            self._codec = self._codec_for(keys, source)
            self._keys = keys
        return self._codec

    def _codec_for(self, keys: SecretStr | None, source: str) -> Codec:
        problem = _problem_with(keys)
        if keys is None or problem:
            raise CredentialError(
                f"{source} has no usable 'encryption_key': it {problem}.",
                "Store it beside the API key, as base64 of 16 or 32 bytes: `openssl rand -base64 32`.",
            )
        return self._build(keys)


def _problem_with(keys: SecretStr | None) -> str:
    """Return the reason why encryption keys are unusable, or an empty text if they are usable."""
    if not keys:
        return "is not there"
    try:
        encryption_keys(keys)
    except ValueError as error:
        return str(error)
    return ""


class Opened:
    """A stored value whose payload is verified and decompressed. ``load`` may be called repeatedly.

    ``attributes`` is None for a value without any. The payload of an integer is its digits.
    """

    __slots__ = ("_loads", "attributes", "payload")

    def __init__(
        self, payload: bytes, loads: Callable[[bytes], Any], attributes: Attributes | None = None
    ) -> None:
        self.payload = payload
        self._loads = loads
        self.attributes = attributes

    def load(self) -> Any:
        """Return a new object of the value, in an ``Attributed`` if it has attributes.

        Raises UnreadableValue if the payload cannot be deserialized.
        """
        try:
            value = self._loads(self.payload)
        except Exception as error:  # unpickling may raise anything
            if is_interruption(error):
                raise
            reason = f"it cannot be deserialized ({type(error).__name__})"
        else:
            return value if self.attributes is None else Attributed(value, self.attributes)
        # Raised here, so that it is not chained to an error that may quote the value.
        raise UnreadableValue(reason)


class Codec:
    """Encode and decode values. Each is bound to the full cache key under which it is stored.

    The first of ``protections`` seals values that are written, and all of them unseal. Without any, values
    are stored unprotected. ``compressor`` packs payloads of at least ``compress_min_length`` bytes if that
    makes them smaller. Reading accepts every installed compressor. Raises OptionError if the serializer needs
    a protection and has none.
    """

    def __init__(
        self,
        serializer: Serializer,
        protections: Sequence[Protection] = (),
        compressor: Compressor | None = None,
        compress_min_length: int = 1024,
    ) -> None:
        if serializer.hazard and not protections:
            raise OptionError(
                "SERIALIZER",
                f"needs signed or encrypted values here: {serializer.hazard}.",
                "Set SIGN or ENCRYPTION_KEY, or upgrade.",
            )
        self._dumps, self._loads = serializer.dumps, serializer.loads
        self._is_bare = serializer.bare and not protections
        protections = protections or (Unprotected(),)
        self._seal, self._max_bytes = protections[0].seal, protections[0].max_bytes
        self._tag = b"" if self._is_bare else _tag(serializer, protections[0])
        self._compressor, self._compress_min_length = compressor, compress_min_length
        if compressor is not None:
            self._compressed_tag = _tag(serializer, protections[0], COMPRESSED) + bytes((compressor.number,))
        # For reading: the protection by the tag without the compressor's number.
        self._tag_length = 1 + len(serializer.fingerprint)
        self._protections = {} if self._is_bare else {_tag(serializer, each): each for each in protections}
        self._compressed_protections = {_tag(serializer, each, COMPRESSED): each for each in protections}
        # The same for values with attributes, which have a tag even if others are bare.
        self._attributed_protections = {
            _tag(serializer, each, compressed | ATTRIBUTED): (each, bool(compressed))
            for each in protections
            for compressed in (0, COMPRESSED)
        }
        self._attributed_tag = _tag(serializer, protections[0], ATTRIBUTED)

    def encode(self, key: bytes, value: Any, attributes: Attributes | None = None) -> bytes:
        """Return the bytes to store.

        Raises the serializer's own error if it refuses the value. Raises ValueError if the attributes are
        longer than ``MAX_ATTRIBUTES_BYTES``.
        """
        if attributes is not None and attributes != _NO_ATTRIBUTES:
            block = encode_attributes(attributes)
            return self._pack(key, self._attributed_tag + block, ATTRIBUTED, block, self._dumps(value))
        # type() rather than isinstance(): a bool must come back as a bool.
        if type(value) is int and value in INTEGER_RANGE:
            return b"%d" % value
        payload = self._dumps(value)
        if self._compressor is None or len(payload) < self._compress_min_length:
            return self._seal(key, self._tag, payload)
        return self._pack(key, self._tag, 0, b"", payload)

    def decode(self, key: bytes, data: bytes) -> Any:
        """Return the value, in an ``Attributed`` if it was stored with attributes.

        Raises UnreadableValue, with the reason, for data that ``encode`` did not write.
        """
        # The same as open(key, data).load(), without the cost of the object and of two calls.
        attributes = None
        tag = data[: self._tag_length]
        # No digit begins like a tag, so most values are spared the regular expression.
        if tag < _TAGS and _INTEGER.fullmatch(data) and (number := int(data)) in INTEGER_RANGE:
            return number
        if protection := self._protections.get(tag):
            payload = protection.unseal(key, tag, data)
        elif self._is_bare and tag < _TAGS:
            payload = data
        else:
            payload, attributes = self._unseal(key, tag, data)
        try:
            value = self._loads(payload)
        except Exception as error:  # unpickling may raise anything
            if is_interruption(error):
                raise
            reason = f"it cannot be deserialized ({type(error).__name__})"
        else:
            return value if attributes is None else Attributed(value, attributes)
        # Raised here, so that it is not chained to an error that may quote the value.
        raise UnreadableValue(reason)

    def open(self, key: bytes, data: bytes) -> Opened:
        """Return the verified and decompressed payload of a value, which is not yet deserialized.

        Raises UnreadableValue, with the reason, for data that ``encode`` did not write.
        """
        tag = data[: self._tag_length]
        if tag < _TAGS and _INTEGER.fullmatch(data) and int(data) in INTEGER_RANGE:
            return Opened(data, int)
        if self._is_bare and tag < _TAGS:
            return Opened(data, self._loads)
        payload, attributes = self._unseal(key, tag, data)
        return Opened(payload, self._loads, attributes)

    def _unseal(self, key: bytes, tag: bytes, data: bytes) -> tuple[bytes, Attributes | None]:
        if protection := self._protections.get(tag):
            return protection.unseal(key, tag, data), None
        if protection := self._compressed_protections.get(tag):
            return _unseal_compressed(protection, key, tag, data), None
        if attributed := self._attributed_protections.get(tag):
            return _unseal_attributed(*attributed, key, tag, data)
        raise UnreadableValue(_explain_mismatch(data))

    def _pack(self, key: bytes, tag: bytes, flag: int, block: bytes, payload: bytes) -> bytes:
        """Seal a payload under ``tag``, or compressed, if that is shorter."""
        compressor = self._compressor
        # A longer payload could not be read back. Uncompressed it exceeds Momento's limit, and is refused.
        if compressor is not None and self._compress_min_length <= len(payload) <= self._max_bytes:
            first, *rest = self._compressed_tag
            compressed_tag = bytes((first | flag, *rest)) + block
            packed = compressor.compress(payload)
            if len(compressed_tag) + len(packed) < len(tag) + len(payload):
                return self._seal(key, compressed_tag, packed)
        return self._seal(key, tag, payload)


def _unseal_compressed(protection: Protection, key: bytes, tag: bytes, data: bytes) -> bytes:
    compressor = data[len(tag) : len(tag) + 1]
    packed = protection.unseal(key, tag + compressor, data)
    return decompress(int.from_bytes(compressor, "big"), packed, protection.max_bytes)


def _unseal_attributed(
    protection: Protection, is_compressed: bool, key: bytes, tag: bytes, data: bytes
) -> tuple[bytes, Attributes]:
    start = len(tag) + is_compressed
    end = end_of_attributes(data, start)
    payload = protection.unseal(key, data[:end], data)
    attributes = decode_attributes(data[start:end])
    if is_compressed:
        payload = decompress(data[start - 1], payload, protection.max_bytes)
    return payload, attributes


def _tag(serializer: Serializer, protection: Protection, flags: int = 0) -> bytes:
    return bytes((TAGGED | protection.flag | flags | serializer.number,)) + serializer.fingerprint


def _explain_mismatch(data: bytes) -> str:
    if not data:
        return "it is empty"
    first = data[0]
    if not first & TAGGED:
        return "it was not written by this cache backend"
    protection, serializer = _PROTECTIONS.get(first & PROTECTION), _SERIALIZERS.get(first & SERIALIZER)
    if protection is None or serializer is None:
        return f"its format ({first:#x}) is not known to this version"
    return f"it is {protection} {serializer}, which this configuration does not accept"
