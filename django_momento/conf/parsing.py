"""Turn one alias of ``CACHES`` into frozen options, or into a report of every problem it has.

A wrong setting becomes an error that is returned, and ``loading`` raises it. The only I/O is a look whether a
named file exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ..endpoint import DEFAULT_LOCAL_PORT
from ..exceptions import ConfigurationError
from ..redaction import api_key_path, quote, redacted_repr
from .foreign import find_nearest, fix_foreign_value, foreign_replacement
from .options import (
    CALLABLE,
    CONNECTION_FIELDS,
    CREDENTIAL_SOURCES,
    OPTIONS,
    CacheOptions,
    ConnectionOptions,
    Option,
)

# The settings of an alias beside BACKEND and LOCATION, which Django takes out before the backend sees them.
DJANGO_SETTINGS = ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")
BESIDE_OPTIONS = ("BACKEND", "LOCATION", *DJANGO_SETTINGS)

API_KEY_FIX = (
    "Revoke it, because settings end up in repositories and error reports. Keep its successor in AWS Secrets "
    "Manager and give the secret's name in SECRET_ID, or choose another place with CREDENTIALS."
)

Problems = Iterator[ConfigurationError]

# Memcached's and Redis' HOST:PORT and sockets, and the folders of Django's file-based cache.
# A host without a dot, as containers have, counts if the port is one that Redis or Memcached uses.
_SERVER = re.compile(
    r"(unix:|[A-Za-z]:\\|/)|(localhost|[\w-]+(\.[\w-]+)+|\[[0-9A-Fa-f:]+\]):[0-9]{2,5}\b"
    r"|[\w-]+:(6379|6380|7000|11211|11212|16379|26379)\b",
    re.IGNORECASE,
)


class Misplaced:
    """A value that stands in CACHES in place of the dict of an alias. The ``repr`` hides it."""

    def __init__(self, value: object) -> None:
        self.value = value


def misplaced_alias(where: str, alias: str, value: object) -> ConfigurationError:
    """Return the error for an alias of CACHES that is no dict."""
    if api_key_path(value) is not None:
        return ConfigurationError(f"{where} holds a Momento API key.", API_KEY_FIX, category="API key")
    fix = f"Write {alias!r}: Env.cache_url_config(url), with Env from django_momento.env."
    if is_cache_url(value):
        return ConfigurationError(f"{where} is the text of a cache URL, but Django expects a dict.", fix)
    return ConfigurationError(
        f"{where} is {redacted_repr(value)}, but Django expects a dict.",
        f"Give it BACKEND, LOCATION and OPTIONS. For a cache URL: {fix[0].lower()}{fix[1:]}",
    )


def parse_alias(
    alias: str, location: object, params: Mapping[str, Any], extra: Mapping[str, Any]
) -> CacheOptions | ConfigurationError:
    """Return the options of an alias, or an error that lists every problem of its settings.

    ``params`` holds the settings without BACKEND and LOCATION; ``extra`` holds the names and defaults of a
    subclass's own options.
    """
    where = f"CACHES[{alias!r}]"
    if isinstance(location, Misplaced):
        return misplaced_alias(where, alias, location.value)
    beside = {name: value for name, value in params.items() if name != "OPTIONS"}
    given = params.get("OPTIONS", {})
    pasted = [*_api_key_problems(where, {"LOCATION": location, **params})]
    problems = [
        *pasted,
        *_location_problems(where, location),
        *unknown_problems(where, _without_keys(beside), DJANGO_SETTINGS, elsewhere=OPTIONS),
        *unknown_problems(
            f"{where}['OPTIONS']", _without_keys(given), (*OPTIONS, *extra), elsewhere=BESIDE_OPTIONS
        ),
        *_timeout_problems(where, params.get("TIMEOUT")),
    ]
    values: dict[str, Any] = {}
    if isinstance(given, Mapping):
        for name, value in _without_keys(given).items():
            if name in OPTIONS:
                converted = _convert(where, OPTIONS[name], value)
                if isinstance(converted, ConfigurationError):
                    problems.append(converted)
                else:
                    values[name] = converted
        # If a setting is wrong, it may be the one that says where the key is.
        if not pasted and values.keys() == given.keys() - extra.keys():
            problems += _source_problems(where, values)
    if problems:
        return ConfigurationError.combine(where, problems)
    values.setdefault("SIGN", _is_signed_by_default(values))
    fields = {name.lower(): value for name, value in values.items()}
    connection = {name: fields.pop(name) for name in [*fields] if name in CONNECTION_FIELDS}
    return CacheOptions(
        alias,
        str(location),
        ConnectionOptions(**connection),
        **fields,
        extra={name: given.get(name, default) for name, default in extra.items()},
    )


def is_cache_url(value: object) -> bool:
    """Return whether a setting is a URL such as ``momento://my-cache``."""
    return isinstance(value, str) and value.strip("'\" ").lower().startswith(("momento:", "momento-local:"))


