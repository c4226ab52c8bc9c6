"""Jobs that run once in an interval, on all machines that share a cache."""

from __future__ import annotations

from ..client.calls import Operation
from ..client.claims import claim
from ..exceptions import FailedPrecondition
from ..redaction import quote
from .lock_tokens import make_token
from .timeouts import to_duration


def claim_once(key: bytes, every: object, max_ttl: float) -> Operation[bool]:
    """Return the operation that claims an interval for one caller, and returns whether this one has it.

    Raises TypeError or ValueError if ``every`` is no duration of at most ``max_ttl`` seconds. The operation
    raises TypeError if the key holds a rate limit or another collection.
    """
    return _claim(key, to_duration("every", every, max_ttl))


def _claim(key: bytes, ttl: int) -> Operation[bool]:
    try:
        return (yield from claim(key, make_token(), ttl))
    except FailedPrecondition as error:
        raise TypeError(
            f"Key {quote(key, 250)!r} holds a value that is no interval of run_once(). Give each job a key "
            "of its own."
        ) from error
