"""Read a Momento API key in each of its three forms, and the secrets that hold keys. Text only.

A v2 key is a JWT that names no endpoint. A v1 key is a JWT that names its hosts. A legacy key is base64 of a
JSON envelope with both. No error of this module contains any part of a key.

Source: the public behaviour of Momento's SDKs (``CredentialProvider``) and Momento's Secrets Manager guide.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..endpoint import Endpoint
from ..redaction import SecretStr, looks_like_a_key, quote, redacted_repr

# The characters that an HTTP header can carry. gRPC would say "Invalid metadata" of another, at every call.
_SENDABLE = re.compile(r"[!-~]+")

# Longer than any endpoint or any name in a JSON secret, shorter than any API key of Momento's.
_MAX_QUOTED = 80
_MAX_QUOTED_NAME = 32

_BYTE_ORDER_MARK = "\ufeff"
_QUOTES = {
    "'": "single quotes (')",
    "`": "backquotes (`)",
    "\u2018": "typographic quotes (\u2018 \u2019)",
    "\u201c": "typographic quotes (\u201c \u201d)",
}
_CLOSING = {"\u2018": "\u2019", "\u201c": "\u201d"}
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,63}\s*[=:])\s*['\"]?(?=ey)")

# As seconds the year 5138, as milliseconds 1973: keys expire near neither.
_FIRST_IN_MILLISECONDS = 1e11
# The year 10000. Momento's servers write the largest number there is for a key that never expires.
_NEVER = 253_402_300_800.0


@dataclass(frozen=True)
class ApiKey:
    """An API key and its claims. ``kind`` is ``v2``, ``v1``, ``legacy`` or ``opaque``.

    ``endpoint`` is a cell's, from a legacy envelope. ``hosts`` are cache and control host, from a v1 key. An
    opaque key is not one that Momento issues. A local server may be told to accept one. ``expires`` is the
    expiry of a JWT, as it is written there.
    """

    secret: SecretStr
    kind: str
    endpoint: str | None = None
    hosts: tuple[str, str] | None = None
    expires: object = None

    def __post_init__(self) -> None:
        if not _SENDABLE.fullmatch(self.secret):
            raise ValueError("holds characters that no API key has, such as spaces or line breaks")

    @classmethod
    def read(cls, text: str) -> ApiKey:
        """Return the key, recognized by its form. Raises ValueError if the text cannot be a key."""
        if not text:
            raise ValueError("is empty")
        problem = _problem_with(text)
        if problem:
            raise ValueError(problem)
        envelope = json_object(_base64_decode(text))
        if _are_texts(envelope, "api_key", "endpoint"):
            key = SecretStr(envelope["api_key"])
            expires = _jwt_claims(key).get("exp")
            return cls(key, "legacy", endpoint=str(envelope["endpoint"]), expires=expires)
        claims = _jwt_claims(text)
        expires = claims.get("exp")
        if claims.get("t") == "g":
            return cls(SecretStr(text), "v2", expires=expires)
        if _are_texts(claims, "c", "cp"):
            hosts = str(claims["c"]), str(claims["cp"])
            return cls(SecretStr(text), "v1", hosts=hosts, expires=expires)
        return cls(SecretStr(text), "opaque", expires=expires)


@dataclass(frozen=True)
class SecretDocument:
    """The parts of a secret: the key, and its neighbours if the secret is a JSON object.

    ``expires`` is its ``validUntil`` as it is written there. ``encryption_key`` is for the codec.
    """

    key: SecretStr
    endpoint: SecretStr | None = None
    expires: object = None
    encryption_key: SecretStr | None = None

    @classmethod
    def read(cls, text: SecretStr) -> SecretDocument:
        """Return the parts of a plaintext key, or of a JSON object with ``apiKey`` or ``api_key``.

        Beside the key, the object may hold ``endpoint``, ``validUntil`` and ``encryption_key``. Raises
        ValueError. The message lists the names in the object, but not its values.
        """
        stripped = SecretStr(text.strip().strip(_BYTE_ORDER_MARK).strip())
        if not stripped.startswith(("{", "[")):
            return cls(_unquote(stripped))
        document = json_object(stripped)
        if not document:
            raise ValueError(_problem_with_json(stripped))
        name = next((name for name in ("apiKey", "api_key") if document.get(name)), None)
        if name is None:
            raise ValueError(
                "is a JSON object without an 'apiKey' or 'api_key' that is not empty; it has "
                + ", ".join(map(_quote_name, sorted(document)))
            )
        key, endpoint, encryption_key = (_text(document, it) for it in (name, "endpoint", "encryption_key"))
        return cls(key, endpoint or None, document.get("validUntil"), encryption_key or None)


def parse_endpoint(text: str, secure: bool = False) -> Endpoint:
    """Return an endpoint found in a secret or in the environment. Raises ValueError if it is malformed.

    With a port, ``secure`` means TLS.
    """
    try:
        return Endpoint.parse(text, secure=secure)
    except ValueError as error:
        given = redacted_repr(str(text)) if len(text) <= _MAX_QUOTED else f"of {len(text)} characters"
        raise ValueError(f"names the endpoint {given}, which {error}") from None


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object with each string in it wrapped, or an empty dict if the text is anything else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {SecretStr(name): _wrap(value) for name, value in document.items()}


def unix_seconds(written: object) -> float | None:
    """Return an expiry as seconds since the epoch, or None if the key does not expire.

    Takes seconds or milliseconds as a number or as text, or an ISO 8601 text. If that lacks an offset, it is
    in UTC. Raises ValueError for anything else. The message does not quote the text, which stood beside a
    key.
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


