"""Operations on a key that one holder at a time claims with a token, for locks and for jobs that run once.

Such a key is touched by SetIf calls only. Momento leaves the consistency of a mix with Set and Delete
undefined.
"""

from __future__ import annotations

from typing import ClassVar

from ..exceptions import CallTimedOut, CircuitOpen, TransportError
from .calls import Operation, SetIf, Wait
from .retry import Pause, jitter

# Milliseconds for which a released token stays. The shortest TTL stands for a delete.
RELEASED = 1

# Seconds in which the circuit breaker is probed and closes, if only one response was lost.
PAUSES = (0.25, 0.5)


class _Backoff(Pause, Wait):
    """Waits for some seconds."""


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
        super().__init__(key, token, RELEASED, "equal", token)


def claim(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    """Claim a key for a token and return whether the token has it. Send a call that timed out again."""
    return (yield from _send_until_known(Claim(key, token, ttl)))


def renew(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    """Give a token another TTL and return whether it has the key. Send a call that timed out again."""
    return (yield from _send_until_known(Renewal(key, token, ttl)))


def release(key: bytes, token: bytes) -> Operation[bool]:
    """Give up a key and return whether the token had it. Send a call that may not have arrived again."""
    call = Release(key, token)
    try:
        released: bool = yield call
    except TransportError as error:
        if isinstance(error, CircuitOpen):
            raise
        # If the first call did arrive, another one finds no token. The key is given up in both cases.
        yield from _send_again(call)
        released = True
    if released:
        # The key is free when this returns, also for a caller that is nearer than a millisecond to Momento.
        yield _Backoff(2 * RELEASED / 1000, {})
    return released


def _send_until_known(call: SetIf) -> Operation[bool]:
    try:
        stored: bool = yield call
    except CallTimedOut:
        # The call may have arrived. Then the key holds this token, and the next call finds it.
        stored = yield from _send_again(call)
    return stored


def _send_again(call: SetIf) -> Operation[bool]:
    """Send a call after one that may have arrived. If the circuit breaker opened, wait for its probe."""
    for seconds in PAUSES:
        try:
            return bool((yield call))
        except CircuitOpen:
            yield _Backoff(jitter(seconds), {})
    return bool((yield call))
