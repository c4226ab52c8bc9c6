"""Leases: at most one process computes a value at a time, as long as Momento responds.

A lease is a key beside the value's, which only ``SetIf`` touches, because Momento leaves a mix with Set and
Delete undefined. Its value is a token of the holder. It ends by itself after its time, or when the holder
releases it.
"""

from __future__ import annotations

from ..client.calls import MAX_TTL, Operation, SetIf

# No key of a caller ends like this one: these bytes are not UTF-8.
_SUFFIX = b"\xfflease"

TOKEN_BYTES = 16


def lease_key(key: bytes) -> bytes:
    """Return the key of the lease for a value's key."""
    return key + _SUFFIX


def acquire(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    """Return whether the caller has the lease now, for ``ttl`` milliseconds."""
    acquired: bool = yield SetIf(lease_key(key), token, min(ttl, MAX_TTL), "absent")
    return acquired


def release(key: bytes, token: bytes) -> Operation[bool]:
    """End a lease that the token holds, and return whether the token held it."""
    released: bool = yield SetIf(lease_key(key), token, 1, "equal", token)
    return released