def _api_key_problems(where: str, given: Mapping[str, Any]) -> Problems:
    # A key in CACHES is never used, but logs and error reports would show it.
    path = api_key_path(given)
    if path is not None:
        yield ConfigurationError(f"{where}{path} holds a Momento API key.", API_KEY_FIX, category="API key")


def _without_keys(given: Any) -> Any:
    """Return settings without those that hold an API key: if one does, the key is its only problem."""
    if not isinstance(given, Mapping):
        return given if api_key_path(given) is None else {}
    return {name: value for name, value in given.items() if api_key_path({name: value}) is None}


def _location_problems(where: str, location: object) -> Problems:
    if api_key_path(location) is not None:
        return
    fix = "Name a cache of your Momento account; `momento_check --create` can create it."
    if not isinstance(location, str) or not location.strip():
        cause = f"must be the name of a Momento cache, not {redacted_repr(location)}."
    elif "://" in location:
        cause = f"is {redacted_repr(location)}, a URL: Momento's caches have plain names."
        if is_cache_url(location):
            fix = "A cache URL stands for the whole alias: write django_momento.env.Env().cache_url() for it."
        else:
            fix += " The servers of another cache backend have no meaning here: leave them out."
    elif _SERVER.match(location):
        cause = f"is {redacted_repr(location)}, the server of another cache backend."
    elif location.strip().lower().endswith(".momentohq.com"):
        cause = f"is {redacted_repr(location)}, Momento's endpoint."
        fix = f"{fix} The endpoint belongs in OPTIONS, as ENDPOINT."
    elif not (location.isascii() and location.isprintable()):
        cause = f"is {quote(ascii(location))}, but the name of a cache is printable ASCII."
        fix = "Remove line ends, control characters and letters that are not ASCII."
    elif location != location.strip() or location[0] in "'\"":
        bare = location.strip().strip("'\"")
        cause = f"is {redacted_repr(location)}, with white space or quotes around the name."
        fix = f"Write {redacted_repr(bare)}."
    else:
        return
    yield ConfigurationError(f"{where}['LOCATION'] {cause}", fix, category="LOCATION")


def unknown_problems(
    where: str,
    given: object,
    known: tuple[str, ...],
    elsewhere: Mapping[str, object] | tuple[str, ...] = (),
) -> Problems:
    """Yield an error if ``given`` is not a dict, or one for each of its keys that is not ``known``.

    An error says which name was meant, what replaces the option of another backend, or that the name belongs
    ``elsewhere``. It shows no value.
    """
    if not isinstance(given, Mapping):
        yield ConfigurationError(f"{where} must be a dict, not {redacted_repr(given)}.")
        return
    for name in given:
        if name not in known:
            cause = f"{where} has an unknown setting {redacted_repr(name)}."
            yield ConfigurationError(cause, _fix_unknown(str(name), known, elsewhere))


def _fix_unknown(name: str, known: tuple[str, ...], elsewhere: Mapping[str, object] | tuple[str, ...]) -> str:
    spelled = name.upper()
    if spelled in elsewhere:
        fix = f"{spelled} belongs {'in' if elsewhere is OPTIONS else 'beside'} OPTIONS."
        is_a_deadline = name == "timeout" and elsewhere is not OPTIONS
        return f"{fix} The seconds one call may take are CLIENT_TIMEOUT." if is_a_deadline else fix
    if spelled not in known and (replacement := foreign_replacement(name)):
        return replacement
    nearest = find_nearest(name, known)
    return f"Did you mean {nearest!r}?" if nearest else f"Valid are: {', '.join(known)}."


