"""The options of a cache, each declared once: as a field with its type, default, help and sources.

The parser, ``Env``, the defaults and the reference page are made of these fields.

To add an option, add one field. Its upper-case name is the key in OPTIONS. A field of ``ConnectionOptions``
tells clients apart: two aliases with different values do not share a connection. A field of ``CacheOptions``
concerns one alias. The tests of options, of cache URLs and of system checks each ask for a line about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from ..codec.compressors import COMPRESSORS
from ..codec.serializers import SERIALIZERS
from ..endpoint import Endpoint
from ..redaction import SecretStr
from .types import (
    BOOLEAN,
    BYTES,
    DOTTED_PATH,
    DOTTED_PATHS,
    ENCRYPTION_KEYS,
    ENDPOINT,
    FILE,
    FRACTION,
    PATH,
    SECONDS,
    SECONDS_OR_ZERO,
    TEXT,
    OptionType,
    one_of,
    one_of_or_dotted_path,
)

CREDENTIAL_SOURCES = ("secretsmanager", "agent", "env", "file", "local", "embedded")
# Stands for every dotted path in ``sources``.
CALLABLE = "the dotted path of a callable"
# The value of ENCRYPTION_KEY if the keys are in the secret that holds the API key.
FROM_THE_SECRET = "secret"  # noqa: S105 - a word, not a secret

_WITH_SECRET_ID = ("secretsmanager", "agent")


class Option(NamedTuple):
    """One key of OPTIONS, for the parser and for the documentation.

    ``default`` is the default in words, and empty if there is none. ``sources`` names the credential sources
    that use the option; empty means all.
    """

    name: str
    type: OptionType
    default: str
    help: str
    sources: tuple[str, ...] = ()


def _option(
    option_type: OptionType,
    default: object,
    help_text: str,
    *,
    default_text: str = "",
    sources: tuple[str, ...] = (),
) -> Any:
    """Return the field of an option. Give ``default_text`` if the value alone does not explain it."""
    if not default_text and default not in (MISSING, None):
        default_text = f"`{default:.12g}`" if isinstance(default, float) else f"`{default}`"
    metadata = {"option": (option_type, default_text, help_text, sources)}
    return field(default=default, metadata=metadata)  # MISSING means that there is no default


@dataclass(frozen=True)
class ConnectionOptions:
    """The options that tell one client from another: aliases with equal ones share a client."""

    credentials: str = _option(
        one_of_or_dotted_path(*CREDENTIAL_SOURCES),
        MISSING,
        "source of the API key; a dotted path names a callable that returns it",
        default_text="`secretsmanager` if `SECRET_ID` is given",
    )
    secret_id: str | None = _option(
        TEXT, None, "name or ARN of the secret; an ARN's region wins", sources=_WITH_SECRET_ID
    )
    secret_version_stage: str = _option(
        TEXT, "AWSCURRENT", "staging label of the secret's version", sources=_WITH_SECRET_ID
    )
    region: str | None = _option(
        TEXT,
        None,
        "AWS region of the secret; an agent has its own, which must then be this one",
        default_text="boto3's own chain, or the agent's",
        sources=_WITH_SECRET_ID,
    )
    secret_role: str | None = _option(
        TEXT,
        None,
        "ARN of an IAM role to read the secret with, such as one of another account",
        sources=_WITH_SECRET_ID,
    )
    agent_fallback: bool = _option(
        BOOLEAN,
        False,
        "ask Secrets Manager with boto3 if the agent cannot be reached or is not ready",
        sources=("agent",),
    )
    api_key_variable: str = _option(
        TEXT, "MOMENTO_API_KEY", "environment variable with the API key", sources=("env",)
    )
    endpoint_variable: str = _option(
        TEXT, "MOMENTO_ENDPOINT", "environment variable with the endpoint", sources=("env",)
    )
    api_key_file: Path | None = _option(
        PATH, None, "file with the API key, read again when it changes", sources=("file",)
    )
    endpoint: Endpoint | None = _option(
        ENDPOINT,
        None,
        "Momento's endpoint for your region; needed for v2 keys. `HOST:PORT` names a local server, in "
        "plaintext unless `ROOT_CERTIFICATES` is given: on any host with `local`, else on loopback only",
        default_text="from the secret or the key, if it names one",
        sources=("secretsmanager", "agent", "env", "file", "local", CALLABLE),
    )
    configuration: str = _option(
        one_of("auto", "in-region", "low-latency", "lambda", "laptop"),
        "auto",
        "the SDK's tuning; `auto` is `laptop` for `local` and `embedded`, `lambda` inside AWS Lambda, "
        "else `in-region`",
    )
    client_timeout: float | None = _option(
        SECONDS, None, "seconds one call may take", default_text="the configuration's"
    )
    connect_timeout: float = _option(
        SECONDS,
        5.0,
        "seconds that making the first connection may take; until then, calls that may be repeated wait "
        "beyond `CLIENT_TIMEOUT`, and a timeout is not taken for an outage",
    )
    root_certificates: Path | None = _option(
        FILE, None, "PEM file with the root certificates to trust", default_text="grpc's own"
    )
    read_concern: str = _option(
        one_of("balanced", "consistent"),
        "balanced",
        "`consistent` reads the latest write, at a multiple of the price",
    )


@dataclass(frozen=True)
class CacheOptions:
    """One alias of CACHES, parsed. ``max_ttl`` is in seconds; ``extra`` holds the options of a subclass."""

    alias: str
    cache_name: str
    connection: ConnectionOptions
    max_ttl: float = _option(
        SECONDS,
        86400.0,
        "seconds; longer timeouts, and `None`, are cut to it (Momento's own limit on demand is 24 h)",
    )
    ttl_jitter: float = _option(
        FRACTION,
        0.0,
        "fraction of a timeout by which it is shortened at random, at most, so that keys do not expire "
        "together; locks and rate limits keep their time",
        default_text="`0`",
    )
    serializer: str = _option(
        one_of_or_dotted_path(*SERIALIZERS),
        "pickle",
        "format of values other than integers; a dotted path names an object with `dumps` and `loads`",
    )
    sign: bool = _option(
        BOOLEAN,
        True,
        "authenticate values with a key derived from `SECRET_KEY` (`SECRET_KEY_FALLBACKS` still read)",
        default_text="`False` for `json` and for encrypted values, else `True`",
    )
    encryption_key: SecretStr | None = _option(
        ENCRYPTION_KEYS,
        None,
        "encrypt values with AES-GCM: base64 of 16 or 32 bytes, or several with commas: the first encrypts, "
        "all decrypt; `secret` takes them from the secret of the API key",
    )
    compressor: str | None = _option(
        one_of(*COMPRESSORS),
        None,
        "compress values: Momento bills by the KiB, and `zlib` shrinks lists and pages to a third or a half",
    )
    compress_min_length: int = _option(BYTES, 1024, "bytes; shorter values are not compressed")
    ignore_exceptions: bool = _option(
        BOOLEAN, False, "fail open: if Momento cannot be reached, a read is a miss"
    )
    log_ignored_exceptions: bool = _option(
        BOOLEAN, True, "log errors that `IGNORE_EXCEPTIONS` hides, as warnings"
    )
    tag_seconds: float = _option(
        SECONDS_OR_ZERO,
        1.0,
        "seconds for which a process keeps the versions of tags, and of the prefix with `CLEAR` `prefix`; "
        "so long may it serve a value that another process has invalidated; `0` asks Momento each time",
    )
    clear: str = _option(
        one_of("cache", "prefix"),
        "cache",
        "keys that `clear()` forgets: all of the Momento `cache`, or those of the alias with its "
        "`KEY_PREFIX`; with `prefix`, keys at Momento begin with a random text",
    )
    near_seconds: float = _option(
        SECONDS_OR_ZERO,
        0.0,
        "seconds for which a read may be served from this process's memory; 0 turns the near cache off",
    )
    near_bytes: int = _option(
        BYTES,
        33_554_432,
        "bytes of that memory, which near cache and shield share; the values that were not used for longest "
        "go first",
        default_text="`33554432` (32 MiB)",
    )
    stale_if_error: float = _option(
        SECONDS_OR_ZERO,
        0.0,
        "while Momento cannot answer, serve values that this process saw within so many seconds, and repair "
        "failed writes afterwards; 0 turns the shield off",
    )
    single_flight: bool = _option(
        BOOLEAN,
        True,
        "one thread or task of a process runs the default of `get_or_set` for a key, while the others wait",
    )
    key_group: str | None = _option(
        DOTTED_PATH,
        None,
        "function that returns the name under which the meter counts a key, of which 100 are told apart",
        default_text="the text before the first `:`",
    )
    observers: tuple[str, ...] = _option(
        DOTTED_PATHS,
        (),
        "functions that get an event for each finished call of this alias",
        default_text="none",
    )
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


def _options_of(declared: type) -> Iterator[Option]:
    for each in fields(declared):
        if "option" in each.metadata:
            yield Option(each.name.upper(), *each.metadata["option"])


OPTIONS = {
    option.name: option for declared in (ConnectionOptions, CacheOptions) for option in _options_of(declared)
}
CONNECTION_FIELDS = frozenset(each.name for each in fields(ConnectionOptions))
