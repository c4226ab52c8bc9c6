"""``CACHES[alias]`` parsed once into frozen values; the one table of every option.

A value that is wrong is a ``ConfigurationError`` that names the alias, the option, what was given and
what is allowed; a name that is wrong is one that names the nearest valid name. Nothing here does I/O, but
for a look whether a named file exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .endpoint import DEFAULT_LOCAL_PORT, Endpoint
from .exceptions import ConfigurationError

T = TypeVar("T")

CREDENTIAL_SOURCES = ("secretsmanager", "env", "local", "embedded")

# About 30 years. Far beyond it, clocks and wire formats overflow.
_MOST_SECONDS = 10**9


class Kind(NamedTuple):
    """A type of option: what it allows, how a value is checked, and how a URL spells it."""

    allowed: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


def _checked_by(accepts: Callable[[Any], bool], convert: Callable[[Any], T]) -> Callable[[Any], T]:
    def check(value: Any) -> T:
        if not accepts(value):
            raise ValueError
        return convert(value)

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST_SECONDS


def _flag_from_text(text: str) -> bool:
    spellings = {"true": True, "1": True, "yes": True, "on": True}
    spellings |= {"false": False, "0": False, "no": False, "off": False}
    return spellings[text.lower()]


def _existing_file(value: str | Path) -> Path:
    path = Path(value)
    # Older Pythons raise for a name that is too long, and in a folder that may not be looked into.
    with suppress(OSError):
        if path.is_file():
            return path
    raise ValueError("names no file")


def _one_of(*choices: str) -> Kind:
    return Kind("one of " + ", ".join(map(repr, choices)), _checked_by(choices.__contains__, str))


TEXT = Kind(
    "a string that is not empty", _checked_by(lambda value: isinstance(value, str) and bool(value), str)
)
FLAG = Kind("True or False", _checked_by(lambda value: isinstance(value, bool), bool), _flag_from_text)
SECONDS = Kind("a number of seconds above 0, at most a billion", _checked_by(_is_number, float), float)
FILE = Kind(
    "the path of an existing file",
    _checked_by(lambda value: isinstance(value, str | Path) and bool(str(value)), _existing_file),
)
ENDPOINT = Kind(
    "a Momento endpoint, or HOST:PORT on loopback",
    _checked_by(lambda value: isinstance(value, str) and bool(value), Endpoint.parse),
)


class Option(NamedTuple):
    """One key of OPTIONS, for the parser and for the documentation.

    ``default`` is in words, and empty where there is none. ``sources`` names the credential sources for which
    the option has a meaning; empty means all.
    """

    name: str
    kind: Kind
    default: str
    meaning: str
    sources: tuple[str, ...] = ()


OPTIONS = {
    option.name: option
    for option in (
        Option(
            "CREDENTIALS",
            _one_of(*CREDENTIAL_SOURCES),
            "`secretsmanager` if `SECRET_ID` is given",
            "where the API key comes from",
        ),
        Option("SECRET_ID", TEXT, "", "name or ARN of the secret; an ARN's region wins", ("secretsmanager",)),
        Option(
            "SECRET_VERSION_STAGE",
            TEXT,
            "`AWSCURRENT`",
            "which version of the secret",
            ("secretsmanager",),
        ),
        Option("REGION", TEXT, "boto3's own chain", "AWS region of the secret", ("secretsmanager",)),
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
        Option(
            "ENDPOINT",
            ENDPOINT,
            "from the secret or the key, where it carries one",
            "Momento's endpoint for your region; needed for v2 keys; `host:port` on loopback only",
            ("secretsmanager", "env", "local"),
        ),
        Option(
            "CONFIGURATION",
            _one_of("auto", "in-region", "low-latency", "lambda", "laptop"),
            "`auto`",
            "the SDK's tuning; `auto` is `laptop` for `local` and `embedded`, `lambda` inside AWS Lambda, "
            "else `in-region`",
        ),
        Option("CLIENT_TIMEOUT", SECONDS, "the configuration's", "seconds one call may take"),
        Option("ROOT_CERTIFICATES", FILE, "grpc's own", "PEM file with the root certificates to trust"),
        Option(
            "READ_CONCERN",
            _one_of("balanced", "consistent"),
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
            "SERIALIZER", _one_of("pickle", "json"), "`pickle`", "how values other than integers are stored"
        ),
        Option(
            "SIGN",
            FLAG,
            "`True` for pickle, else `False`",
            "authenticate values with a key derived from `SECRET_KEY` (`SECRET_KEY_FALLBACKS` still read)",
        ),
        Option(
            "IGNORE_EXCEPTIONS", FLAG, "`False`", "fail open: a cache that cannot be reached reads as a miss"
        ),
        Option("LOG_IGNORED_EXCEPTIONS", FLAG, "`True`", "log what `IGNORE_EXCEPTIONS` hides, as warnings"),
    )
}

# What CACHES[alias] may hold beside BACKEND and LOCATION, which Django takes out before the backend sees it.
DJANGO_SETTINGS = ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")
BESIDE_OPTIONS = ("BACKEND", "LOCATION", *DJANGO_SETTINGS)
NO_CULLING = ("MAX_ENTRIES", "CULL_FREQUENCY")


@dataclass(frozen=True)
class ConnectionOptions:
    """All that tells one client from another: aliases with equal ones share a client."""

    credentials: str
    secret_id: str | None = None
    secret_version_stage: str = "AWSCURRENT"  # noqa: S105 - a stage, not a secret
    region: str | None = None
    api_key_variable: str = "MOMENTO_API_KEY"
    endpoint_variable: str = "MOMENTO_ENDPOINT"
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
    ignore_exceptions: bool = False
    log_ignored_exceptions: bool = True


def parse(alias: str, location: object, params: Mapping[str, Any]) -> CacheOptions:
    """Parse one alias of ``CACHES``: its LOCATION, and its settings without BACKEND and LOCATION.

    Raises ConfigurationError.
    """
    where = f"CACHES[{alias!r}]"
    if not isinstance(location, str) or not location.strip():
        raise ConfigurationError(
            f"{where}['LOCATION'] must be the name of a Momento cache, not {location!r}.",
            "Name a cache of your Momento account; `momento_check --create` can create it.",
        )
    _refuse_unknown(where, params, DJANGO_SETTINGS, elsewhere=OPTIONS)
    given = params.get("OPTIONS", {})
    _refuse_unknown(f"{where}['OPTIONS']", given, tuple(OPTIONS), elsewhere=BESIDE_OPTIONS)
    _check_timeout(where, params.get("TIMEOUT"))
    values = {name: _checked(where, OPTIONS[name], value) for name, value in given.items()}
    values["CREDENTIALS"] = _credential_source(where, values)
    values.setdefault("SIGN", values.get("SERIALIZER", "pickle") == "pickle")
    fields = {name.lower(): value for name, value in values.items()}
    connection = {name: fields.pop(name) for name in list(fields) if name in _CONNECTION_FIELDS}
    return CacheOptions(alias, location, ConnectionOptions(**connection), **fields)


_CONNECTION_FIELDS = ConnectionOptions.__dataclass_fields__.keys()


def _refuse_unknown(
    where: str, given: object, known: tuple[str, ...], elsewhere: Mapping[str, object] | tuple[str, ...]
) -> None:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where} must be a dict, not {given!r}.")
    for name in given:
        if name in known:
            continue
        if name in NO_CULLING:
            fix = "Momento evicts by itself; leave it out."
        elif (spelled := str(name).upper()) in elsewhere:
            fix = f"{spelled} belongs {'in' if elsewhere is OPTIONS else 'beside'} OPTIONS."
        else:
            fix = _nearest(str(name), known)
        raise ConfigurationError(f"{where} has an unknown setting {name!r}.", fix)


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
        reason = f": it {error}" if str(error) else ""
        raise ConfigurationError(
            f"{where}['OPTIONS']['{option.name}'] is {value!r}{reason}.", f"Allowed: {option.kind.allowed}."
        ) from None


def _credential_source(where: str, values: Mapping[str, Any]) -> str:
    source = values.get("CREDENTIALS")
    if source is None and "SECRET_ID" in values:
        source = "secretsmanager"
    if source is None:
        raise ConfigurationError(
            f"{where}['OPTIONS'] does not say where the Momento API key comes from.",
            "Give SECRET_ID, the name of a secret in AWS Secrets Manager, or CREDENTIALS: "
            f"{', '.join(map(repr, CREDENTIAL_SOURCES[1:]))}.",
        )
    if source == "secretsmanager" and "SECRET_ID" not in values:
        raise ConfigurationError(
            f"{where}['OPTIONS'] has CREDENTIALS 'secretsmanager' but no SECRET_ID.",
            "Give SECRET_ID, the name or ARN of the secret.",
        )
    for name in values:
        if OPTIONS[name].sources and source not in OPTIONS[name].sources:
            raise ConfigurationError(
                f"{where}['OPTIONS']['{name}'] has no meaning with CREDENTIALS {source!r}.",
                f"Leave it out, or set CREDENTIALS to {' or '.join(map(repr, OPTIONS[name].sources))}.",
            )
    if source == "local" and values.get("ENDPOINT") is not None and not values["ENDPOINT"].is_plaintext:
        raise ConfigurationError(
            f"{where}['OPTIONS']['ENDPOINT'] is {str(values['ENDPOINT'])!r}, without a port.",
            f"momento-local needs one, such as '127.0.0.1:{DEFAULT_LOCAL_PORT}'.",
        )
    return str(source)
