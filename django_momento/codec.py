"""How values are stored: bytes that say themselves what they are, so that reading never guesses.

An integer of 64 bits is its decimal digits, which Momento can increment. JSON that is not signed is
stored as it is, for services in other languages. Everything else is one tag byte (0x80 or above), the
signature if there is one, and the payload. Only what this configuration writes is ever read back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .exceptions import UnreadableValue

TAGGED = 0x80
SIGNED = 0x20
_TAGS = bytes((TAGGED,))
SIGNATURE_BYTES = 16
INTEGER_RANGE = range(-(2**63), 2**63)
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class Serializer(NamedTuple):
    """``number`` stands in the tag byte: stored values depend on it, so it never changes."""

    number: int
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _as_json(value: Any) -> bytes:
    # NaN and infinities are not JSON, and other languages refuse them.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_not_json)


def _from_json(data: bytes) -> Any:
    return _JSON.decode(data.decode())


SERIALIZERS = {
    "pickle": Serializer(1, _pickled, pickle.loads),
    "json": Serializer(2, _as_json, _from_json),
}


def signing_key(secret: str | bytes) -> bytes:
    """Derive a signing key from one of Django's secret keys, so that it serves for nothing else."""
    data = secret.encode() if isinstance(secret, str) else bytes(secret)
    return hashlib.blake2b(data, person=b"django-momento", digest_size=32).digest()


class Codec:
    """Encodes and decodes values, each bound to the full cache key under which it is stored.

    ``signing_keys``: the first signs, all verify; none at all means unsigned.
    """

    def __init__(self, serializer: str, signing_keys: Sequence[bytes] = ()) -> None:
        self._serializer = SERIALIZERS[serializer]
        # Keyed BLAKE2b, started once per key and copied per value.
        self._macs = [hashlib.blake2b(key=key, digest_size=SIGNATURE_BYTES) for key in signing_keys]
        tag = TAGGED | self._serializer.number | (SIGNED if signing_keys else 0)
        self._tag = bytes((tag,))
        self._plain_json = serializer == "json" and not signing_keys

    def encode(self, key: bytes, value: Any) -> bytes:
        """Answer the bytes to store. Raises what the serializer raises for a value it cannot take."""
        # type() rather than isinstance(): a bool must come back as a bool.
        if type(value) is int and value in INTEGER_RANGE:
            return b"%d" % value
        payload = self._serializer.dumps(value)
        if self._plain_json:
            return payload
        if not self._macs:
            return self._tag + payload
        return b"".join((self._tag, self._signature(self._macs[0], key, payload), payload))

    def decode(self, key: bytes, data: bytes) -> Any:
        """Answer the value. Raises UnreadableValue, with the reason, for what ``encode`` did not write."""
        # Everything that is tagged is out of the digits' way, which spares most values the comparison.
        if data[:1] < _TAGS and _INTEGER.fullmatch(data) and (number := int(data)) in INTEGER_RANGE:
            return number
        return self._deserialized(data if self._plain_json else self._payload(key, data))

    def _payload(self, key: bytes, data: bytes) -> bytes:
        if data[:1] != self._tag:
            raise UnreadableValue(self._mismatch(data))
        if not self._macs:
            return data[1:]
        signature, payload = data[1 : 1 + SIGNATURE_BYTES], data[1 + SIGNATURE_BYTES :]
        for mac in self._macs:
            if hmac.compare_digest(signature, self._signature(mac, key, payload)):
                return payload
        raise UnreadableValue("its signature is not one of this site's for this key")

    def _signature(self, mac: hashlib.blake2b, key: bytes, payload: bytes) -> bytes:
        mac = mac.copy()
        # The length keeps key and payload from being split elsewhere; the tag, from another reading of both.
        mac.update(len(key).to_bytes(4, "big") + key + self._tag)
        mac.update(payload)
        return mac.digest()

    def _mismatch(self, data: bytes) -> str:
        if not data:
            return "it is empty"
        tag = data[0]
        if not tag & TAGGED:
            return "it was not written by this cache backend"
        numbers = {serializer.number: name for name, serializer in SERIALIZERS.items()}
        name = numbers.get(tag & 0x0F)
        if name is None or tag & ~(TAGGED | SIGNED | 0x0F):
            return f"its format ({tag:#x}) is not known to this version"
        signed = "signed" if tag & SIGNED else "unsigned"
        return f"it is {signed} {name}, which this configuration does not accept"

    def _deserialized(self, payload: bytes) -> Any:
        try:
            return self._serializer.loads(payload)
        except Exception as error:  # Unpickling may raise anything: a class that is gone, for one.
            raise UnreadableValue(f"it cannot be deserialized ({type(error).__name__})") from error
