"""The format of a trace: JSON lines, of which the first is a header and each other one an event.

    {"momento_trace": 1, "sample": 0.1, "process": "4711-1764", "started": 1764070000000, "fields": [...]}
    [1764070000123, 0, "get", "5f0c1d2e3a4b5c6d", "product", 13, null, null, null, 1, 1, 1]

An event is the call of one key. A batch has one event for each of its keys that are in the sample. The calls
of the other keys are only counted, second by second. A trace has neither keys nor values: ``key`` is a hash
with a secret of the site.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

VERSION = 1
MARK = "momento_trace"

# For a line that says how many events were not written.
LOST = "lost"

# Values of fewer bytes need one operation, whether they are compressed or not.
MIN_COMPRESSED_BYTES = 1024

_HASH_BYTES = 8
HASH_SPACE = 1 << 8 * _HASH_BYTES
HASH_DIGITS = 2 * _HASH_BYTES


class Event(NamedTuple):
    """One key of one call, or a number of keys outside the sample.

    ``time`` is the start in milliseconds since the epoch, and ``took`` the duration in milliseconds. ``key``
    is the hash, and ``group`` the key group. ``key_bytes``, ``value_bytes`` and ``compressed_bytes`` are the
    sizes that Momento would store, or None if they were not measured. ``timeout`` is in seconds, and None
    means for ever. ``hit`` is 1 if the key was there, 0 if not, and None if the verb does not tell.
    ``batch`` is the number of keys of the whole call.

    ``keys`` is more than 1 only outside the sample, where ``key`` is empty: so many keys had this verb, this
    outcome and this batch within a second.
    """

    time: int
    took: int
    verb: str
    key: str
    group: str
    key_bytes: int
    value_bytes: int | None = None
    compressed_bytes: int | None = None
    timeout: float | None = None
    hit: int | None = None
    batch: int = 1
    keys: int = 1


class Header(NamedTuple):
    """The first line of each file. ``process`` tells apart the processes that write the files of a trace."""

    sample: float
    process: str
    started: int

    def as_dict(self) -> dict[str, object]:
        """Return the header as the object that a file begins with."""
        return {MARK: VERSION, **self._asdict(), "fields": list(Event._fields)}


def hash_secret(secret: str | bytes) -> bytes:
    """Return the key of the hash. It is the same in all processes of a site."""
    secret = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(secret, b"django_momento.recorder", hashlib.sha256).digest()


def hash_key(secret: bytes, key: bytes) -> str:
    """Return the hash of a key, of 64 bits in hexadecimal digits."""
    return hashlib.blake2b(key, key=secret, digest_size=_HASH_BYTES).hexdigest()
