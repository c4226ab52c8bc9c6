"""Protect stored payloads: a signature against forgery, or encryption against forgery and reading.

A protection seals a payload for one Momento cache, one full cache key and one tag. With another cache, key or
tag the payload does not unseal. Keys are masked in every repr and in every message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..exceptions import UnreadableValue
from ..redaction import MASK, SecretStr
from .imports import import_optional

SIGNATURE_BYTES = 16
NONCE_BYTES = 12
GCM_TAG_BYTES = 16
_ENCRYPTION_KEY_BYTES = (16, 32)

# Both protections bind the length of the key, the key and the tag. The length fixes where the key ends. The
# expression stands in each method, because a function call is 3 % of the cost of a short value.
_length = struct.Struct(">I").pack

# The longest payload that decompression may produce. A value that the site itself protected may grow to
# twelve times the size that Momento stores. Anybody may have written an unprotected value, so it may only be
# as long as an uncompressed one.
MAX_PROTECTED_BYTES = 64 * 1024 * 1024
MAX_UNPROTECTED_BYTES = 5 * 1024 * 1024


class Protection(Protocol):
    """Seal and unseal payloads. ``flag`` stands in the tag of a stored value."""

    flag: int
    max_bytes: int

    def seal(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        """Return the bytes to store: the tag, the signature or nonce, and the payload."""

    def unseal(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        """Return the payload of data that begins with ``tag``.

        Raises UnreadableValue if the data was sealed with another key or tag, by another site, or not at all.
        """


class Unprotected:
    """Store payloads as they are. Anybody may have written them, as with JSON of other services."""

    flag = 0
    max_bytes = MAX_UNPROTECTED_BYTES

    def seal(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        return tag + payload

    def unseal(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        return data[len(tag) :]


class ProtectionKey(bytes):
    """Bytes with a masked ``repr``, because debug pages, error trackers and logs print ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{MASK}'"

    __str__ = __repr__


def signing_key(secret: str | bytes) -> ProtectionKey:
    """Derive a signing key from one of Django's secret keys. The key has no other use."""
    data = ProtectionKey(secret.encode() if isinstance(secret, str) else secret)
    return ProtectionKey(hashlib.blake2b(data, person=b"django-momento", digest_size=32).digest())


def keys_of_cache(keys: Sequence[bytes], cache_name: str) -> list[ProtectionKey]:
    """Return keys that are good for one Momento cache, followed by the given keys.

    A value sealed with the first key does not unseal in another cache. The given keys come last: with them
    older versions sealed values, which stay readable.
    """
    name = cache_name.encode()
    bound = (
        hashlib.blake2b(name, key=key, person=b"momento-cache", digest_size=len(key)).digest() for key in keys
    )
    return [*map(ProtectionKey, bound), *map(ProtectionKey, keys)]


class Signature:
    """Keyed BLAKE2b of 128 bits over key, tag and payload. The first key signs, and all keys verify."""

    flag = 0x20
    max_bytes = MAX_PROTECTED_BYTES

    def __init__(self, keys: Iterable[bytes]) -> None:
        # Keyed once, and copied for each value.
        self._copies = [hashlib.blake2b(key=key, digest_size=SIGNATURE_BYTES).copy for key in keys]
        self._copy = self._copies[0]

    def seal(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        mac = self._copy()
        mac.update(_length(len(key)) + key + tag)
        mac.update(payload)
        return tag + mac.digest() + payload

    def unseal(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        end = len(tag) + SIGNATURE_BYTES
        signature, payload = data[len(tag) : end], data[end:]
        bound = _length(len(key)) + key + tag
        for copy in self._copies:
            mac = copy()
            mac.update(bound)
            mac.update(payload)
            if hmac.compare_digest(signature, mac.digest()):
                return payload
        raise UnreadableValue("its signature is not one of this site's for this key")


def encryption_keys(text: str) -> list[ProtectionKey]:
    """Parse base64 keys of 16 or 32 bytes with commas between them.

    Raises ValueError. Its message continues a sentence after "it", and holds no part of a key.
    """
    return [_encryption_key(part) for part in map(SecretStr, text.split(","))]


def _encryption_key(text: SecretStr) -> ProtectionKey:
    key = _base64_decode(text)
    if key is None:
        # Raised here: the frames of base64 have the key in their local variables.
        raise ValueError("holds a key that is not base64")
    if len(key) not in _ENCRYPTION_KEY_BYTES:
        raise ValueError(f"holds a key of {len(key)} bytes")
    return key


def _base64_decode(text: SecretStr) -> ProtectionKey | None:
    # Both alphabets of base64, with and without padding: `openssl rand -base64` as well as token_urlsafe().
    unpadded = SecretStr(text.strip().replace("-", "+").replace("_", "/").rstrip("="))
    try:
        return ProtectionKey(base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True))
    except ValueError:
        return None


class Encryption:
    """AES-GCM with a random nonce of 96 bits, bound to key and tag. The first key encrypts, and all decrypt.

    Raises OptionError if the package `cryptography` is missing.
    """

    flag = 0x40
    max_bytes = MAX_PROTECTED_BYTES

    def __init__(self, keys: Iterable[bytes]) -> None:
        aead = import_optional("cryptography.hazmat.primitives.ciphers.aead", "encryption", "ENCRYPTION_KEY")
        self._invalid = import_optional("cryptography.exceptions", "encryption", "ENCRYPTION_KEY").InvalidTag
        ciphers = [aead.AESGCM(key) for key in keys]
        self._encrypt = ciphers[0].encrypt
        self._decrypts = [cipher.decrypt for cipher in ciphers]

    def seal(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        encrypted: bytes = self._encrypt(nonce, payload, _length(len(key)) + key + tag)
        return tag + nonce + encrypted

    def unseal(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        end = len(tag) + NONCE_BYTES
        nonce, encrypted = data[len(tag) : end], data[end:]
        if len(encrypted) < GCM_TAG_BYTES:
            raise UnreadableValue("its encrypted data is cut short")
        bound = _length(len(key)) + key + tag
        for decrypt in self._decrypts:
            try:
                payload: bytes = decrypt(nonce, encrypted, bound)
            except self._invalid:
                continue
            return payload
        raise UnreadableValue("it was not encrypted by this site for this key")
