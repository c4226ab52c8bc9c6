"""``CACHES[alias]`` parsed once into frozen values; the one table of every option.

A value that is wrong is a ``ConfigurationError`` that names the alias, the option, what was given and
what is allowed; a name that is wrong is one that names the nearest valid name. Nothing here does I/O, but
for a look whether a named file exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..codec.compressors import COMPRESSORS
from ..codec.serializers import SERIALIZERS
from ..endpoint import DEFAULT_LOCAL_PORT, Endpoint
from ..exceptions import ConfigurationError
from ..redaction import SecretStr, api_key_path, redact, redacted_repr
from .types import (
    BOOLEAN,
    BYTES,
    ENCRYPTION_KEYS,
    ENDPOINT,
    FILE,
    PATH,
    SECONDS,
    TEXT,
    OptionType,
    one_of,
    one_of_or_dotted_path,
)

CREDENTIAL_SOURCES = ("secretsmanager", "agent", "env", "file", "local", "embedded")
# Stands for every dotted path in Option.sources.
CALLABLE = "the dotted path of a callable"


class Option(NamedTuple):
    """One key of OPTIONS, for the parser and for the documentation.

    ``default`` is in words, and empty where there is none. ``sources`` names the credential sources for which
    the option has a meaning; empty means all.
    """

    name: str
    kind: OptionType
    default: str
    meaning: str
    sources: tuple[str, ...] = ()


OPTIONS = {
    option.name: option
    for option in (
        Option(
            "CREDENTIALS",
            one_of_or_dotted_path(*CREDENTIAL_SOURCES),
            "`secretsmanager` if `SECRET_ID` is given",
            "where the API key comes from; a dotted path names a callable that answers it",
        ),
        Option(
            "SECRET_ID",
            TEXT,
            "",
            "name or ARN of the secret; an ARN's region wins",
            ("secretsmanager", "agent"),
        ),
        Option(
            "SECRET_VERSION_STAGE",
            TEXT,
            "`AWSCURRENT`",
            "which version of the secret",
            ("secretsmanager", "agent"),
        ),
        Option(
            "REGION",
            TEXT,
            "boto3's own chain, or the agent's",
            "AWS region of the secret; an agent has its own, which must then be this one",
            ("secretsmanager", "agent"),
        ),
        Option(
            "AGENT_FALLBACK",
            BOOLEAN,
            "`False`",
            "ask Secrets Manager with boto3 where the agent cannot be reached or is not ready",
            ("agent",),
        ),
        Option(
            "API_KEY_VARIABLE",
            TEXT,
            "`MOMENTO_API_KEY`",
            "environment variable with the API key",
            ("env",),
        ),
        Option(
            "ENDPOINT_VARIABLE",
            TEXT,
            "`MOMENTO_ENDPOINT`",
            "environment variable with the endpoint",
            ("env",),
        ),
        Option("API_KEY_FILE", PATH, "", "file with the API key, read again when it changes", ("file",)),
        Option(
            "ENDPOINT",
            ENDPOINT,
            "from the secret or the key, where it carries one",
            "Momento's endpoint for your region; needed for v2 keys; `host:port` on loopback only",
            ("secretsmanager", "agent", "env", "file", "local", CALLABLE),
        ),
        Option(
            "CONFIGURATION",
            one_of("auto", "in-region", "low-latency", "lambda", "laptop"),
            "`auto`",
            "the SDK's tuning; `auto` is `laptop` for `local` and `embedded`, `lambda` inside AWS Lambda, "
            "else `in-region`",
        ),
        Option("CLIENT_TIMEOUT", SECONDS, "the configuration's", "seconds one call may take"),
        Option("ROOT_CERTIFICATES", FILE, "grpc's own", "PEM file with the root certificates to trust"),
        Option(
            "READ_CONCERN",
            one_of("balanced", "consistent"),
            "`balanced`",
            "`consistent` reads the latest write, at a multiple of the price",
        ),
        Option(
            "MAX_TTL",
            SECONDS,
            "`86400`",
            "seconds; longer timeouts, and `None`, are cut to it (Momento's own limit on demand is 24 h)",
        ),
        Option(
            "SERIALIZER",
            one_of_or_dotted_path(*SERIALIZERS),
            "`pickle`",
            "how values other than integers are stored; a dotted path names what has `dumps` and `loads`",
        ),
        Option(
            "SIGN",
            BOOLEAN,
            "`False` for `json` and for what is encrypted, else `True`",
            "authenticate values with a key derived from `SECRET_KEY` (`SECRET_KEY_FALLBACKS` still read)",
        ),
        Option(
            "ENCRYPTION_KEY",
            ENCRYPTION_KEYS,
            "",
            "encrypt values with AES-GCM: base64 of 16 or 32 bytes, or several with commas: the first "
            "encrypts, all decrypt; `secret` takes them from the secret of the API key",
        ),
        Option("COMPRESSOR", one_of(*COMPRESSORS), "", "compress values: Momento bills by the KiB"),
        Option("COMPRESS_MIN_LENGTH", BYTES, "`1024`", "bytes; shorter values are not compressed"),
        Option(
            "IGNORE_EXCEPTIONS",
            BOOLEAN,
            "`False`",
            "fail open: a cache that cannot be reached reads as a miss",
        ),
        Option(
            "LOG_IGNORED_EXCEPTIONS", BOOLEAN, "`True`", "log what `IGNORE_EXCEPTIONS` hides, as warnings"
        ),
    )
}

# What CACHES[alias] may hold beside BACKEND and LOCATION, which Django takes out before the backend sees it.
DJANGO_SETTINGS = ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")
BESIDE_OPTIONS = ("BACKEND", "LOCATION", *DJANGO_SETTINGS)
NO_CULLING = ("MAX_ENTRIES", "CULL_FREQUENCY")

API_KEY_FIX = (
    "Revoke it, because settings end up in repositories and error reports. Keep its successor in AWS Secrets "
    "Manager and give the secret's name in SECRET_ID, or choose another place with CREDENTIALS."
)


@dataclass(frozen=True)
class ConnectionOptions:
    """All that tells one client from another: aliases with equal ones share a client."""

    credentials: str
    secret_id: str | None = None
    secret_version_stage: str = "AWSCURRENT"  # noqa: S105 - a stage, not a secret
    region: str | None = None
    agent_fallback: bool = False
    api_key_variable: str = "MOMENTO_API_KEY"
    endpoint_variable: str = "MOMENTO_ENDPOINT"
    api_key_file: Path | None = None
    endpoint: Endpoint | None = None
    configuration: str = "auto"
    client_timeout: float | None = None
    root_certificates: Path | None = None
    read_concern: str = "balanced"


@dataclass(frozen=True)
class CacheOptions:
    """One alias of CACHES, parsed. ``max_ttl`` is in seconds."""

    alias: str
    cache_name: str
    connection: ConnectionOptions
    max_ttl: float = 86400.0
    serializer: str = "pickle"
    sign: bool = True
    encryption_key: SecretStr | None = None
    compressor: str | None = None
    compress_min_length: int = 1024
    ignore_exceptions: bool = False
    log_ignored_exceptions: bool = True


def parse(alias: str, location: object, params: Mapping[str, Any]) -> CacheOptions:
    """Parse one alias of ``CACHES``: its LOCATION, and its settings without BACKEND and LOCATION.

    Raises ConfigurationError.
    """
    where = f"CACHES[{alias!r}]"
    _refuse_api_key(where, {"LOCATION": location, **params})
    if not isinstance(location, str) or not location.strip():
        raise ConfigurationError(
            f"{where}['LOCATION'] must be the name of a Momento cache, not {location!r}.",
            "Name a cache of your Momento account; `momento_check --create` can create it.",
            category="LOCATION",
        )
    refuse_unknown(where, params, DJANGO_SETTINGS, elsewhere=OPTIONS)
    given = params.get("OPTIONS", {})
    refuse_unknown(f"{where}['OPTIONS']", given, tuple(OPTIONS), elsewhere=BESIDE_OPTIONS)
    _check_timeout(where, params.get("TIMEOUT"))
    values = {name: _checked(where, OPTIONS[name], value) for name, value in given.items()}
    values["CREDENTIALS"] = _credential_source(where, values)
    values.setdefault("SIGN", _is_signed_by_default(values))
    fields = {name.lower(): value for name, value in values.items()}
    connection = {name: fields.pop(name) for name in list(fields) if name in _CONNECTION_FIELDS}
    return CacheOptions(alias, location, ConnectionOptions(**connection), **fields)


def _is_signed_by_default(values: Mapping[str, Any]) -> bool:
    # JSON is for sharing with other services; what is encrypted is authentic already.
    return "ENCRYPTION_KEY" not in values and values.get("SERIALIZER") != "json"


_CONNECTION_FIELDS = ConnectionOptions.__dataclass_fields__.keys()


def _refuse_api_key(where: str, given: Mapping[str, Any]) -> None:
    # Nothing reads a key from here, but logs and error reports would show it.
    path = api_key_path(given)
    if path is not None:
        raise ConfigurationError(f"{where}{path} holds a Momento API key.", API_KEY_FIX, category="API key")


def refuse_unknown(
    where: str,
    given: object,
    known: tuple[str, ...],
    elsewhere: Mapping[str, object] | tuple[str, ...] = (),
) -> None:
    """Raise ConfigurationError if ``given`` is not a dict whose keys are all ``known``.

    The message names the nearest that is, or that it belongs ``elsewhere``; it shows no value.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where} must be a dict, not {redacted_repr(given)}.")
    for name in given:
        if name in known:
            continue
        spelled = str(name).upper()
        if spelled in NO_CULLING:
            fix = "Momento evicts by itself; leave it out."
        elif spelled in elsewhere:
            fix = f"{spelled} belongs {'in' if elsewhere is OPTIONS else 'beside'} OPTIONS."
        else:
            fix = _nearest(str(name), known)
        raise ConfigurationError(f"{where} has an unknown setting {redacted_repr(name)}.", fix)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches  # Only those who err pay for it.

    matches = get_close_matches(name.upper().replace("-", "_"), known, n=1, cutoff=0.5)
    return f"Did you mean {matches[0]!r}?" if matches else f"Valid are: {', '.join(known)}."


