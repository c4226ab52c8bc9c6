"""The phase of a migration, which changes while processes run.

PHASE is a phase itself, ``file:PATH``, ``env:NAME``, or a callable without arguments or its dotted path. Each
process reads it again at most once a second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..clock import monotonic
from ..codec.imports import OptionError, import_dotted
from ..events import events
from ..exceptions import ConfigurationError
from ..interruption import is_interruption
from ..redaction import looks_like_a_key, quote, redacted_repr

SHADOW = "shadow"
DUAL = "dual"
DONE = "done"
PHASES = (SHADOW, DUAL, DONE)

# Seconds between two readings of the source.
PAUSE = 1.0
# Seconds for which a process in ``done`` still writes to OLD, because others read it until they see the
# change, and still repairs NEW, which takes at least ``ledger.SETTLE_SECONDS``.
LINGER = 30.0

ALLOWED = (
    "'shadow', 'dual' or 'done', 'file:' and the path of a file that holds one of them, 'env:' and the name "
    "of an environment variable, or the dotted path of a callable that returns one"
)


class PhaseSource:
    """Where the phase is read. ``in_thread`` tells that reading it must not happen in an event loop.

    Raises ConfigurationError if the spelling is wrong. It reads no file and imports no callable before the
    first reading.
    """

    def __init__(self, alias: str, spelling: object) -> None:
        self.spelling = spelling
        self._where = f"CACHES[{alias!r}]['OPTIONS']['PHASE']"
        self._path: str | None = None
        self.in_thread = False
        if callable(spelling):
            self._call: Callable[[], object] = spelling
            self.in_thread = True
            return
        # An API key in the wrong place, which the frames of a failed reading would show.
        if not isinstance(spelling, str) or looks_like_a_key(spelling):
            raise self._refuse(redacted_repr(spelling))
        kind, colon, rest = spelling.partition(":")
        if spelling in PHASES:
            self._call = lambda: spelling
        elif kind == "file" and rest:
            self._call = Path(rest).read_text
        elif kind == "env" and rest:
            self._call = lambda: os.environ[rest]
        elif not colon and "." in spelling and all(word.isidentifier() for word in spelling.split(".")):
            self._path = spelling
            self.in_thread = True
        else:
            raise self._refuse(redacted_repr(spelling))

    @property
    def is_fixed(self) -> bool:
        return self.spelling in PHASES

    def read(self) -> str:
        """Return the phase now. Raises ConfigurationError if it cannot be read or is none of the phases."""
        if self._path is not None:
            try:
                self._call, self._path = import_dotted(self._path, "PHASE"), None
            except OptionError as error:
                raise ConfigurationError(f"{self._where} {error.cause}", error.fix) from error
        try:
            found = self._call()
        except Exception as error:
            if is_interruption(error):
                raise
            raise ConfigurationError(
                f"{self._where} is {self.spelling!r}, which cannot be read "
                f"({type(error).__name__}: {quote(error)}).",
                "Make it readable, and let it hold 'shadow', 'dual' or 'done'.",
            ) from error
        phase = found.strip() if isinstance(found, str) else found
        if phase not in PHASES:
            raise ConfigurationError(
                f"{self._where} is {self.spelling!r}, which gives {redacted_repr(found)}.",
                "Let it hold 'shadow', 'dual' or 'done'.",
            )
        return str(phase)

    def _refuse(self, shown: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where} is {shown}.", f"Allowed: {ALLOWED}.")


class Phase:
    """The phase that this process knows. Its source is read at most once in ``PAUSE`` seconds."""

    def __init__(self, alias: str, source: PhaseSource) -> None:
        self._alias = alias
        self._source = source
        self._lock = threading.RLock()
        self._reader: int | None = None
        self._current: str | None = None
        self._read_at = 0.0
        self._done_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Return whether the next call of get() reads the source."""
        if self._current is None:
            return True
        return not self._source.is_fixed and monotonic() - self._read_at >= PAUSE

    @property
    def must_leave_the_loop(self) -> bool:
        """Return whether the next call of get() runs code of the site, which may block."""
        return self._source.in_thread and self.is_due

    @property
    def has_lingered(self) -> bool:
        """Return whether this process saw the change to ``done``, and does not write to OLD any more."""
        return self._done_at is not None and not self.lingers

    @property
    def lingers(self) -> bool:
        """Return whether ``done`` is so new that other processes may still read OLD."""
        return self._done_at is not None and monotonic() - self._done_at < LINGER

    def peek(self) -> str:
        """Return the phase that is known, and read the source only if there is none yet."""
        return self._current or self.get()

    def get(self) -> str:
        """Return the phase. Raises ConfigurationError if the source was never readable.

        If the source cannot be read later, return the last known phase and log a warning.
        """
        current = self._current
        if current is not None and not self.is_due:
            return current
        if current is not None:
            # One thread reads, and the others go on with the phase that is known.
            if not self._lock.acquire(blocking=False):
                return current
        else:
            self._lock.acquire()
        try:
            if self._reader is not None:  # this very thread: the callable uses the cache
                if self._current is None:
                    raise ConfigurationError(
                        f"The callable of PHASE uses the cache {self._alias!r} that it is for.",
                        "Let it use another alias, such as the one in OLD.",
                    )
                return self._current
            if self._current is not None and not self.is_due:
                return self._current
            self._reader = threading.get_ident()
            try:
                self._read()
            finally:
                self._reader = None
            return str(self._current)
        finally:
            self._lock.release()

    def _read(self) -> None:
        try:
            phase = self._source.read()
        except ConfigurationError as error:
            if self._current is None:
                raise
            self._read_at = monotonic()
            message = "the phase of the migration stays %r: %s"
            events.record(self._alias, "unreadable_phases", message, self._current, error)
            return
        before, self._current, self._read_at = self._current, phase, monotonic()
        if before is None or before == phase:
            return
        self._done_at = monotonic() if phase == DONE else None

    def expire(self) -> None:
        """Let the next call read the source."""
        self._read_at = -PAUSE

    def after_fork(self) -> None:
        """Make new locks: a thread that the child does not have may hold the old one."""
        self._lock = threading.RLock()
        self._reader = None
