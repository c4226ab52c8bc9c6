"""Comparisons of the values and of the times that the two sides hold."""

from __future__ import annotations

import pickle
from typing import Any

from ..clock import monotonic
from ..interruption import is_interruption

MISSING = object()
"""The default of a read that has to tell a missing key from any value."""

# A time left that is this many seconds shorter than expected was changed. Backends round to seconds.
TOLERANCE = 1.5


def is_counter(value: Any) -> bool:
    """Return whether a value may be a counter, which OLD alone has until ``done``."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_shorter(now: float | None, before: float | None, since: float) -> bool:
    """Return whether the time left has become shorter than by the seconds that have passed."""
    if now is None:
        return False
    return before is None or now < before - (monotonic() - since) - TOLERANCE


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type. Compare objects without ``__eq__`` as pickles."""
    if one is other:
        return True
    if one is MISSING or other is MISSING or type(one) is not type(other):
        return False
    try:
        if bool(one == other):
            return True
    except Exception as error:  # as arrays of NumPy do
        if is_interruption(error):
            raise
        return bool(_pickle(one) == _pickle(other))
    return bool(_pickle(one) == _pickle(other))


def _pickle(value: Any) -> Any:
    try:
        return pickle.dumps(value)
    except Exception as error:  # a value of a backend that does not pickle
        if is_interruption(error):
            raise
        return value
