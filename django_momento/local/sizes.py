"""Memory sizes as a person types them: ``1048576``, ``64M``, ``1G``."""

from __future__ import annotations

import re

UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def parse_size(text: str) -> int:
    """Return the bytes meant; raise ValueError for anything that is not a size greater than 0."""
    match = re.fullmatch(r"([0-9]{1,15})([KMG]?)", text.strip().upper())
    size = int(match[1]) * UNITS[match[2]] if match else 0
    if size == 0:
        raise ValueError(
            f"{text!r} is not a size greater than 0: give bytes, or a number with K, M or G (64M)"
        )
    return size
