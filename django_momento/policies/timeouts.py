"""Timeouts in seconds, as callers give them, and TTLs in whole milliseconds, as Momento takes them."""

from __future__ import annotations

import inspect
import random
from datetime import timedelta
from operator import index
from typing import Any

from ..redaction import quote

Timeout = float | timedelta | None

# Seconds that stand for a longer wait: 31 years. An int may be too large for a float.
MAX_WAIT = 1e9


class _DefaultTimeout:
    """Stands for Django's ``DEFAULT_TIMEOUT`` in ``help()``, where that object shows as its address."""

    def __repr__(self) -> str:
        return "DEFAULT_TIMEOUT"


def to_milliseconds(timeout: object, max_ttl: float) -> int:
    """Return a timeout as a TTL of at most ``max_ttl`` seconds, in milliseconds; 0 means already expired.

    Raises TypeError if the timeout is no number, timedelta or None, and ValueError if it is no real number.
    """
    seconds = max_ttl if timeout is None else min(to_seconds(timeout), max_ttl)
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def exceeds(timeout: object, max_ttl: float) -> bool:
    """Return whether ``max_ttl`` cuts a timeout. Raises as to_milliseconds() does."""
    return timeout is None or to_seconds(timeout) > max_ttl


def to_seconds(timeout: object) -> float:
    """Return a timeout as an int or a float: a number of NumPy may overflow, and a Decimal refuses floats.

    Raises TypeError if it is neither a number nor a timedelta, and ValueError if it is NaN.
    """
    kind = type(timeout)
    if kind is int or (kind is float and timeout == timeout):
        return timeout  # type: ignore[return-value]  # one of the two
    if isinstance(timeout, timedelta):
        return timeout.total_seconds()
    try:
        return index(timeout)  # type: ignore[arg-type]  # raises TypeError
    except TypeError:
        seconds = _to_float(timeout)
    if seconds != seconds:
        raise ValueError(
            f"timeout is {quote(repr(timeout), 100)}. It must be a number of seconds, a timedelta or None."
        )
    return seconds


def shorten(ttl: int, jitter: float) -> int:
    """Return a TTL in milliseconds shortened at random by up to the fraction ``jitter``, and at least 1."""
    return max(1, round(ttl * (1 - jitter * random.random())))  # noqa: S311 - nothing secret about it


def to_whole_seconds(milliseconds: int) -> int:
    """Return a remaining time in whole seconds, rounded up: a key that exists has at least 1 second left."""
    return max(1, -(-milliseconds // 1000))


def to_duration(name: str, duration: object, max_ttl: float) -> int:
    """Return a duration that must hold as given, such as that of a lock, in milliseconds.

    Raises TypeError if it is neither a number nor a timedelta, and ValueError if it is not above 0 or exceeds
    ``max_ttl``, because a shorter one would change its meaning.
    """
    try:
        if isinstance(duration, bool):
            raise TypeError
        seconds = to_seconds(duration)
    except (TypeError, ValueError) as error:
        shown = f"{name} is {quote(repr(duration), 100)}."
        raise type(error)(f"{shown} It must be a number of seconds above 0, or a timedelta.") from None
    if not 0 < seconds <= max_ttl:
        raise ValueError(
            f"{name} is {quote(repr(duration), 100)}. It must be above 0 and at most MAX_TTL, "
            f"which is {max_ttl:.12g} seconds."
        )
    return max(1, round(seconds * 1000))


def _to_float(timeout: Any) -> float:
    # float() reads text as well, but a text in place of a number is a mistake. NumPy's has __float__().
    if isinstance(timeout, str | bytes) or not hasattr(type(timeout), "__float__"):
        hint = " Give its total_seconds()." if hasattr(timeout, "total_seconds") else ""
        raise TypeError(
            f"timeout is {quote(repr(timeout), 100)}, of type {type(timeout).__name__}. It must be a number "
            f"of seconds, a timedelta or None.{hint}"
        )
    try:
        return float(timeout)
    except (TypeError, ValueError, OverflowError) as error:
        shown = quote(repr(timeout), 100)
        raise ValueError(
            f"timeout is {shown}. It must be a number of seconds, a timedelta or None."
        ) from error


def show_default_timeout(backend: type, default: object) -> None:
    """Let ``help()`` show the name of the ``default`` of ``timeout`` in the methods of a class."""
    for function in vars(backend).values():
        if not inspect.isfunction(function):
            continue
        signature = inspect.signature(function)
        parameter = signature.parameters.get("timeout")
        if parameter is not None and parameter.default is default:
            parameters = [
                given.replace(default=_DefaultTimeout()) if given is parameter else given
                for given in signature.parameters.values()
            ]
            function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # as PEP 362 allows


def to_blocking(blocking: object) -> bool:
    """Return whether to wait for a lock. Raises TypeError if it is neither True nor False."""
    if not isinstance(blocking, bool):
        raise TypeError(
            f"blocking is {quote(repr(blocking), 100)}. It must be True or False. Give the seconds to wait "
            "as blocking_timeout."
        )
    return blocking


def to_wait(blocking_timeout: object) -> float | None:
    """Return how long to wait for a lock, in seconds, or None for as long as it takes.

    Raises TypeError or ValueError if it is not None, a number of seconds from 0, or a timedelta.
    """
    if blocking_timeout is None:
        return None
    try:
        if isinstance(blocking_timeout, bool):
            raise TypeError
        seconds = to_seconds(blocking_timeout)
        if seconds < 0:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"blocking_timeout is {quote(repr(blocking_timeout), 100)}. It must be a number of seconds from "
            "0, a timedelta or None."
        ) from None
    return min(seconds, MAX_WAIT)
