"""Where a Momento API key comes from: each source answers a ``Credential`` or raises ``CredentialError``.

Knows where keys are kept, not Momento's calls. Fetching happens when a source is asked, never at import.
No message, repr or log line holds any part of a key.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .api_keys import ApiKey, Secret, SecretDocument, parse_endpoint
from .endpoint import DEFAULT_LOCAL_PORT, TLS_PORT, Endpoint
from .exceptions import CredentialError
from .options import ConnectionOptions
from .secrets_manager import describe, get_secret_value

if TYPE_CHECKING:
    from .local import LocalServer

_WHERE_ENDPOINTS_ARE = (
    "Momento's console and documentation list the endpoint of your region: set ENDPOINT in OPTIONS, or store "
    'the secret as JSON: {"api_key": "...", "endpoint": "..."}.'
)


@dataclass(frozen=True)
class Credential:
    """An API key and the hosts that it is for. ``source`` says in words where it came from."""

    api_key: Secret
    kind: str
    source: str
    cache_host: str
    control_host: str
    port: int = TLS_PORT

    @property
    def endpoint(self) -> str:
        """Where cache calls go, for people: the host, and the port unless it is that of TLS."""
        return str(Endpoint(self.cache_host, None if self.port == TLS_PORT else self.port))


def fetch(options: ConnectionOptions) -> Credential:
    """Get the API key from the configured source. Raises CredentialError."""
    return _SOURCES[options.credentials](options)


def _from_secrets_manager(options: ConnectionOptions) -> Credential:
    assert options.secret_id is not None  # noqa: S101 - options.parse() has made sure
    text, region = get_secret_value(options.secret_id, options.secret_version_stage, options.region)
    source = describe(options.secret_id, options.secret_version_stage, region)
    return _credential(text, options.endpoint, source)


def _from_environment(options: ConnectionOptions) -> Credential:
    source = f"Environment variable {options.api_key_variable}"
    text = Secret(os.environ.get(options.api_key_variable, ""))
    if not text:
        raise CredentialError(
            f"{source} is not set, or empty.",
            f"Set it to a Momento API key, and {options.endpoint_variable} to your region's endpoint.",
        )
    endpoint = options.endpoint
    # Wrapped like the key, which it is where somebody took the two for one another.
    variable = Secret(os.environ.get(options.endpoint_variable, ""))
    if endpoint is None and variable:
        try:
            endpoint = parse_endpoint(variable)
        except ValueError as error:
            raise CredentialError(
                f"Environment variable {options.endpoint_variable} {error}.", _WHERE_ENDPOINTS_ARE
            ) from None
    return _credential(text, endpoint, source)


def _from_local(options: ConnectionOptions) -> Credential:
    host, port = options.endpoint or Endpoint("127.0.0.1", DEFAULT_LOCAL_PORT)
    return Credential(Secret(""), "none", "momento-local, which needs no key", host, host, port or 0)


def _from_embedded(options: ConnectionOptions) -> Credential:
    return _embedded.credential()


class _Embedded:
    """The in-process server: one a process, started when it is first asked for.

    A forked child goes on with its parent's: gRPC cannot serve in a child of a process that served, it hangs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: LocalServer | None = None
        self._api_key = Secret("")

    def credential(self) -> Credential:
        with self._lock:
            if self._server is None:
                from .local import LocalServer

                # A key of its own, because other users of the machine can reach the port.
                self._api_key = Secret(secrets.token_urlsafe(32))
                self._server = LocalServer(api_keys=[self._api_key], create_missing_caches=True).start()
            host, port = self._server.host, self._server.port
            return Credential(
                self._api_key, "opaque", "the embedded server of this process", host, host, port
            )


_embedded = _Embedded()

_SOURCES: dict[str, Callable[[ConnectionOptions], Credential]] = {
    "secretsmanager": _from_secrets_manager,
    "env": _from_environment,
    "local": _from_local,
    "embedded": _from_embedded,
}


def _credential(text: Secret, configured: Endpoint | None, source: str) -> Credential:
    """Take a secret's text apart; a configured endpoint wins over the secret's, and that over the key's."""
    try:
        document = SecretDocument.read(text)
        key = ApiKey.read(document.key)
        named = document.endpoint or key.endpoint
        endpoint = configured or (parse_endpoint(named) if named else None)
    except ValueError as error:
        raise CredentialError(
            f"{source} {error}.",
            "It must hold a Momento API key, as plain text or as JSON with its endpoint.",
        ) from None
    if endpoint is None and key.hosts:
        return Credential(key.secret, key.kind, source, *key.hosts)
    if key.kind == "opaque" and not (endpoint and endpoint.is_plaintext):
        raise CredentialError(
            f"{source} holds something that is not a Momento API key.",
            "Store the key whole, as Momento's console gave it, or as JSON with 'api_key' and 'endpoint'.",
        )
    if endpoint is None:
        raise CredentialError(
            f"{source} holds a {key.kind} key, which names no endpoint.", _WHERE_ENDPOINTS_ARE
        )
    if endpoint.port is not None:
        return Credential(key.secret, key.kind, source, endpoint.host, endpoint.host, endpoint.port)
    return Credential(key.secret, key.kind, source, f"cache.{endpoint.host}", f"control.{endpoint.host}")
