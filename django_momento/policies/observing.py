"""Make one event of each finished call of a verb, and tell the observers of it.

Nothing here runs while the process and the alias have no observers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import cache
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any

from ..client.metering import Tally
from ..clock import monotonic
from ..codec.imports import OptionError, import_dotted
from ..conf.options import CacheOptions
from ..events import CallEvent, Observer, notify, observers
from ..exceptions import ConfigurationError
from .key_groups import group_names

# The verbs that look keys up for their caller. Others look at keys for reasons of their own.
_LOOKUPS = frozenset({"get", "get_many", "has_key"})


class _Telling(threading.local):
    """Whether this thread is inside an observer. The calls of an observer make no events."""

    active = False


_telling = _Telling()


class Observed:
    """Measure one call of a verb: entering returns the tally for the client, leaving tells the observers."""

    __slots__ = ("_keys", "_options", "_started", "_tally", "_verb")

    def __init__(self, options: CacheOptions, verb: str, keys: Collection[object]) -> None:
        self._options = options
        self._verb = verb
        self._keys = keys
        self._tally = Tally()
        self._started = monotonic()

    def __enter__(self) -> Tally:
        return self._tally

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _telling.active:
            return
        options, tally, now = self._options, self._tally, monotonic()
        looks_up = self._verb in _LOOKUPS
        _telling.active = True
        try:
            event = CallEvent(
                options.alias,
                self._verb,
                group_names.find(options.alias, self._keys, load_key_group(options)),
                keys=len(self._keys),
                finished_at=now,
                seconds=now - self._started,
                requests=tally.requests,
                operations=tally.operations,
                bytes_sent=tally.bytes_sent,
                bytes_received=tally.bytes_received,
                largest=tally.largest,
                hits=tally.hits if looks_up else 0,
                misses=tally.misses if looks_up else 0,
                found=self._has_found() if kind is None else None,
                error=None if kind is None else kind.__name__,
                served_from=tally.served_from,
            )
            if observers:
                notify(event, observers)
            if options.observers:
                notify(event, load_observers(options))
        finally:
            _telling.active = False

    def _has_found(self) -> bool | None:
        """Return whether the only key existed, or None if Momento did not tell."""
        tally = self._tally
        return tally.misses == 0 if len(self._keys) == 1 and tally.hits + tally.misses else None


def load_observers(options: CacheOptions) -> list[Observer]:
    """Return the observers of OBSERVERS, the same list for equal options of an alias.

    Raises ConfigurationError if one of them cannot be imported, or is not a plain callable.
    """
    return _load_observers(options.alias, options.observers)


def load_key_group(options: CacheOptions) -> Callable[[str], object] | None:
    """Return the function that KEY_GROUP names, or None for the default. Raises ConfigurationError."""
    path = options.key_group
    return None if path is None else _load_callable(options.alias, "KEY_GROUP", path)


@cache
def _load_observers(alias: str, paths: tuple[str, ...]) -> list[Observer]:
    return [_load_callable(alias, "OBSERVERS", path) for path in paths]


@cache
def _load_callable(alias: str, option: str, path: str) -> Callable[..., Any]:
    where = f"CACHES[{alias!r}]['OPTIONS'][{option!r}]"
    try:
        found = import_dotted(path, option)
    except OptionError as error:
        raise ConfigurationError(f"{where} {error.cause}", error.fix) from error
    if not callable(found) or iscoroutinefunction(found):
        kind = "a coroutine function" if callable(found) else f"of type {type(found).__name__}"
        raise ConfigurationError(f"{where} names {path!r}, which is {kind}.", "Name a plain function.")
    function: Callable[..., Any] = found
    return function