def _timeout_problems(where: str, timeout: object) -> Problems:
    # Django's base class turns a TIMEOUT it cannot read into 300 seconds without a word.
    try:
        if timeout is not None and not isinstance(timeout, timedelta):
            int(timeout)  # type: ignore[call-overload]  # whether it can is the question
    except (TypeError, ValueError, OverflowError):
        yield ConfigurationError(
            f"{where}['TIMEOUT'] is {redacted_repr(timeout)}.",
            "It must be a number of seconds, a timedelta or None.",
        )


def _convert(where: str, option: Option, value: object) -> Any:
    """Return the value as the package uses it, or a ConfigurationError."""
    if (fix := fix_foreign_value(value)) is not None:
        cause = f"{where}['OPTIONS']['{option.name}'] is {value!r}, a class of django-redis."
        return ConfigurationError(cause, fix)
    try:
        return option.type.convert(value)
    except ValueError as error:
        reason = f": it {quote(error)}" if str(error) else ""
        given = "not usable" if option.type.secret else redacted_repr(value)
        return ConfigurationError(
            f"{where}['OPTIONS']['{option.name}'] is {given}{reason}.",
            f"Allowed: {option.type.allowed}.",
        )


def _is_signed_by_default(values: Mapping[str, Any]) -> bool:
    # JSON is for sharing with other services; encrypted values are authentic already.
    return "ENCRYPTION_KEY" not in values and values.get("SERIALIZER") != "json"


# The option that a credential source needs, and its meaning.
_NEEDED = (
    ("SECRET_ID", ("secretsmanager", "agent"), "the name or ARN of the secret"),
    ("API_KEY_FILE", ("file",), "the path of the file with the API key"),
)


def _source_problems(where: str, values: dict[str, Any]) -> Problems:
    """Yield the problems of options together; complete CREDENTIALS and ENDPOINT."""
    if "CREDENTIALS" not in values and "SECRET_ID" in values:
        values["CREDENTIALS"] = "secretsmanager"
    source = values.get("CREDENTIALS")
    if source is None:
        yield ConfigurationError(
            f"{where}['OPTIONS'] does not say where the Momento API key comes from.",
            "Give SECRET_ID, the name of a secret in AWS Secrets Manager, or CREDENTIALS: "
            f"{', '.join(map(repr, CREDENTIAL_SOURCES[1:]))}, or the dotted path of a callable.",
            category="CREDENTIALS",
        )
        return
    for name, sources, meaning in _NEEDED:
        if source in sources and name not in values:
            yield ConfigurationError(
                f"{where}['OPTIONS'] has CREDENTIALS {source!r} but no {name}.",
                f"Give {name}, {meaning}.",
                category="CREDENTIALS",
            )
    kind = source if source in CREDENTIAL_SOURCES else CALLABLE
    for name in values:
        if OPTIONS[name].sources and kind not in OPTIONS[name].sources:
            yield ConfigurationError(
                f"{where}['OPTIONS']['{name}'] has no meaning with CREDENTIALS {source!r}.",
                f"Leave it out, or set CREDENTIALS to {_alternatives(OPTIONS[name].sources)}.",
                category="CREDENTIALS",
            )
    if "ENDPOINT" in values and kind in OPTIONS["ENDPOINT"].sources:
        yield from _endpoint_problems(where, source, values)


def _endpoint_problems(where: str, source: str, values: dict[str, Any]) -> Problems:
    endpoint = values["ENDPOINT"]
    if endpoint.port is not None and "ROOT_CERTIFICATES" in values:
        endpoint = values["ENDPOINT"] = endpoint._replace(secure=True)
    if source == "local":
        if endpoint.port is None:
            yield ConfigurationError(
                f"{where}['OPTIONS']['ENDPOINT'] is {str(endpoint)!r}, without a port.",
                f"momento-local needs one, such as '127.0.0.1:{DEFAULT_LOCAL_PORT}'.",
            )
        return
    try:
        endpoint.check_carries_key()
    except ValueError as error:
        yield ConfigurationError(
            f"{where}['OPTIONS']['ENDPOINT'] is {str(endpoint)!r}: it {error}.",
            f"Allowed: {OPTIONS['ENDPOINT'].type.allowed}.",
        )


def _alternatives(sources: tuple[str, ...]) -> str:
    return " or ".join(source if source == CALLABLE else repr(source) for source in sources)