def _problem_with(text: str) -> str:
    """Return the mistake that was made when a key was stored, or an empty text if the text looks right."""
    lines = text.split("\n")
    if len(lines) > 1:
        keys = sum(looks_like_a_key(line) for line in lines)
        held = f"{keys} API keys on {len(lines)} lines" if keys > 1 else f"{len(lines)} lines of text"
        return f"holds {held}, and must hold one API key on one line"
    for opening, name in _QUOTES.items():
        if text.startswith(opening) or text.endswith(_CLOSING.get(opening, opening)):
            inside = "a JSON object" if text[1:2] == "{" else "the API key"
            return f"has {name} around {inside}, which must stand there without them"
    if text.startswith('"') or text.endswith('"'):
        return 'has a double quote (") on one side of the API key, which must stand there without it'
    if text.startswith(("Bearer ", "bearer ")):
        return "begins with 'Bearer', and must hold the API key alone"
    assignment = _ASSIGNMENT.match(text)
    if assignment:
        return f"begins with {_quote_name(assignment[1])}, and must hold the API key alone"
    return ""


def _problem_with_json(text: SecretStr) -> str:
    try:
        document = json.loads(text)
    except RecursionError:
        return "looks like JSON, but is nested too deeply"
    except ValueError as error:
        # The message and the place, because str() of another error could quote the text.
        place = ""
        if isinstance(error, json.JSONDecodeError):
            place = f" ({error.msg}, line {error.lineno}, column {error.colno})"
        hint = "; its texts are in single quotes, where JSON has double quotes" if "{'" in text else ""
        return f"looks like JSON, but is not valid{quote(place)}{hint}"
    if isinstance(document, list):
        return "is a JSON array, and must be an API key or a JSON object"
    return "is a JSON object with nothing in it"


def _unquote(text: SecretStr) -> SecretStr:
    """Return a key without the double quotes around it, which a JSON text has."""
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    inner = SecretStr(text[1:-1].strip())
    if inner.startswith("{"):
        raise ValueError('is a JSON object in double quotes ("), and must stand there without them')
    return inner


def _quote_name(name: str) -> str:
    # Somebody who takes the two fields of AWS's console for one another has the key as a name.
    is_short = len(name) <= _MAX_QUOTED_NAME
    return redacted_repr(str(name)) if is_short else f"a name of {len(name)} characters"


def _text(document: dict[str, Any], name: str) -> SecretStr:
    text = document.get(name) or SecretStr("")
    if not isinstance(text, SecretStr):
        raise ValueError(f"has an {name!r} that is not a string")
    return SecretStr(text.strip())


def _are_texts(document: dict[str, Any], *names: str) -> bool:
    return all(isinstance(document.get(name), str) and document[name] for name in names)


def _base64_decode(text: str) -> SecretStr:
    try:
        return SecretStr(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return SecretStr("")


def _jwt_claims(text: str) -> dict[str, Any]:
    # Momento checks the signature. A client reads the claims only to know where to connect.
    parts = [SecretStr(part) for part in text.split(".")]
    if len(parts) != 3:
        return {}
    padded = SecretStr(parts[1] + "=" * (-len(parts[1]) % 4))
    try:
        return json_object(SecretStr(base64.urlsafe_b64decode(padded).decode()))
    except (binascii.Error, ValueError):
        return {}


def _wrap(value: Any) -> Any:
    # At once, because a traceback would show the key in local variables. Nested values are not needed.
    if isinstance(value, list | dict):
        return bool(value)
    return SecretStr(value) if isinstance(value, str) else value


def _number(written: float | str) -> float:
    try:
        return float(written)
    except OverflowError:
        return float("inf")
    except ValueError:
        pass
    # Raised here, because the error of float() quotes its argument.
    try:
        moment = datetime.fromisoformat(str(written).strip().replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError("is not a time")
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except OverflowError:  # an offset that leads out of the years 1 to 9999
        return float("nan")
