"""Operations on a key that one holder at a time claims with a token, for locks and for jobs that run once.

Such a key is touched by SetIf calls only. Momento leaves the consistency of a mix with Set and Delete
undefined.
"""

from __future__ import annotations

from typing import ClassVar

from ..exceptions import CallTimedOut, TransportError
from .calls import Operation, SetIf

# Milliseconds for which a released token stays. The shortest TTL stands for a delete.
_RELEASED = 1


class Claim(SetIf):
    """Store a token if the key is absent or holds this token. Sending it twice changes nothing."""

    rpc: ClassVar[str] = "SetIf"
    retryable: ClassVar[bool] = True

    def __init__(self, key: bytes, token: bytes, ttl: int) -> None:
        super().__init__(key, token, ttl, "absent_or_equal", token)


class Renewal(SetIf):
    """Give a token another TTL if the key holds it. Sending it twice changes nothing."""

    rpc: ClassVar[str] = "SetIf"
    retryable: ClassVar[bool] = True

    def __init__(self, key: bytes, token: bytes, ttl: int) -> None:
        super().__init__(key, token, ttl, "equal", token)


class Release(SetIf):
    """Let a token end at once if the key holds it. The second of two finds no token."""

    rpc: ClassVar[str] = "SetIf"

    def __init__(self, key: bytes, token: bytes) -> None:
        super().__init__(key, token, _RELEASED, "equal", token)


def claim(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    """Claim a key for a token and return whether the token has it. Repeat a call that timed out once."""
    try:
        claimed: bool = yield Claim(key, token, ttl)
    except CallTimedOut:
        # The call may have arrived. Then the key holds this token, and the second call finds it.
        claimed = yield Claim(key, token, ttl)
    return claimed


def renew(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    """Give a token another TTL and return whether it has the key. Repeat a call that timed out once."""
    try:
        renewed: bool = yield Renewal(key, token, ttl)
    except CallTimedOut:
        renewed = yield Renewal(key, token, ttl)
    return renewed


def release(key: bytes, token: bytes) -> Operation[bool]:
    """Give up a key and return whether the token had it. Repeat a call that may not have arrived once."""
    try:
        released: bool = yield Release(key, token)
    except TransportError:
        # If the first call did arrive, this one finds no token. The key is given up in both cases.
        yield Release(key, token)
        return True
    return released
