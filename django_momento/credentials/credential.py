"""Fetch a Momento API key: each source returns a ``Credential`` or raises ``CredentialError``.

A process imports only the module of the source that it uses, with the first fetch. No message, repr or log
record holds any part of a key.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ..clock import wall
from ..conf.options import ConnectionOptions
from ..endpoint import DEFAULT_LOCAL_PORT, TLS_PORT, Endpoint
from ..exceptions import AgentUnavailable, CredentialError
from ..redaction import SecretStr, redacted_repr
from . import boundary
from .api_key import ApiKey, SecretDocument, parse_endpoint, unix_seconds

logger = logging.getLogger("django_momento")

_ENDPOINTS = "Momento's console and documentation list the endpoint of your region"
_SET_ENDPOINT = (
    f"{_ENDPOINTS}: set ENDPOINT in OPTIONS, or store the secret as JSON: "
    '{"api_key": "...", "endpoint": "..."}.'
)
_READ_FILES_FASTER = "Put API_KEY_FILE on a file system that responds: a network file system may be down."


@dataclass(frozen=True)
class Credential:
    """An API key and the hosts that it is for. ``source`` names its source in words.

    ``expires_at`` and ``fetched_at`` are seconds since the epoch. ``expires_at`` is None if the key does not
    expire. ``encryption_keys`` are those beside the key in the secret, as they are written there.
    ``warnings`` are for the log. Log them after the fetch, when callers do not wait for it any more: a log
    handler may use the cache.
    """

    api_key: SecretStr
    kind: str
    source: str
    cache_host: str
    control_host: str
    port: int = TLS_PORT
    expires_at: float | None = None
    encryption_keys: SecretStr | None = None
    fetched_at: float = field(default_factory=wall, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def endpoint(self) -> str:
        """The address of cache calls for messages: the host, and the port unless it is that of TLS."""
        return self.cache_host if self.port == TLS_PORT else str(Endpoint(self.cache_host, self.port))

    def same_key(self, other: Credential) -> bool:
        """Return whether the other has the same API key."""
        return self.api_key == other.api_key

    def same_place(self, other: Credential) -> bool:
        """Return whether the other is for the same hosts, so that a connection can stay."""
        return (self.cache_host, self.control_host, self.port) == (
            other.cache_host,
            other.control_host,
            other.port,
        )


def fetch(options: ConnectionOptions, refresh: bool = False) -> Credential:
    """Return the API key from the configured source. Raises CredentialError.

    ``refresh`` is for a key that Momento refused or that expires: an agent then skips its cache. Takes at
    most boundary.FETCH_TIMEOUT seconds, because the source runs on a thread of its own.
    """
    if options.credentials in _IMMEDIATE_SOURCES:
        immediate = partial(_IMMEDIATE_SOURCES[options.credentials], options)
        return boundary.run_here(f"CREDENTIALS {options.credentials!r}", immediate)
    source = SOURCES.get(options.credentials, _from_callable)
    name, hint = _describe(options)
    return boundary.run_source(name, partial(source, options, refresh), hint)


def log_warnings(credential: Credential) -> None:
    """Log the warnings of a fetch. Call it when callers do not wait for the fetch any more."""
    for warning in credential.warnings:
        logger.warning(warning)


def version_reader(options: ConnectionOptions) -> Callable[[], object] | None:
    """Return a cheap function whose result changes when the source changes, or None if only a fetch can tell.

    The function never raises. Call it before ``fetch``, so that a change in between is seen the next time.
    """
    path = options.api_key_file if options.credentials == "file" else None
    if path is None:
        return None
    from . import file

    return partial(file.version, path)


def _describe(options: ConnectionOptions) -> tuple[str, str]:
    """Return the name of a source for messages, and the advice for a source that is too slow."""
    match options.credentials:
        case "secretsmanager":
            from . import secrets_manager

            return _secret_name(options, options.region), secrets_manager.HINT
        case "agent":
            from . import agent

            return f"{_secret_name(options, options.region)}, from the agent,", agent.HINT
        case "file":
            return _file_name(options), _READ_FILES_FASTER
        case path:
            from . import function

            return f"Callable {path!r}", function.BE_QUICKER


def _from_secrets_manager(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import secrets_manager

    secret_id, stage = _secret_id(options), options.secret_version_stage
    text, region = secrets_manager.get_secret_value(secret_id, stage, options.region, options.secret_role)
    return _credential(options, text, options.endpoint, _secret_name(options, region))


def _from_agent(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import agent

    secret_id, stage = _secret_id(options), options.secret_version_stage
    try:
        text, region = agent.get_secret_value(
            secret_id, stage, options.region, refresh=refresh, role=options.secret_role
        )
    except AgentUnavailable as unavailable:
        if not options.agent_fallback:
            raise
        warning = f"boto3 read the secret, because AGENT_FALLBACK is set: {unavailable.cause}"
    else:
        return _credential(
            options, text, options.endpoint, f"{_secret_name(options, region)}, from the agent"
        )
    credential = _from_secrets_manager(options, refresh)
    return replace(credential, warnings=(warning, *credential.warnings))


def _secret_id(options: ConnectionOptions) -> str:
    assert options.secret_id is not None  # noqa: S101 - the parser of options requires it
    return options.secret_id


def _secret_name(options: ConnectionOptions, region: str | None) -> str:
    from . import aws

    secret_id, role = _secret_id(options), options.secret_role
    region = aws.region_of(secret_id, region)
    return str(aws.AwsSecret(secret_id, options.secret_version_stage, region, role))


def _from_environment(options: ConnectionOptions) -> Credential:
    source = f"Environment variable {options.api_key_variable}"
    text = SecretStr(os.environ.get(options.api_key_variable, ""))
    if not text:
        raise CredentialError(
            f"{source} is not set, or empty.",
            f"Set it to a Momento API key, and {options.endpoint_variable} to your region's endpoint.",
        )
    # Wrapped like the key, because somebody may take one variable for the other.
    named = SecretStr(os.environ.get(options.endpoint_variable, "").strip())
    fix = f"{_ENDPOINTS}: set environment variable {options.endpoint_variable} to it, or ENDPOINT in OPTIONS."
    endpoint = _endpoint(options, named, f"Environment variable {options.endpoint_variable}", fix)
    return _credential(options, text, endpoint, source, fix)


def _from_file(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import file

    assert options.api_key_file is not None  # noqa: S101 - the parser of options requires it
    source = _file_name(options)
    try:
        text = file.read(options.api_key_file)
    except ValueError as error:
        raise CredentialError(
            f"{source} {error}.",
            "API_KEY_FILE must name a file that this process may read: an API key as plain text or in JSON.",
        ) from None
    return _credential(options, text, options.endpoint, source)


def _file_name(options: ConnectionOptions) -> str:
    return f"File {redacted_repr(str(options.api_key_file))}"


def _from_callable(options: ConnectionOptions, refresh: bool) -> Credential:
    from . import function

    text, named = function.call(options.credentials)
    source = f"Callable {options.credentials!r}"
    fix = f"{_ENDPOINTS}: return a tuple of the key and the endpoint, or set ENDPOINT in OPTIONS."
    return _credential(options, text, _endpoint(options, named, source, fix), source, fix)


def _from_local(options: ConnectionOptions) -> Credential:
    default = Endpoint("127.0.0.1", DEFAULT_LOCAL_PORT, secure=options.root_certificates is not None)
    hosts_and_port = (options.endpoint or default).connect_to()
    return Credential(SecretStr(""), "none", "momento-local, which needs no key", *hosts_and_port)


def _from_embedded(options: ConnectionOptions) -> Credential:
    from . import embedded

    host, port, key = embedded.server.start()
    return Credential(key, "opaque", "the embedded server of this process", host, host, port)


# By the name in CREDENTIALS. A source takes the options, and whether the key was refused or expires.
SOURCES: dict[str, Callable[[ConnectionOptions, bool], Credential]] = {
    "secretsmanager": _from_secrets_manager,
    "agent": _from_agent,
    "file": _from_file,
}
# These do not wait for other machines, so they run on the caller's thread.
_IMMEDIATE_SOURCES: dict[str, Callable[[ConnectionOptions], Credential]] = {
    "env": _from_environment,
    "local": _from_local,
    "embedded": _from_embedded,
}


def _endpoint(options: ConnectionOptions, named: SecretStr | None, source: str, fix: str) -> Endpoint | None:
    """Return the configured endpoint, or else the one that a source names beside the key."""
    if options.endpoint is not None or not named:
        return options.endpoint
    try:
        return parse_endpoint(named, secure=options.root_certificates is not None)
    except ValueError as error:
        raise CredentialError(f"{source} {error}.", fix) from None


def _credential(
    options: ConnectionOptions,
    text: SecretStr,
    configured: Endpoint | None,
    source: str,
    fix: str = _SET_ENDPOINT,
) -> Credential:
    """Return the credential in a secret's text. ``fix`` says where to put a missing endpoint.

    A configured endpoint wins over the one in the secret, and that one wins over the one in the key.
    """
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
    cache_host, control_host, port = _address(key, endpoint, source, fix)
    expires_at, warnings = _expiry(
        source, ("its validUntil", document.expires), ("its key's exp", key.expires)
    )
    return Credential(
        key.secret,
        key.kind,
        source,
        cache_host,
        control_host,
        port,
        expires_at=expires_at,
        encryption_keys=document.encryption_key,
        warnings=warnings,
    )


def _address(key: ApiKey, endpoint: Endpoint | None, source: str, fix: str) -> tuple[str, str, int]:
    """Return the hosts for cache and control calls, and their port."""
    if endpoint is None and key.hosts:
        return (*key.hosts, TLS_PORT)
    # A local server, which has a port, accepts any text as a key.
    if key.kind == "opaque" and not (endpoint and endpoint.port):
        raise CredentialError(
            f"{source} holds something that is not a Momento API key.",
            "Store the key whole, as Momento's console gave it, or as JSON with 'api_key' and 'endpoint'.",
        )
    if endpoint is None:
        raise CredentialError(f"{source} holds a {key.kind} key, which names no endpoint.", fix)
    return endpoint.connect_to()


def _expiry(source: str, *written: tuple[str, object]) -> tuple[float | None, tuple[str, ...]]:
    """Return the earliest expiry of a key, and a warning for each that is not a time.

    A key with a misspelled expiry still works, so it is used.
    """
    known, warnings = [], []
    for where, value in written:
        try:
            known.append(unix_seconds(value))
        except ValueError:
            warnings.append(f"{source}: {where} is not a time, so it is ignored.")
    return min((moment for moment in known if moment is not None), default=None), tuple(warnings)
