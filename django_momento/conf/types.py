"""The types that an option can have: what each allows, how a value is checked, how text spells it.

A check answers the value as the rest of the package wants it, or raises ValueError, whose words (if any) say
what is wrong with the value in particular. Nothing here does I/O, but for a look whether a named file exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..codec.protection import encryption_keys
from ..endpoint import Endpoint
from ..redaction import SecretStr
from . import spelling

T = TypeVar("T")

# About 30 years. Far beyond it, clocks and wire formats overflow.
_MOST_SECONDS = 10**9
_DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class OptionType(NamedTuple):
    """A type of option: what it allows, how a value is checked, how a URL spells it.

    ``from_text`` raises ValueError for what it cannot read; ``in_url`` has examples of what it can. No
    message may show a value that is ``secret``, be it right or wrong.
    """

    allowed: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str
    secret: bool = False
    in_url: str = ""


def _checked_by(accepts: Callable[[Any], bool], convert: Callable[[Any], T]) -> Callable[[Any], T]:
    def check(value: Any) -> T:
        if not accepts(value):
            raise ValueError
        return convert(value)

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST_SECONDS


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and bool(str(value)) and "\0" not in str(value)


def _existing_file(value: str | Path) -> Path:
    path = Path(value)
    # Older Pythons raise for a name that is too long, and in a folder that may not be looked into.
    with suppress(OSError):
        if path.is_file():
            return path
    raise ValueError("names no file")


def _encryption_keys(value: Any) -> SecretStr:
    if not isinstance(value, str):
        raise ValueError
    if value != "secret":
        encryption_keys(value)
    return SecretStr(value)


def one_of(*choices: str) -> OptionType:
    return OptionType("one of " + ", ".join(map(repr, choices)), _checked_by(choices.__contains__, str))


def one_of_or_dotted_path(*choices: str) -> OptionType:
    """A choice, or the dotted path of something to import; whether it can be imported shows when it is."""

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and (value in choices or _DOTTED_PATH.fullmatch(value) is not None)

    return OptionType(
        "one of " + ", ".join(map(repr, choices)) + ", or a dotted path", _checked_by(accepts, str)
    )


TEXT = OptionType(
    "a string that is not empty", _checked_by(lambda value: isinstance(value, str) and bool(value), str)
)
BOOLEAN = OptionType(
    "True or False",
    _checked_by(lambda value: isinstance(value, bool), bool),
    spelling.switch,
    in_url="true, false, yes, no, on, off, 1, 0",
)
SECONDS = OptionType(
    "a number of seconds above 0, at most a billion",
    _checked_by(_is_number, float),
    spelling.seconds,
    in_url="90, 30s, 5m, 1h, 2d, 500ms",
)
FILE = OptionType(
    "the path of an existing file",
    _checked_by(_is_path, _existing_file),
)
ENDPOINT = OptionType(
    "a Momento endpoint, or HOST:PORT on loopback",
    _checked_by(lambda value: isinstance(value, str) and bool(value), Endpoint.parse),
)
PATH = OptionType(
    "the path of a file",
    _checked_by(_is_path, Path),
)
BYTES = OptionType(
    "a whole number of bytes, 0 or more",
    _checked_by(lambda value: type(value) is int and value >= 0, int),
    spelling.size,
    in_url="1024, 64k, 1KiB, 2M",
)
ENCRYPTION_KEYS = OptionType(
    "base64 of 16 or 32 bytes, or several with commas between them, or 'secret'",
    _encryption_keys,
    secret=True,
)
