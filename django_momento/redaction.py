"""Keep keys out of messages, logs and error reports.

``SecretStr`` holds a string that is known to be a secret. The functions look for keys in any other text,
because a key may stand in the wrong setting, or another program may quote one. They recognize a key by its
form. A key without a form, such as a local server may accept, is redacted only if the caller names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from .interruption import is_interruption

MASK = "**********"

# Base64 of a JSON object begins so: each part of a JWT, and a legacy key as a whole. In a repr or a URL the
# character before the key may be the end of an escape.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2})|(?<=%[0-9A-Fa-f]{2}))"
_KEY = re.compile(_START + r"ey[JA][A-Za-z0-9+/=_.-]{13,}")
# In the middle of a word, only a long text is taken for a key. An escape code of a terminal ends in a letter.
_LONG_KEY = re.compile(r"ey[JA][A-Za-z0-9+_-]{13}[A-Za-z0-9+/=_.-]{24,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9+=_-]{32,}")
# A header that carries a key, as proxies and HTTP clients quote it.
_HEADER = re.compile(
    r"(\b(?:proxy-)?authorization\b['\"]?\s*[:=,]\s*['\"]?(?:(?:bearer|basic|token)\s+)?)[^\s'\",;)}\]]+",
    re.IGNORECASE,
)
# Whoever has the key of a session is its user. Django's keys of cached sessions end in it.
_SESSION_KEY = re.compile(r"(django\.contrib\.sessions\.cache(?:d_db)?)[a-z0-9]{32}")
# A user name and a password in a URL, such as that of a Redis.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#@'\"]+(?=@)")


class SecretStr(str):
    """A string whose ``repr`` is a mask, because debug pages, error trackers and logs print ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"

    @classmethod
    def from_bytes(cls, content: bytes) -> SecretStr | None:
        """Return bytes as text without a byte order mark, or None if they are not UTF-8.

        Pass the bytes without naming them: a traceback would show them as a local variable. The method
        returns None for the same reason, because a UnicodeDecodeError would hold the bytes.
        """
        try:
            return cls(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return None


def looks_like_a_key(text: str) -> bool:
    """Return whether a text contains an API key of one of Momento's forms."""
    return _KEY.search(text) is not None


def redact(text: str) -> str:
    """Return a text with a mask in place of each key, key of a session, password in a URL and random word."""
    text = _KEY.sub(MASK, _LONG_KEY.sub(MASK, _USER_INFO.sub(MASK, mask_session(text))))
    return _LONG_RUN.sub(_mask_if_random, text)


def mask_session(text: str) -> str:
    """Return a text with a mask in place of each key of a session."""
    return _SESSION_KEY.sub(rf"\g<1>{MASK}", text)


def redacted_repr(value: object) -> str:
    """Return the redacted ``repr`` of a value, for a message that refuses the value."""
    return redact(repr(value))


def quote(text: object, limit: int = 500, secrets: Iterable[str] = ()) -> str:
    r"""Return a text from outside this process so that a message can hold it.

    Everything that looks like a key is masked, and so is every one of ``secrets``. Characters that a terminal
    or a log would not print are escaped: a line feed becomes ``\n``. The result has at most ``limit``
    characters, and ends with ``...`` if something was cut. Bytes are read as UTF-8. An object without a
    working ``str()`` is shown by the name of its type.
    """
    if isinstance(text, SecretStr):
        return MASK
    if isinstance(text, bytes):
        quoted = text.decode("utf-8", "backslashreplace")
    elif type(text) is str:
        quoted = text
    else:
        try:
            quoted = str(text)
        except Exception as error:  # a foreign error's __str__ may raise anything, while it is being reported
            if is_interruption(error):
                raise
            quoted = f"<{type(text).__name__}>"
    for secret in secrets:
        quoted = quoted.replace(secret, MASK) if secret else quoted
    quoted = redact(_HEADER.sub(rf"\g<1>{MASK}", quoted))
    # Escapes are longer than the characters. The first cut keeps a huge text from being escaped as a whole.
    quoted = _escape(quoted[: limit + 1])
    return quoted if len(quoted) <= limit else quoted[: max(0, limit - 3)] + "..."[:limit]


def api_key_path(value: object) -> str | None:
    """Return the place of an API key inside a setting, such as ``['OPTIONS']['REGION']``, or None.

    The path of a text that holds a key is empty. The path of a key of a dict is that of the dict.
    """
    if isinstance(value, Mapping):
        parts = [part for name, below in value.items() for part in (("", name), (f"[{name!r}]", below))]
    elif isinstance(value, list | tuple):
        parts = [(f"[{index}]", below) for index, below in enumerate(value)]
    else:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        return "" if isinstance(text, str | PurePath) and looks_like_a_key(str(text)) else None
    for step, part in parts:
        path = api_key_path(part)
        if path is not None:
            return f"{step}{path}"
    return None


def _mask_if_random(run: re.Match[str]) -> str:
    # Names, host names and paths of that length are neither mixed in case nor hexadecimal.
    has_digit, has_upper, has_lower = (re.search(kind, run[0]) for kind in ("[0-9]", "[A-Z]", "[a-z]"))
    is_hexadecimal = re.fullmatch("[0-9a-f]+", run[0])
    is_random = has_digit and has_lower and (has_upper or is_hexadecimal)
    return MASK if is_random else run[0]


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    escaped = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return "".join(escaped)
