"""The types of options: allowed values, their conversion, and their spelling in a URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..codec.protection import encryption_keys
from ..endpoint import Endpoint
from ..redaction import SecretStr

T = TypeVar("T")

# About 30 years. Far beyond it, clocks and wire formats overflow.
_MAX_SECONDS = 10**9
_DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")

_BOOLEANS = {"true": True, "1": True, "yes": True, "y": True, "on": True}
_BOOLEANS |= {"false": False, "0": False, "no": False, "n": False, "off": False}

_NUMBER = r"(\d+(?:\.\d+)?)\s*"
_DURATION = re.compile(
    _NUMBER + r"(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)(?![a-z])\s*", re.ASCII
)
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(_NUMBER + r"([kmg]?)(?:i?b)?", re.ASCII)
_UNIT_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_bool(text: str) -> bool:
    """Return the boolean of ``true``, ``1``, ``yes``, ``y``, ``on`` or their opposites, in any case.

    Raises ValueError for any other text.
    """
    word = text.strip().lower()
    if word not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[word]


def parse_seconds(text: str) -> float:
    """Return the seconds of ``90``, ``30s``, ``5m``, ``1h``, ``2d``, ``500ms`` or ``1h30m``, in any case.

    Raises ValueError for any other text.
    """
    text = text.strip().lower()
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        return float(text)
    return sum(float(number) * _UNIT_SECONDS["ms" if unit == "ms" else unit[0]] for number, unit in parts)


def parse_bytes(text: str) -> int:
    """Return the bytes of ``1024``, ``64k``, ``64 kB`` or ``1MiB``, in any case; every k is 1,024.

    Raises ValueError for any other text.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    number = float(match[1]) * _UNIT_BYTES[match[2]] if match else 0.5
    if not number.is_integer():
        raise ValueError
    return int(number)


class OptionType(NamedTuple):
    """A type of option.

    ``allowed`` names the allowed values. ``convert`` returns a value as the package uses it, or raises
    ValueError; the error's text, if any, says more about this value and reads on after "it". ``from_text``
    does the same for the text of a URL, and ``in_url`` gives examples. If the type is ``secret``, no message
    may show a value, right or wrong.
    """

    allowed: str
    convert: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str
    secret: bool = False
    in_url: str = ""


def _converter(accepts: Callable[[Any], bool], convert: Callable[[Any], T]) -> Callable[[Any], T]:
    def check(value: Any) -> T:
        if not accepts(value):
            raise ValueError
        return convert(value)

    return check


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    # NumPy's numbers are Real, too.
    if isinstance(value, bool):
        return False
    if isinstance(value, timedelta):
        value = value.total_seconds()
    is_real = isinstance(value, Real)
    return is_real and bool(0 < value <= _MAX_SECONDS)


def _seconds(value: Any) -> float:
    return float(value.total_seconds() if isinstance(value, timedelta) else value)


def _is_fraction(value: Any) -> bool:
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and bool(0 <= value <= 1)


def _is_zero(value: object) -> bool:
    return (type(value) in (int, float) and value == 0) or value == timedelta(0)


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and bool(str(value)) and "\0" not in str(value)


def _existing_file(value: str | Path) -> Path:
    path = Path(value)
    # Older Pythons raise for a name that is too long, and in a folder that may not be looked into.
    with suppress(OSError):
        if path.is_file():
            return path
    raise ValueError("names no file")


def _endpoint(text: str) -> Endpoint:
    # A port in plaintext is allowed or not by the source of the credential, which only the loader knows.
    return Endpoint.parse(text, carries_key=False)


def _encryption_keys(value: Any) -> SecretStr:
    if not isinstance(value, str):
        raise ValueError
    if value != "secret":
        encryption_keys(value)
    return SecretStr(value)


def one_of(*choices: str) -> OptionType:
    """Return the type of an option with some choices."""
    return OptionType("one of " + ", ".join(map(repr, choices)), _converter(choices.__contains__, str))


def one_of_or_dotted_path(*choices: str) -> OptionType:
    """Return the type of a choice or a dotted path. Whether the path can be imported is not checked here."""

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and (value in choices or _DOTTED_PATH.fullmatch(value) is not None)

    return OptionType(
        "one of " + ", ".join(map(repr, choices)) + ", or a dotted path", _converter(accepts, str)
    )


def _dotted_path(value: object) -> str:
    if not isinstance(value, str) or _DOTTED_PATH.fullmatch(value) is None:
        raise ValueError
    return value


def _dotted_paths(value: Any) -> tuple[str, ...]:
    """Return the paths of a text with commas, or of a list or tuple."""
    if isinstance(value, str):
        value = [path.strip() for path in value.split(",")]
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(map(_dotted_path, value))


TEXT = OptionType("a string that is not empty", _converter(_is_text, str))
BOOLEAN = OptionType(
    "True or False",
    _converter(lambda value: isinstance(value, bool), bool),
    parse_bool,
    in_url="true, false, yes, no, on, off, 1, 0",
)
SECONDS = OptionType(
    "a number of seconds above 0, at most a billion, or a timedelta",
    _converter(_is_number, _seconds),
    parse_seconds,
    in_url="90, 30s, 5m, 1h, 2d, 500ms",
)
FRACTION = OptionType("a number from 0 to 1", _converter(_is_fraction, float), float, in_url="0.1")
SECONDS_OR_ZERO = OptionType(
    "a number of seconds, 0 or more, at most a billion, or a timedelta",
    _converter(lambda value: _is_number(value) or _is_zero(value), _seconds),
    parse_seconds,
    in_url="0, 2, 500ms, 1m",
)
BYTES = OptionType(
    "a whole number of bytes, 0 or more",
    _converter(lambda value: type(value) is int and value >= 0, int),
    parse_bytes,
    in_url="1024, 64k, 1KiB, 2M",
)
DOTTED_PATH = OptionType("a dotted path", _dotted_path)
DOTTED_PATHS = OptionType("dotted paths with commas between them, or a list of them", _dotted_paths)
PATH = OptionType("the path of a file", _converter(_is_path, Path))
FILE = OptionType("the path of an existing file", _converter(_is_path, _existing_file))
ENDPOINT = OptionType("a Momento endpoint, or HOST:PORT of a local server", _converter(_is_text, _endpoint))
ENCRYPTION_KEYS = OptionType(
    "base64 of 16 or 32 bytes, or several with commas between them, or 'secret'",
    _encryption_keys,
    secret=True,
)
