"""What a Momento API key is: its three forms, and the secrets they are kept in. Pure text, no I/O.

A v2 key is a JWT that names no endpoint; a v1 key, a JWT that names its hosts; a legacy key, base64 of a JSON
envelope with both. Errors raised here never contain any part of what was read.

Source: the public behaviour of Momento's SDKs (``CredentialProvider``) and Momento's Secrets Manager guide.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from ..endpoint import Endpoint
from ..redaction import SecretStr, redacted_repr

# What an HTTP header can carry. Of any other key gRPC would only say "Invalid metadata", at every call.
_SENDABLE = re.compile(r"[!-~]+")

# Longer than any endpoint or any name in a JSON secret, shorter than any API key of Momento's.
_LONGEST_SHOWN = 80
_LONGEST_NAME_SHOWN = 32


@dataclass(frozen=True)
class ApiKey:
    """An API key and what it says of itself. ``kind`` is ``v2``, ``v1``, ``legacy`` or ``opaque``.

    ``endpoint`` is a cell's, from a legacy envelope; ``hosts`` are cache and control host, from a v1 key.
    An opaque key is not one that Momento issues, but one that a local server may be told to accept.
    ``expires`` is when a JWT says that it does, as it is written there.
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
        """Recognize a key by its form. Raises ValueError for what cannot be one."""
        if not text:
            raise ValueError("is empty")
        envelope = json_object(_base64_decoded(text))
        if _texts(envelope, "api_key", "endpoint"):
            key = SecretStr(envelope["api_key"])
            expires = _jwt_claims(key).get("exp")
            return cls(key, "legacy", endpoint=str(envelope["endpoint"]), expires=expires)
        claims = _jwt_claims(text)
        expires = claims.get("exp")
        if claims.get("t") == "g":
            return cls(SecretStr(text), "v2", expires=expires)
        if _texts(claims, "c", "cp"):
            hosts = str(claims["c"]), str(claims["cp"])
            return cls(SecretStr(text), "v1", hosts=hosts, expires=expires)
        return cls(SecretStr(text), "opaque", expires=expires)


@dataclass(frozen=True)
class SecretDocument:
    """A secret's text taken apart: the key, and what came with it if it is a JSON object.

    ``expires`` is its ``validUntil`` as it is written there; ``encryption_key`` is for the codec.
    """

    key: SecretStr
    endpoint: SecretStr | None = None
    expires: object = None
    encryption_key: SecretStr | None = None

    @classmethod
    def read(cls, text: SecretStr) -> SecretDocument:
        """Read a plaintext key, or a JSON object with ``apiKey`` or ``api_key``.

        Beside it there may be ``endpoint``, ``validUntil`` and ``encryption_key``. Raises ValueError, saying
        what is missing and which names there are, but no value.
        """
        stripped = SecretStr(text.strip())
        if not stripped.startswith("{"):
            return cls(SecretStr(stripped.strip('"').strip()))
        document = json_object(stripped)
        if not document:
            raise ValueError("looks like JSON, but is not valid or has nothing in it")
        name = next((name for name in ("apiKey", "api_key") if document.get(name)), None)
        if name is None:
            raise ValueError(
                "is a JSON object without an 'apiKey' or 'api_key' that is not empty; it has "
                + ", ".join(map(_shown_name, sorted(document)))
            )
        key, endpoint, encryption_key = (_text(document, it) for it in (name, "endpoint", "encryption_key"))
        return cls(key, endpoint or None, document.get("validUntil"), encryption_key or None)


def parse_endpoint(text: str, secure: bool = False) -> Endpoint:
    """Return an endpoint found in a secret or in the environment. Raises ValueError, which says the reason.

    With a port, ``secure`` means TLS.
    """
    try:
        return Endpoint.parse(text, secure=secure)
    except ValueError as error:
        given = redacted_repr(str(text)) if len(text) <= _LONGEST_SHOWN else f"of {len(text)} characters"
        raise ValueError(f"names the endpoint {given}, which {error}") from None


def _shown_name(name: str) -> str:
    # Whoever takes the two fields of AWS's console for one another has the key where a name should be.
    return (
        redacted_repr(str(name)) if len(name) <= _LONGEST_NAME_SHOWN else f"a name of {len(name)} characters"
    )


def _text(document: dict[str, Any], name: str) -> SecretStr:
    text = document.get(name) or SecretStr("")
    if not isinstance(text, SecretStr):
        raise ValueError(f"has an {name!r} that is not a string")
    return SecretStr(text.strip())


def _texts(document: dict[str, Any], *names: str) -> bool:
    return all(isinstance(document.get(name), str) and document[name] for name in names)


def _base64_decoded(text: str) -> str:
    try:
        return SecretStr(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return ""


def _jwt_claims(text: str) -> dict[str, Any]:
    # The signature is Momento's to check; a client reads the claims only to know where to connect.
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        return json_object(base64.urlsafe_b64decode(padded).decode())
    except (binascii.Error, ValueError):
        return {}


def json_object(text: str) -> dict[str, Any]:
    """Answer a JSON object with every string in it wrapped, or an empty one if the text is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {SecretStr(name): _wrapped(value) for name, value in document.items()}


def _wrapped(value: Any) -> Any:
    # At once, so that no local variable on the way shows a key. Of what is nested no more is needed.
    if isinstance(value, list | dict):
        return bool(value)
    return SecretStr(value) if isinstance(value, str) else value
