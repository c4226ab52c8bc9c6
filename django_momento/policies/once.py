"""Jobs that run once in an interval, on all machines that share a cache."""

from __future__ import annotations

from contextlib import suppress

from ..client.calls import Operation
from ..client.claims import claim, release
from ..exceptions import FailedPrecondition, MomentoCacheError
from ..interruption import is_foreign
from ..redaction import quote
from .actions import Actions, Operate
from .lock_tokens import make_token
from .timeouts import to_duration


def run_once(key: object, momento_key: bytes, every: object, max_ttl: float) -> Actions[bool]:
    """Return the actions that claim an interval for one caller, and return whether this one has it.

    Raises TypeError or ValueError if ``every`` is no duration of at most ``max_ttl`` seconds. The actions
    raise TypeError if the key holds a rate limit or another collection.
    """
    return _run_once(key, momento_key, to_duration("every", every, max_ttl))


def _run_once(key: object, momento_key: bytes, ttl: int) -> Actions[bool]:
    token = make_token()
    try:
        is_first: bool = yield Operate("run_once", (key,), _claim(momento_key, token, ttl), False)
    except GeneratorExit:  # no action can follow
        raise
    except BaseException as error:
        if is_foreign(error):
            # Interrupted, perhaps when the interval was claimed. This caller does not run the job.
            with suppress(MomentoCacheError):
                yield Operate("run_once", (key,), release(momento_key, token), False)
        raise
    return is_first


def _claim(key: bytes, token: bytes, ttl: int) -> Operation[bool]:
    try:
        return (yield from claim(key, token, ttl))
    except FailedPrecondition as error:
        raise TypeError(
            f"Key {quote(key, 250)!r} holds a value that is no interval of run_once(). Give each job a key "
            "of its own."
        ) from error
