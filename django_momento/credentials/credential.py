"""Where a Momento API key comes from: each source answers a ``Credential`` or raises ``CredentialError``.

Knows where keys are kept, not Momento's calls. Fetching happens when a source is asked, never at import, and
no process imports the modules of sources it does not use. No message, repr or log line holds part of a key.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ..conf.options import ConnectionOptions
from ..endpoint import DEFAULT_LOCAL_PORT, TLS_PORT, Endpoint
from ..exceptions import AgentUnavailable, CredentialError
from ..redaction import SecretStr, redacted_repr
from .api_key import ApiKey, SecretDocument, parse_endpoint
from .expiry import unix_seconds

logger = logging.getLogger("django_momento")

_WHERE_ENDPOINTS_ARE = (
    "Momento's console and documentation list the endpoint of your region: set ENDPOINT in OPTIONS, or store "
    'the secret as JSON: {"api_key": "...", "endpoint": "..."}.'
)


@dataclass(frozen=True)
class Credential:
    """An API key and the hosts that it is for. ``source`` says in words where it came from.

    ``expires_at`` and ``fetched_at`` are seconds since the epoch; a key that says no expiry has None.
    ``encryption_keys`` is what the secret says beside the key, as it is written there.
    """

    api_key: SecretStr
    kind: str
    source: str
    cache_host: str
    control_host: str
    port: int = TLS_PORT
    expires_at: float | None = None
    encryption_keys: SecretStr | None = None
    fetched_at: float = field(default_factory=time.time, compare=False)

    @property
    def endpoint(self) -> str:
        """Where cache calls go, for people: the host, and the port unless it is that of TLS."""
        return self.cache_host if self.port == TLS_PORT else str(Endpoint(self.cache_host, self.port))

    def same_key(self, other: Credential) -> bool:
        """Answer whether the other has the same API key."""
        return self.api_key == other.api_key

    def same_place(self, other: Credential) -> bool:
        """Answer whether the other is for the same hosts, so that a connection can stay."""
        return (self.cache_host, self.control_host, self.port) == (
            other.cache_host,
            other.control_host,
            other.port,
        )


def fetch(options: ConnectionOptions, refresh: bool = False) -> Credential:
    """Get the API key from the configured source. Raises CredentialError.

    ``refresh`` is for a key that is no longer good: what lies between this process and the source skips its
    cache. How long it takes at worst, the modules of the sources say; a callable takes what it takes.
    """
    return _SOURCES.get(options.credentials, _from_callable)(options, refresh)


def watched(options: ConnectionOptions) -> Callable[[], object] | None:
    """Answer a function that sees cheaply whether the source has changed, or None if none can.

    What it answers differs after a change, and it never raises. Call it before ``fetch``, so that a change in
    between is seen the next time.
    """
    path = options.api_key_file if options.credentials == "file" else None
    if path is None:
        return None
    from . import file

    return partial(file.version, path)


def _from_secrets_manager(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import aws, secrets_manager

    secret_id, stage = _secret_id(options), options.secret_version_stage
    text, region = secrets_manager.get_secret_value(secret_id, stage, options.region)
    return _credential(options, text, options.endpoint, str(aws.AwsSecret(secret_id, stage, region)))


def _from_agent(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import agent, aws

    secret_id, stage = _secret_id(options), options.secret_version_stage
    try:
        text, region = agent.get_secret_value(secret_id, stage, options.region, refresh)
    except AgentUnavailable as unavailable:
        if not options.agent_fallback:
            raise
        logger.warning(
            "Secrets Manager is asked with boto3, for AGENT_FALLBACK is set: %s", unavailable.cause
        )
    else:
        source = f"{aws.AwsSecret(secret_id, stage, region)}, from the agent"
        return _credential(options, text, options.endpoint, source)
    return _from_secrets_manager(options, refresh)


def _secret_id(options: ConnectionOptions) -> str:
    assert options.secret_id is not None  # noqa: S101 - options.parse() has made sure
    return options.secret_id


def _from_environment(options: ConnectionOptions, refresh: bool) -> Credential:
    source = f"Environment variable {options.api_key_variable}"
    text = SecretStr(os.environ.get(options.api_key_variable, ""))
    if not text:
        raise CredentialError(
            f"{source} is not set, or empty.",
            f"Set it to a Momento API key, and {options.endpoint_variable} to your region's endpoint.",
        )
    # Wrapped like the key, which it is where somebody took the two for one another.
    named = SecretStr(os.environ.get(options.endpoint_variable, ""))
    endpoint = _endpoint(options, named, f"Environment variable {options.endpoint_variable}")
    return _credential(options, text, endpoint, source)


def _from_file(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import file

    assert options.api_key_file is not None  # noqa: S101 - options.parse() has made sure
    source = f"File {redacted_repr(str(options.api_key_file))}"
    try:
        text = file.read(options.api_key_file)
    except ValueError as error:
        raise CredentialError(
            f"{source} {error}.",
            "API_KEY_FILE must name a file that this process may read: an API key as plain text or in JSON.",
        ) from None
    return _credential(options, text, options.endpoint, source)


def _from_callable(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import function

    text, named = function.call(options.credentials)
    source = f"Callable {options.credentials!r}"
    return _credential(options, text, _endpoint(options, named, source), source)


def _from_local(options: ConnectionOptions, refresh: bool) -> Credential:
    default = Endpoint("127.0.0.1", DEFAULT_LOCAL_PORT, secure=options.root_certificates is not None)
    hosts_and_port = (options.endpoint or default).connect_to()
    return Credential(SecretStr(""), "none", "momento-local, which needs no key", *hosts_and_port)


def _from_embedded(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import embedded

    host, port, key = embedded.server.started()
    return Credential(key, "opaque", "the embedded server of this process", host, host, port)


_SOURCES: dict[str, Callable[[ConnectionOptions, bool], Credential]] = {
    "secretsmanager": _from_secrets_manager,
    "agent": _from_agent,
    "env": _from_environment,
    "file": _from_file,
    "local": _from_local,
    "embedded": _from_embedded,
}


def _endpoint(options: ConnectionOptions, named: SecretStr | None, source: str) -> Endpoint | None:
    """Answer the configured endpoint, or else the one that a source names beside the key."""
    if options.endpoint is not None or not named:
        return options.endpoint
    try:
        return parse_endpoint(named, secure=options.root_certificates is not None)
    except ValueError as error:
        raise CredentialError(f"{source} {error}.", _WHERE_ENDPOINTS_ARE) from None


def _credential(
    options: ConnectionOptions, text: SecretStr, configured: Endpoint | None, source: str
) -> Credential:
    """Take a secret's text apart; a configured endpoint wins over the secret's, and that over the key's."""
    try:
        document = SecretDocument.read(text)
        key = ApiKey.read(document.key)
        named = document.endpoint or key.endpoint
        is_secure = options.root_certificates is not None
        endpoint = configured or (parse_endpoint(named, secure=is_secure) if named else None)
    except ValueError as error:
        raise CredentialError(
            f"{source} {error}.",
            "It must hold a Momento API key, as plain text or as JSON with its endpoint.",
        ) from None
    cache_host, control_host, port = _place(key, endpoint, source)
    return Credential(
        key.secret,
        key.kind,
        source,
        cache_host,
        control_host,
        port,
        expires_at=_expiry(source, ("its validUntil", document.expires), ("its key's exp", key.expires)),
        encryption_keys=document.encryption_key,
    )


def _place(key: ApiKey, endpoint: Endpoint | None, source: str) -> tuple[str, str, int]:
    """Answer the hosts for cache and control calls, and their port."""
    if endpoint is None and key.hosts:
        return (*key.hosts, TLS_PORT)
    # A local server, which has a port, accepts any text as a key.
    if key.kind == "opaque" and not (endpoint and endpoint.port):
        raise CredentialError(
            f"{source} holds something that is not a Momento API key.",
            "Store the key whole, as Momento's console gave it, or as JSON with 'api_key' and 'endpoint'.",
        )
    if endpoint is None:
        raise CredentialError(
            f"{source} holds a {key.kind} key, which names no endpoint.", _WHERE_ENDPOINTS_ARE
        )
    return endpoint.connect_to()


def _expiry(source: str, *written: tuple[str, object]) -> float | None:
    """Answer the earliest of the times at which a key expires. One that cannot be read costs a warning only.

    A key whose expiry is misspelled still works, and refusing it would interrupt what went well.
    """
    known = []
    for where, value in written:
        try:
            known.append(unix_seconds(value))
        except ValueError:
            logger.warning("%s: %s is not a time, so it is ignored.", source, where)
    return min((moment for moment in known if moment is not None), default=None)
