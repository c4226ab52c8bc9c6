"""When the API key is fetched again: when Momento refused it, before it expires, when its file has changed.

One fetch at a time, and after each a cool-down, growing as long as nothing new comes of it. A fetch that
fails leaves the key in use where it is. Knows nothing of how a key is fetched or put to use: both are handed
in.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future

from ..clock import monotonic
from ..clock import wall as time
from ..credentials.credential import Credential
from ..exceptions import MomentoCacheError
from .retry import Backoff

logger = logging.getLogger("django_momento")

# Seconds of the cool-down. A key that Momento refuses may be one that is about to be replaced.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

# Seconds between two looks at a file, which are cheap but not free.
LOOK_EVERY = 1.0

# A key is replaced when a fifth of its time is left, but no sooner than ten minutes before its end.
_FRACTION_LEFT = 0.2
_LONGEST_AHEAD = 600.0

NEVER = float("inf")


class Rotation:
    """Keeps one credential fresh.

    ``fetch`` answers a new credential or raises; ``adopt`` puts it to use and answers whether it is another.
    ``watch``, if there is one, answers a token that differs after the source has changed. ``due_at`` says
    when ``look`` wants to be called, in seconds since the epoch: a plain attribute, read at every call.
    ``seen`` is what ``watch`` answered before the credential was fetched, so that no change is missed.
    """

    def __init__(
        self,
        credential: Credential,
        fetch: Callable[[], Credential],
        adopt: Callable[[Credential], bool],
        watch: Callable[[], object] | None = None,
        seen: object = None,
    ) -> None:
        self._fetch = fetch
        self._adopt = adopt
        self._watch = watch
        self._seen = seen
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None
        self._pauses = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._not_before = 0.0
        self._ahead_at = _ahead_of(credential.expires_at)
        self.replaced = 0
        self.due_at = self._next_look()

    def refreshed(self) -> Future[None] | None:
        """Fetch the key again on this thread, or answer the fetch that another has begun.

        None during the cool-down: the key that there is stands.
        """
        flight, is_ours = self._joined()
        if flight is not None and is_ours:
            self._fly(flight)
        return flight

    def arefreshed(self) -> Future[None] | None:
        """See refreshed(); on a thread of its own."""
        flight, is_ours = self._joined()
        if flight is not None and is_ours:
            self._fly_elsewhere(flight)
        return flight

    def look(self) -> None:
        """Begin a fetch in the background if the key expires soon or its source has changed."""
        if self._is_due():
            self.due_at = NEVER  # Until the fetch has ended.
            self.arefreshed()
        else:
            self.due_at = self._next_look()

    def _is_due(self) -> bool:
        if time() >= self._ahead_at:
            return True
        return self._watch is not None and self._watch() != self._seen

    def _next_look(self) -> float:
        return min(self._ahead_at, time() + LOOK_EVERY) if self._watch is not None else self._ahead_at

    def _joined(self) -> tuple[Future[None] | None, bool]:
        with self._lock:
            if self._flight is not None:
                return self._flight, False
            if monotonic() < self._not_before:
                self.due_at = min(self.due_at, time() + LOOK_EVERY)
                return None, False
            self._flight = Future()
            return self._flight, True

    def _fly_elsewhere(self, flight: Future[None]) -> None:
        thread = threading.Thread(target=self._fly, args=(flight,), name="momento-key", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads, or be about to end
            self._landed(flight, changed=False)

    def _fly(self, flight: Future[None]) -> None:
        changed = False
        try:
            # What was seen before the fetch: a change during it is then seen again.
            seen = self._watch() if self._watch is not None else None
            credential = self._fetch()
            self._seen = seen
            changed = self._adopt(credential)
            self._ahead_at = _ahead_of(credential.expires_at)
        except MomentoCacheError as error:
            logger.warning(
                "The API key of Momento could not be fetched again, so the old one stays: %s", error
            )
        except Exception:
            logger.exception("The API key of Momento could not be fetched again, so the old one stays.")
        finally:
            self._landed(flight, changed)

    def _landed(self, flight: Future[None], changed: bool) -> None:
        with self._lock:
            if changed:
                self.replaced += 1
                self._pauses.reset()
            pause = self._pauses.next()
            self._not_before = monotonic() + pause
            self._flight = None
            # A key that is due and did not change is asked for again after the cool-down.
            self.due_at = max(self._next_look(), time() + pause)
        flight.set_result(None)


def _ahead_of(expires_at: float | None) -> float:
    if expires_at is None:
        return NEVER
    left = expires_at - time()
    # Drawn, so that a fleet that started together does not ask together.
    ahead = min(left * _FRACTION_LEFT, _LONGEST_AHEAD) * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
    return expires_at - ahead
