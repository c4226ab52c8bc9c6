"""Strings that show themselves to no one, and other text without what in it looks like a key.

For what is read as a secret there is ``SecretStr``. For text that only might hold one, because somebody put a
key in the wrong place or another program quotes it, there are the functions. Pure text. They look at the
form alone: a key that has none, such as a local server may accept, they cannot tell from other text.
"""

from __future__ import annotations

import re

MASK = "**********"

# Base64 of a JSON object begins so: each part of a JWT, and a legacy key as a whole.
_KEY = re.compile(r"(?<![A-Za-z0-9])ey[JA][A-Za-z0-9+/=_.-]{13,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9+=_-]{32,}")


class SecretStr(str):
    """A string that shows itself to no one: debug pages, error trackers and logs print ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"

    @classmethod
    def decoded(cls, content: bytes) -> SecretStr | None:
        """Answer bytes as text, or None if they are not UTF-8.

        Pass them without giving them a name: bytes show themselves in the frames of a traceback. For the same
        reason this does not raise.
        """
        try:
            return cls(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return None


def looks_like_a_key(text: str) -> bool:
    """Answer whether an API key of one of Momento's forms is somewhere in a text."""
    return _KEY.search(text) is not None


def redact(text: str) -> str:
    """Answer a text without what looks like a key, or like another long and random word."""
    return _LONG_RUN.sub(_masked_if_random, _KEY.sub(MASK, text))


def redacted_repr(value: object) -> str:
    """Answer the ``repr`` of a value somebody gave, for a message that says that it will not do."""
    return redact(repr(value))


def _masked_if_random(run: re.Match[str]) -> str:
    # Names, host names and paths of that length are neither.
    has_digit, has_upper, has_lower = (re.search(kind, run[0]) for kind in ("[0-9]", "[A-Z]", "[a-z]"))
    is_hexadecimal = re.fullmatch("[0-9a-f]+", run[0])
    is_random = has_digit and has_lower and (has_upper or is_hexadecimal)
    return MASK if is_random else run[0]
