"""Tokens of the holders of locks, and of attempts to acquire one that have no outcome."""

from __future__ import annotations

import secrets
import threading

from .. import forking

# Tokens of attempts without an outcome that a process remembers.
MAX_UNSETTLED = 1000

# A token is an integer, so that it is no value that cannot be read if somebody reads its key.
_BITS = 62


def make_token() -> bytes:
    """Return a token that no other holder has."""
    return str(secrets.randbits(_BITS)).encode()


class _Tokens:
    """Tokens of attempts to acquire a lock whose outcome is not known, because Momento did not respond.

    Such an attempt may have taken the lock. The next attempt of this process takes over its token, so that
    the process does not wait for itself.
    """

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may use a lock while its thread is in here.
        self._lock = threading.RLock()
        self._unsettled: dict[object, bytes] = {}

    def take(self, place: object) -> bytes:
        """Return the token of an earlier attempt, for one caller, or a new one."""
        with self._lock:
            return self._unsettled.pop(place, None) or make_token()

    def keep(self, place: object, token: bytes) -> None:
        """Keep the token of an attempt without an outcome for the next one."""
        with self._lock:
            self._unsettled[place] = token
            if len(self._unsettled) > MAX_UNSETTLED:
                self._unsettled.pop(next(iter(self._unsettled)), None)

    def forget(self) -> None:
        """Forget all tokens, as in a forked child: they are the parent's."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


tokens = _Tokens()
forking.register(after_in_child=tokens.forget)
