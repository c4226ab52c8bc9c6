"""When the API key is fetched: at first, when Momento refuses it, before it expires, when its file changes.

There is one fetch at a time, and after each a pause, which grows as long as no other key comes of it. A fetch
that fails leaves the key in use where it is. How a key is fetched and put to use is handed in.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from functools import partial

from ..clock import monotonic, wall
from ..credentials import boundary
from ..credentials.credential import Credential, log_warnings
from ..exceptions import CredentialError, MomentoCacheError
from ..interruption import raise_foreign
from .retry import Backoff
from .single_flight import Overdue, OwnFlight, SingleFlight

logger = logging.getLogger("django_momento")

# Seconds between two fetches. A key that Momento refuses may be one that is about to be replaced.
INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 60.0

# Seconds beyond a fetch that a caller waits until another thread has put the key to use.
MAX_WARM_UP = 5.0

# Seconds between two looks at a file, which are cheap but not free.
LOOK_EVERY = 1.0

# A key is replaced when a fifth of its time is left, but at most ten minutes before its end.
_FRACTION_LEFT = 0.2
_MAX_AHEAD = 600.0

NEVER = float("inf")


class Rotation:
    """Keeps one credential fresh, from its first fetch on.

    ``fetch(refresh)`` returns a new credential or raises; ``refresh`` says that the last one was refused.
    ``use(credential, cache)`` puts it to use and returns whether it replaced another. ``source_version``, if
    there is one, returns a token that differs after the source has changed. ``due_at`` says when
    ``refresh_if_due`` wants to be called, in seconds since the epoch: a plain attribute, read at every call.
    ``name`` names the source in errors.
    """

    def __init__(
        self,
        fetch: Callable[[bool], Credential],
        use: Callable[[Credential, str], bool],
        source_version: Callable[[], object] | None = None,
        name: str = "the source of the API key",
    ) -> None:
        self._fetch = fetch
        self._use = use
        self._source_version = source_version
        self._name = name
        self._seen_version: object = None
        self._has_credential = False
        self._flight: SingleFlight[None] = SingleFlight(
            self._run_refresh, "momento-key", lambda: boundary.FETCH_TIMEOUT + MAX_WARM_UP
        )
        self._backoff = Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
        self._not_before = 0.0
        self._suspicion_backoff = Backoff(INITIAL_BACKOFF, MAX_BACKOFF)
        self._not_suspected_before = 0.0
        self._ahead_at = NEVER
        self._last_error: Exception | None = None
        # Whether the fetch that is going on used the cache that it is for.
        self._has_used_itself = False
        # The number of fetches that gave a key.
        self._fetched = 0
        self.replaced = 0
        self.due_at = NEVER

    @property
    def is_fetching(self) -> bool:
        """Whether a fetch is going on."""
        return self._flight.is_running

    def refresh(self, cache: str, *, is_first: bool = False, is_urgent: bool = False) -> None:
        """Fetch the key on this thread, or wait for the fetch that another has begun.

        During the pause after a fetch nothing is done, unless ``is_urgent``: the key in use stands. A caller
        that saw no key says ``is_first``, and needs no fetch if another has ended meanwhile. Raises
        CredentialError if there is no key to use.
        """
        seen = 0 if is_first else self._fetched
        if self._may_refresh(is_urgent):
            try:
                self._flight.run(cache, False, seen)
            except OwnFlight:
                raise self._own_flight_error() from None
            except Overdue:
                raise self._overdue_error() from None

    async def arefresh(self, cache: str, *, is_first: bool = False, is_urgent: bool = False) -> None:
        """See refresh(). The key is fetched on a thread of its own, and the event loop goes on."""
        seen = 0 if is_first else self._fetched
        if self._may_refresh(is_urgent):
            try:
                await self._flight.arun(cache, False, seen)
            except OwnFlight:
                raise self._own_flight_error() from None
            except Overdue:
                raise self._overdue_error() from None
            except (RuntimeError, MemoryError) as error:
                raise CredentialError(f"No thread could be started to fetch the API key: {error}.") from error

    def refresh_if_due(self, cache: str) -> None:
        """Begin a fetch in the background if the key expires soon or its source has changed."""
        seen = self._fetched
        if not self._is_due():
            self.due_at = self._next_look()
        elif self._may_refresh(False):
            has_begun = False
            self.due_at = NEVER  # Until the fetch has ended.
            try:
                has_begun = self._flight.run_in_background(cache, False, seen)
            finally:
                if not has_begun:
                    self.due_at = wall() + LOOK_EVERY

    def refresh_in_background(self, cache: str) -> None:
        """Begin a fetch because calls fail as they do if the source names a wrong endpoint.

        Such fetches have pauses of their own, so that a key that is refused later is fetched at once.
        """
        if self._has_credential and monotonic() >= self._not_suspected_before:
            self._flight.run_in_background(cache, True)

    def log_afterwards(self, write: Callable[[], object]) -> None:
        """Write a log line after the fetch that is going on, because its handler may use the cache."""
        self._flight.after(write)

    def _may_refresh(self, is_urgent: bool) -> bool:
        pause = self._not_before - monotonic()
        if pause <= 0 or is_urgent or self._flight.is_running:
            return True
        if not self._has_credential:
            raise self._paused_error(pause)
        self.due_at = min(self.due_at, wall() + LOOK_EVERY)
        return False

    def _is_due(self) -> bool:
        if wall() >= self._ahead_at:
            return True
        return self._source_version is not None and self._source_version() != self._seen_version

    def _next_look(self) -> float:
        return min(self._ahead_at, wall() + LOOK_EVERY) if self._source_version else self._ahead_at

    def _run_refresh(self, cache: str, is_suspicion: bool = False, seen: int | None = None) -> None:
        """Fetch the key and put it to use, unless one was fetched since the caller had ``seen`` so many.

        Raises the error of a fetch only if there is no key to use, or if the fetch used the cache itself: a
        callable that does so is a fault of the program, which a log line alone would hide. An interruption
        is raised as it is, and no pause follows it, because it says nothing of the source.
        """
        if seen is not None and seen != self._fetched:
            return  # Another fetch has ended just before this one began.
        was_first, is_fetched = not self._has_credential, False
        self._has_used_itself = False
        try:
            has_replaced, problem = False, None
            try:
                # Read before the fetch: a change during it is then seen again.
                version = self._source_version() if self._source_version is not None else None
                credential = self._fetch(self._has_credential)
                is_fetched = True
                if credential.warnings:
                    self._flight.after(partial(log_warnings, credential))
                self._seen_version = version
                has_replaced = self._use(credential, cache)
                self._has_credential = True
                self._fetched += 1
                self._ahead_at = _ahead_of(credential.expires_at)
            except Exception as error:  # noqa: BLE001 - it is raised or logged
                raise_foreign(error)
                problem = error
            self._finish_refresh(has_replaced, problem, was_first, is_suspicion)
        except BaseException:
            if is_fetched:
                # The key may be in use without having been recorded. The next call fetches it once more.
                self._ahead_at = 0.0
            self.due_at = self._next_look()
            raise
        if problem is not None and (was_first or self._has_used_itself):
            raise problem

    def _finish_refresh(
        self, has_replaced: bool, problem: Exception | None, was_first: bool, is_suspicion: bool
    ) -> None:
        """Record the end of a fetch, and the pause until the next."""
        self._last_error = problem
        if is_suspicion and not has_replaced:
            self._not_suspected_before = monotonic() + self._suspicion_backoff.next()
            if problem is not None:
                self._log(problem)
            return
        self._suspicion_backoff.reset()
        if has_replaced:
            self.replaced += 1
        if has_replaced or (was_first and problem is None):
            self._backoff.reset()
        pause = 0.0 if was_first and problem is None else self._backoff.next()
        self._not_before = monotonic() + pause
        # A key that is due and did not change is asked for again after the pause.
        self.due_at = max(self._next_look(), wall() + pause) if self._has_credential else NEVER
        if problem is not None and not was_first:
            self._log(problem)

    def _log(self, problem: Exception) -> None:
        text = "The API key of Momento could not be fetched again, so the old one stays."
        if isinstance(problem, MomentoCacheError):
            self._flight.after(lambda: logger.warning("%s: %s", text.rstrip("."), problem))
        else:
            self._flight.after(lambda: logger.error(text, exc_info=problem))

    def _own_flight_error(self) -> CredentialError:
        self._has_used_itself = True
        return CredentialError(
            f"The API key is being fetched by {self._name}, which uses this very cache and has to wait.",
            "Use another cache, or none, in the callable that CREDENTIALS names and in its log handlers.",
        )

    def _overdue_error(self) -> CredentialError:
        return CredentialError(
            f"The API key that another thread fetches from {self._name} is not in use yet.",
            "Look for a log handler that uses the cache while it handles a line about the fetch.",
        )

    def _paused_error(self, pause: float) -> CredentialError:
        last = self._last_error
        cause = getattr(last, "cause", None) or f"The API key could not be fetched ({type(last).__name__})."
        return CredentialError(
            f"{cause} It is tried again in {max(pause, 0.1):.1f} s.", getattr(last, "fix", "")
        )


def _ahead_of(expires_at: float | None) -> float:
    if expires_at is None:
        return NEVER
    left = expires_at - wall()
    # Drawn, so that a fleet that started together does not ask together.
    ahead = min(left * _FRACTION_LEFT, _MAX_AHEAD) * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
    return expires_at - ahead
