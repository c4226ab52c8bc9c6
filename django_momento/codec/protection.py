"""What keeps stored payloads from being forged, moved to another key, or read: a signature, or encryption.

A seal closes a payload for one full cache key and one tag, and with another key or tag it does not open. It
knows nothing of what it holds. Keys show themselves in no repr and no message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from collections.abc import Iterable
from typing import Protocol

from ..exceptions import UnreadableValue
from ..redaction import MASK
from .imports import import_optional

SIGNATURE_BYTES = 16
NONCE_BYTES = 12
GCM_TAG_BYTES = 16
_ENCRYPTION_KEY_BYTES = (16, 32)

# Both seals bind the key's length, the key and the tag: the length keeps them, and what follows, from being
# split elsewhere. It is written out each time, because a call is 3 % of what a short value costs.
_length = struct.Struct(">I").pack

# How long a payload may become when it is decompressed: twelve times what Momento stores, if the site itself
# has sealed it. What is not sealed may be anybody's, and no longer than anybody could store it as it is.
MOST_SEALED_BYTES = 64 * 1024 * 1024
MOST_UNSEALED_BYTES = 5 * 1024 * 1024


class Seal(Protocol):
    """``flag`` stands in the tag, and says how a stored value is sealed."""

    flag: int
    most_bytes: int

    def close(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        """Answer what to store: the tag, what the seal adds, and the payload."""

    def open(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        """Answer the payload of data that begins with ``tag``.

        Raises UnreadableValue if it was closed with another key or tag, by somebody else, or not at all.
        """


class Unsealed:
    """No protection at all: takes what anybody wrote, as it must for JSON that others write, too."""

    flag = 0
    most_bytes = MOST_UNSEALED_BYTES

    def close(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        return tag + payload

    def open(self, key: bytes, tag: bytes, data: bytes) -> bytes:
        return data[len(tag) :]


def signing_key(secret: str | bytes) -> bytes:
    """Derive a signing key from one of Django's secret keys, so that it serves for nothing else."""
    data = secret.encode() if isinstance(secret, str) else bytes(secret)
    return hashlib.blake2b(data, person=b"django-momento", digest_size=32).digest()


class Signature:
    """Keyed BLAKE2b of 128 bits over key, tag and payload: the first key signs, all verify."""

    flag = 0x20
    most_bytes = MOST_SEALED_BYTES

    def __init__(self, keys: Iterable[bytes]) -> None:
        # Started once per key, and copied per value.
        self._copies = [hashlib.blake2b(key=key, digest_size=SIGNATURE_BYTES).copy for key in keys]
        self._copy = self._copies[0]

    def close(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        mac = self._copy()
        mac.update(_length(len(key)) + key + tag)
        mac.update(payload)
        return tag + mac.digest() + payload

    def open(self, key: bytes, tag: bytes, data: bytes) -> bytes:
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


class EncryptionKey(bytes):
    """Bytes that show themselves to no one: debug pages, error trackers and logs print ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{MASK}'"

    __str__ = __repr__


def encryption_keys(text: str) -> list[EncryptionKey]:
    """Parse base64 keys of 16 or 32 bytes with commas between them.

    Raises ValueError, whose words read on after "it" and hold no part of a key.
    """
    return [_encryption_key(part.strip()) for part in text.split(",")]


def _encryption_key(text: str) -> EncryptionKey:
    # Both alphabets of base64, with and without padding: `openssl rand -base64` as well as token_urlsafe().
    padded = text.replace("-", "+").replace("_", "/").rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        key = EncryptionKey(base64.b64decode(padded, validate=True))
    except ValueError:
        raise ValueError("holds a key that is not base64") from None
    if len(key) not in _ENCRYPTION_KEY_BYTES:
        raise ValueError(f"holds a key of {len(key)} bytes")
    return key


class Encryption:
    """AES-GCM with a random nonce of 96 bits, bound to key and tag: the first key encrypts, all decrypt.

    Raises UnusableOption if the package `cryptography` is missing.
    """

    flag = 0x40
    most_bytes = MOST_SEALED_BYTES

    def __init__(self, keys: Iterable[bytes]) -> None:
        aead = import_optional("cryptography.hazmat.primitives.ciphers.aead", "encryption", "ENCRYPTION_KEY")
        self._invalid = import_optional("cryptography.exceptions", "encryption", "ENCRYPTION_KEY").InvalidTag
        ciphers = [aead.AESGCM(key) for key in keys]
        self._encrypt = ciphers[0].encrypt
        self._decrypts = [cipher.decrypt for cipher in ciphers]

    def close(self, key: bytes, tag: bytes, payload: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        encrypted: bytes = self._encrypt(nonce, payload, _length(len(key)) + key + tag)
        return tag + nonce + encrypted

    def open(self, key: bytes, tag: bytes, data: bytes) -> bytes:
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
