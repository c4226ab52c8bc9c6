"""Read sizes and durations as a person types them: ``64M``, ``50ms``."""

from __future__ import annotations

import re

BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
MILLISECONDS = {"ms": 1, "s": 1000}


def parse_size(text: str) -> int:
    """Return a size in bytes. Raises ValueError if the text is not a size greater than 0."""
    match = re.fullmatch(r"([0-9]{1,15})([KMG]?)", text.strip().upper())
    size = int(match[1]) * BYTES[match[2]] if match else 0
    if size == 0:
        raise ValueError(
            f"{text!r} is not a size greater than 0: give bytes, or a number with K, M or G (64M)"
        )
    return size


def parse_duration(text: str) -> int:
    """Return a duration in milliseconds. Raises ValueError if the text is not a duration."""
    match = re.fullmatch(r"([0-9]{1,9}) ?(ms|s)", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a duration. Give whole milliseconds or seconds: 50ms or 1s")
    return int(match[1]) * MILLISECONDS[match[2]]
