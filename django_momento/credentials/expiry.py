"""When something expires, however it is written: in seconds or milliseconds since the epoch, or as ISO 8601.

Pure values. Errors show nothing of what was read: it stood beside a secret.
"""

from __future__ import annotations

from datetime import datetime, timezone

# As seconds the year 5138, as milliseconds 1973: no expiry of a key is near either.
_FIRST_IN_MILLISECONDS = 1e11
# The year 10000. Momento's servers write the largest number there is for a key that never expires.
_NEVER = 253_402_300_800.0


def unix_seconds(written: object) -> float | None:
    """Answer seconds since the epoch, or None if nothing is written, or a time that never comes.

    Takes a number, a numeric string or an ISO 8601 string, which without an offset is in UTC.
    Raises ValueError for anything else.
    """
    if written is None or written == "":
        return None
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        raise ValueError("is not a time")
    seconds = _number(written)
    if not seconds > 0:  # Not a number is not above 0 either.
        raise ValueError("is not a time")
    if seconds >= _FIRST_IN_MILLISECONDS:
        seconds /= 1000
    return seconds if seconds < _NEVER else None


def _number(written: float | str) -> float:
    try:
        return float(written)
    except OverflowError:
        return float("inf")
    except ValueError:
        pass
    # Raised again from here: the error of float() quotes what it was given.
    try:
        moment = datetime.fromisoformat(str(written).strip().replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError("is not a time")
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
