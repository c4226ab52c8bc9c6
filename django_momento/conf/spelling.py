"""Switches, durations and sizes as people write them in a URL: ``yes``, ``30s``, ``64k``.

Each function reads one text and raises ValueError, without words, for what it cannot read. Pure text; what a
value may be is for ``kinds`` to say.
"""

from __future__ import annotations

import re

_SWITCHES = {"true": True, "1": True, "yes": True, "y": True, "on": True}
_SWITCHES |= {"false": False, "0": False, "no": False, "n": False, "off": False}

_NUMBER = r"(\d+(?:\.\d+)?)\s*"
_DURATION = re.compile(
    _NUMBER + r"(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)(?![a-z])\s*", re.ASCII
)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(_NUMBER + r"([kmg]?)(?:i?b)?", re.ASCII)
_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def switch(text: str) -> bool:
    """Read ``true``, ``1``, ``yes``, ``y``, ``on`` or their opposites, in any case."""
    word = text.strip().lower()
    if word not in _SWITCHES:
        raise ValueError
    return _SWITCHES[word]


def seconds(text: str) -> float:
    """Read ``90``, ``30s``, ``5m``, ``1h``, ``2d``, ``500ms`` or ``1h30m``, in any case."""
    text = text.strip().lower()
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        return float(text)
    return sum(float(number) * _SECONDS["ms" if unit == "ms" else unit[0]] for number, unit in parts)


def size(text: str) -> int:
    """Read ``1024``, ``64k``, ``64 kB`` or ``1MiB`` as bytes, in any case; every k is 1,024."""
    match = _SIZE.fullmatch(text.strip().lower())
    number = float(match[1]) * _BYTES[match[2]] if match else 0.5
    if not number.is_integer():
        raise ValueError
    return int(number)