def _check_timeout(where: str, timeout: object) -> None:
    # Django's base class turns a TIMEOUT it cannot read into 300 seconds without a word.
    try:
        if timeout is not None:
            int(timeout)  # type: ignore[call-overload]  # whether it can is the question
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(
            f"{where}['TIMEOUT'] is {timeout!r}.", "It must be a number of seconds, or None."
        ) from None


def _checked(where: str, option: Option, value: object) -> Any:
    try:
        return option.kind.check(value)
    except ValueError as error:
        reason = f": it {redact(str(error))}" if str(error) else ""
        given = "not usable" if option.kind.secret else redacted_repr(value)
        raise ConfigurationError(
            f"{where}['OPTIONS']['{option.name}'] is {given}{reason}.",
            f"Allowed: {option.kind.allowed}.",
        ) from None


# What a credential source cannot do without.
_NEEDED = (
    ("SECRET_ID", ("secretsmanager", "agent"), "the name or ARN of the secret"),
    ("API_KEY_FILE", ("file",), "the path of the file with the API key"),
)


def _credential_source(where: str, values: Mapping[str, Any]) -> str:
    source = values.get("CREDENTIALS")
    if source is None and "SECRET_ID" in values:
        source = "secretsmanager"
    if source is None:
        raise ConfigurationError(
            f"{where}['OPTIONS'] does not say where the Momento API key comes from.",
            "Give SECRET_ID, the name of a secret in AWS Secrets Manager, or CREDENTIALS: "
            f"{', '.join(map(repr, CREDENTIAL_SOURCES[1:]))}, or the dotted path of a callable.",
            category="CREDENTIALS",
        )
    for name, sources, what in _NEEDED:
        if source in sources and name not in values:
            raise ConfigurationError(
                f"{where}['OPTIONS'] has CREDENTIALS {source!r} but no {name}.",
                f"Give {name}, {what}.",
                category="CREDENTIALS",
            )
    kind = source if source in CREDENTIAL_SOURCES else CALLABLE
    for name in values:
        if OPTIONS[name].sources and kind not in OPTIONS[name].sources:
            raise ConfigurationError(
                f"{where}['OPTIONS']['{name}'] has no meaning with CREDENTIALS {source!r}.",
                f"Leave it out, or set CREDENTIALS to {_alternatives(OPTIONS[name].sources)}.",
                category="CREDENTIALS",
            )
    if source == "local" and values.get("ENDPOINT") is not None and not values["ENDPOINT"].is_plaintext:
        raise ConfigurationError(
            f"{where}['OPTIONS']['ENDPOINT'] is {str(values['ENDPOINT'])!r}, without a port.",
            f"momento-local needs one, such as '127.0.0.1:{DEFAULT_LOCAL_PORT}'.",
        )
    return str(source)


def _alternatives(sources: tuple[str, ...]) -> str:
    return " or ".join(source if source == CALLABLE else repr(source) for source in sources)
