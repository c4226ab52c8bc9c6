"""How values are stored: bytes that say themselves what they are, so that reading never guesses.

An integer of 64 bits is its decimal digits, which Momento can increment. JSON that is neither sealed nor
compressed is stored as it is, for services in other languages. Everything else starts with a tag:

    bit 7      always 1, so that no digit and no JSON starts like a tag
    bits 6, 5  the seal: 10 encrypted, 01 signed, 00 neither
    bit 4      1 if the payload is compressed
    bits 3-0   the serializer: 1 pickle, 2 json, 3 msgpack, 4 a dotted path

Then follow: for a dotted path, four bytes that tell it from others; if compressed, a byte for the compressor;
what the seal adds, and the payload. All else has no meaning yet: 0 and 5 to 15 as serializer, 11 as seal.
Only what the configuration allows is read: first the seal is opened, then the payload decompressed, and only
then deserialized.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from ..exceptions import CredentialError, UnreadableValue
from ..redaction import SecretStr
from .compressors import Compressor, decompressed, find_compressor
from .imports import OptionError
from .protection import Encryption, Seal, Signature, Unsealed, encryption_keys, signing_key
from .serializers import DOTTED_NUMBER, SERIALIZERS, Serializer, find_serializer

TAGGED = 0x80
SEAL = 0x60
COMPRESSED = 0x10
SERIALIZER = 0x0F
INTEGER_RANGE = range(-(2**63), 2**63)
_TAGS = bytes((TAGGED,))
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")

# In words, for the log.
_SEALS = {Unsealed.flag: "unsigned", Signature.flag: "signed", Encryption.flag: "encrypted"}
_SERIALIZERS = {number: name for name, number in SERIALIZERS.items()}
_SERIALIZERS[DOTTED_NUMBER] = "data of a dotted path"

# Stands for keys that are not known yet. No value is encrypted with it.
_ANY_KEY = SecretStr("A" * 22)


class ValueCodec(Protocol):
    """The methods of a codec that a cache calls; see ``Codec``."""

    def encode(self, key: bytes, value: Any) -> bytes: ...
    def decode(self, key: bytes, data: bytes) -> Any: ...


# Returns the encryption keys in use, as ``encryption_keys()`` reads them, and the name of their source.
KeySource = Callable[[], tuple[SecretStr | None, str]]


def build_codec(
    serializer: str,
    *,
    signing_secrets: tuple[str | bytes, ...] = (),
    encryption_key: SecretStr | KeySource | None = None,
    compressor: str | None = None,
    compress_min_length: int = 1024,
) -> ValueCodec:
    """Return the codec for these settings: the same one for equal settings.

    If ``encryption_key`` is callable, the codec asks it for the keys with each value. Raises OptionError if a
    package is missing, or if a setting names something that cannot be used.
    """
    if callable(encryption_key):
        return RotatingCodec(
            lambda key: _build(serializer, signing_secrets, key, compressor, compress_min_length),
            encryption_key,
        )
    return _build(serializer, signing_secrets, encryption_key, compressor, compress_min_length)


@lru_cache(maxsize=64)
def _build(
    serializer: str,
    signing_secrets: tuple[str | bytes, ...],
    encryption_key: SecretStr | None,
    compressor: str | None,
    compress_min_length: int,
) -> Codec:
    # The first seals values that are written, and all are opened: with both, signed values stay readable.
    seals: list[Seal] = []
    if encryption_key:
        seals.append(Encryption(encryption_keys(encryption_key)))
    if signing_secrets:
        seals.append(Signature([signing_key(secret) for secret in signing_secrets]))
    return Codec(
        find_serializer(serializer),
        seals,
        find_compressor(compressor) if compressor else None,
        compress_min_length,
    )


class RotatingCodec:
    """A codec whose encryption keys come from elsewhere, and may be replaced at any time.

    ``build`` returns the codec for some keys. ``get_keys`` returns the keys in use. Raises OptionError.
    """

    def __init__(self, build: Callable[[SecretStr], Codec], get_keys: KeySource) -> None:
        self._build = build
        self._get_keys = get_keys
        self._keys: SecretStr | None = None
        # A missing package is found now, and not with the first value.
        self._codec = build(_ANY_KEY)

    def encode(self, key: bytes, value: Any) -> bytes:
        """See Codec.encode(). Raises CredentialError if there are no usable keys."""
        return self._current().encode(key, value)

    def decode(self, key: bytes, data: bytes) -> Any:
        """See Codec.decode(). Raises CredentialError if there are no usable keys."""
        return self._current().decode(key, data)

    def _current(self) -> Codec:
        keys, source = self._get_keys()
        if keys is None or keys is not self._keys:
            self._codec = self._codec_for(keys, source)
            self._keys = keys
        return self._codec

    def _codec_for(self, keys: SecretStr | None, source: str) -> Codec:
        try:
            if not keys:
                raise ValueError("is not there")
            encryption_keys(keys)
        except ValueError as error:
            raise CredentialError(
                f"{source} has no 'encryption_key' that can be used: it {error}.",
                "Store it beside the API key, as base64 of 16 or 32 bytes: `openssl rand -base64 32`.",
            ) from None
        return self._build(keys)


class Codec:
    """Encodes and decodes values, each bound to the full cache key under which it is stored.

    ``seals``: the first closes what is written, all are opened; none at all means that nothing is sealed.
    ``compressor`` packs payloads of at least ``compress_min_length`` bytes, where that makes them smaller; to
    read, any compressor will do that is installed. Raises UnusableOption for a serializer that needs a seal.
    """

    def __init__(
        self,
        serializer: Serializer,
        seals: Sequence[Seal] = (),
        compressor: Compressor | None = None,
        compress_min_length: int = 1024,
    ) -> None:
        if serializer.hazard and not seals:
            raise OptionError(
                "SERIALIZER",
                f"needs a seal here: {serializer.hazard}.",
                "Set SIGN or ENCRYPTION_KEY, or upgrade.",
            )
        self._dumps, self._loads = serializer.dumps, serializer.loads
        self._is_bare = serializer.bare and not seals
        seals = seals or (Unsealed(),)
        self._close, self._most_bytes = seals[0].close, seals[0].most_bytes
        self._tag = b"" if self._is_bare else _tag(serializer, seals[0])
        self._compressor, self._compress_min_length = compressor, compress_min_length
        if compressor is not None:
            self._compressed_tag = _tag(serializer, seals[0], COMPRESSED) + bytes((compressor.number,))
        # What is read: how it is sealed, by its tag without a compressor's byte.
        self._tag_length = 1 + len(serializer.fingerprint)
        self._seals = {} if self._is_bare else {_tag(serializer, seal): seal for seal in seals}
        self._compressed_seals = {_tag(serializer, seal, COMPRESSED): seal for seal in seals}

    def encode(self, key: bytes, value: Any) -> bytes:
        """Answer the bytes to store. Raises what the serializer raises for a value it cannot take."""
        # type() rather than isinstance(): a bool must come back as a bool.
        if type(value) is int and value in INTEGER_RANGE:
            return b"%d" % value
        payload = self._dumps(value)
        if self._compressor is None or len(payload) < self._compress_min_length:
            return self._close(key, self._tag, payload)
        return self._compressed(self._compressor, key, payload)

    def decode(self, key: bytes, data: bytes) -> Any:
        """Answer the value. Raises UnreadableValue, with the reason, for what ``encode`` did not write."""
        tag = data[: self._tag_length]
        # Everything that is tagged is out of the digits' way, which spares most values the comparison.
        if tag < _TAGS and _INTEGER.fullmatch(data) and (number := int(data)) in INTEGER_RANGE:
            return number
        if seal := self._seals.get(tag):
            payload = seal.open(key, tag, data)
        elif seal := self._compressed_seals.get(tag):
            payload = _decompressed(seal, key, tag, data)
        elif self._is_bare and tag < _TAGS:
            payload = data
        else:
            raise UnreadableValue(_mismatch(data))
        try:
            return self._loads(payload)
        except Exception as error:  # noqa: BLE001 - unpickling may raise anything: a class that is gone, for one
            reason = f"it cannot be deserialized ({type(error).__name__})"
        # Raised out here, it is not chained to an error that may quote the value.
        raise UnreadableValue(reason)

    def _compressed(self, compressor: Compressor, key: bytes, payload: bytes) -> bytes:
        # What is longer could not be read back. As it is, it is over Momento's limit, and refused for that.
        if len(payload) <= self._most_bytes:
            packed = compressor.compress(payload)
            if len(self._compressed_tag) + len(packed) < len(self._tag) + len(payload):
                return self._close(key, self._compressed_tag, packed)
        return self._close(key, self._tag, payload)


def _decompressed(seal: Seal, key: bytes, tag: bytes, data: bytes) -> bytes:
    compressor = data[len(tag) : len(tag) + 1]
    packed = seal.open(key, tag + compressor, data)
    return decompressed(int.from_bytes(compressor, "big"), packed, seal.most_bytes)


def _tag(serializer: Serializer, seal: Seal, compressed: int = 0) -> bytes:
    return bytes((TAGGED | seal.flag | compressed | serializer.number,)) + serializer.fingerprint


def _mismatch(data: bytes) -> str:
    if not data:
        return "it is empty"
    first = data[0]
    if not first & TAGGED:
        return "it was not written by this cache backend"
    seal, serializer = _SEALS.get(first & SEAL), _SERIALIZERS.get(first & SERIALIZER)
    if seal is None or serializer is None:
        return f"its format ({first:#x}) is not known to this version"
    return f"it is {seal} {serializer}, which this configuration does not accept"
