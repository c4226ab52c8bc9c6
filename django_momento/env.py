"""django-environ's ``Env`` with ``momento://`` cache URLs. Every option means the same as in a dict.

    CACHES = {"default": Env().cache_url()}
    CACHE_URL=momento://my-cache?secret_id=Momento_Auth_Token&region=us-west-2&timeout=10m

The host is LOCATION, the Momento cache's name; the query holds TIMEOUT, KEY_PREFIX, VERSION, KEY_FUNCTION and
every key of OPTIONS, in any case. A cache of momento-local is ``momento-local://127.0.0.1:8080/my-cache``.
Only mistakes of the URL itself are refused here. The backend, which knows the alias, refuses all others.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import ParseResult, parse_qsl, unquote, urlparse

import environ

from .conf.options import OPTIONS
from .conf.parsing import API_KEY_FIX, DJANGO_SETTINGS, unknown_problems
from .conf.types import parse_seconds
from .exceptions import ConfigurationError
from .redaction import api_key_path, quote, redacted_repr

BACKEND = "django_momento.cache.MomentoCache"
WHERE = "The cache URL"
_EXAMPLE = "momento://CACHE-NAME?secret_id=NAME-OF-THE-SECRET"
_LOCAL_EXAMPLE = "momento-local://127.0.0.1:8080/CACHE-NAME"
PARAMETERS = (*(name for name in DJANGO_SETTINGS if name != "OPTIONS"), *OPTIONS)


class Env(environ.Env):  # type: ignore[misc]  # django-environ has no types
    """``environ.Env`` whose ``cache_url()`` also reads ``momento://`` and ``momento-local://`` URLs."""

    def cache_url(
        self,
        var: str = environ.Env.DEFAULT_CACHE_ENV,
        default: Any = environ.Env.NOTSET,
        backend: str | None = None,
    ) -> dict[str, Any]:
        """Return ``CACHES[alias]`` for the URL in an environment variable, or else for ``default``.

        Raises ConfigurationError for a wrong Momento URL, and ImproperlyConfigured if there is no URL.
        """
        try:
            # A dict for its types, which django-environ does not have.
            return dict(super().cache_url(var, default, backend))
        except ConfigurationError as error:
            refused = _copy(error)
        except ValueError as error:
            refused = _no_url(error)
        # A key may have been pasted into the URL, and error trackers show the frames of a traceback.
        del default
        raise refused

    cache = cache_url

    @classmethod
    def cache_url_config(cls, url: str | ParseResult, backend: str | None = None) -> dict[str, Any]:
        """Return ``CACHES[alias]`` for a cache URL. Raises ConfigurationError for a wrong Momento URL."""
        text = url if isinstance(url, str) else url.geturl()
        parsed = None
        try:
            parsed = urlparse(text.strip())
            if parsed.scheme in ("momento", "momento-local"):
                return _read_url(parsed, backend or BACKEND)
            # An empty string, unlike an empty variable, is django-environ's way to ask for no cache.
            if url != "":
                _check_scheme(text.strip(), parsed.scheme, cls.CACHE_SCHEMES)
        except ConfigurationError as error:
            refused = _copy(error)
        except ValueError as error:
            refused = _no_url(error)
        else:
            return dict(super().cache_url_config(url, backend))
        del url, text, parsed
        raise refused


def _copy(error: ConfigurationError) -> ConfigurationError:
    """Return the error without its traceback, whose frames hold the URL."""
    problems = [ConfigurationError(each.cause, each.fix, each.category) for each in error.problems]
    return ConfigurationError.combine(WHERE, problems)


def _no_url(error: ValueError) -> ConfigurationError:
    fix = f"Write {_EXAMPLE}, or {_LOCAL_EXAMPLE} for a local server."
    return ConfigurationError(f"{WHERE} cannot be read as a URL: {quote(error, 100)}.", fix)


def _check_scheme(text: str, scheme: str, known: Collection[str]) -> None:
    """Raise ConfigurationError if a URL of another scheme was meant for Momento, or is none at all."""
    fix = f"Write {_EXAMPLE}, or {_LOCAL_EXAMPLE} for a local server."
    if not text:
        raise ConfigurationError(f"{WHERE} is empty.", fix)
    if text[0] in "'\"":
        raise ConfigurationError(
            f"{WHERE} has quotes around it.",
            "Remove them: a shell takes them away, but an env file of Docker or systemd may keep them.",
        )
    if not scheme:
        raise ConfigurationError(f"{WHERE} has no scheme such as momento://.", fix)
    if scheme not in known:
        raise ConfigurationError(f"{WHERE} has the unknown scheme {quote(scheme, 50)!r}.", fix)


def _read_url(url: ParseResult, backend: str) -> dict[str, Any]:
    problems: list[ConfigurationError] = []
    parameters = _parameters(_pairs(url), backend, problems)
    location = url.path
    if url.scheme == "momento":
        location = url.netloc + url.path
    else:
        parameters = _with_server(url.netloc, parameters, problems)
    config = _config(parameters, problems)
    if problems:
        raise ConfigurationError.combine(WHERE, problems)
    return {"BACKEND": backend, "LOCATION": unquote(location).strip("/"), **config}


def _pairs(url: ParseResult) -> list[tuple[str, str]]:
    """Return the query's names and values; raise ConfigurationError if the URL as a whole is wrong."""
    try:
        pairs = parse_qsl(url.query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{WHERE} has an escape that is not UTF-8.", "Write a % as %25.") from None
    rest = [unquote(part).strip("/") for part in (url.netloc, url.path, url.fragment)]
    if api_key_path([rest, pairs]) is not None:
        raise ConfigurationError(f"{WHERE} holds a Momento API key.", API_KEY_FIX, category="API key")
    if "@" in url.netloc:
        raise ConfigurationError(
            f"{WHERE} has a user name or a password, but Momento has API keys.",
            "Keep the API key out of the URL: give secret_id or credentials. Write an '@' in a name as %40.",
        )
    if url.scheme == "momento" and url.netloc.lower().endswith(".momentohq.com"):
        raise ConfigurationError(
            f"{WHERE} has Momento's endpoint where the cache's name belongs.",
            f"Write momento://CACHE-NAME?endpoint={url.netloc}",
        )
    if url.scheme == "momento" and re.search(r":[0-9]+$", url.netloc):
        raise ConfigurationError(
            f"{WHERE} has a port, but Momento's endpoint has none.",
            f"Write {_EXAMPLE}, or {_LOCAL_EXAMPLE} for a local server.",
        )
    if url.scheme == "momento-local" and not url.path.strip("/") and ":" not in url.netloc:
        raise ConfigurationError(
            f"{WHERE} does not name both a local server and a cache.",
            f"Write {_LOCAL_EXAMPLE}, or momento-local:///CACHE-NAME for the server at the default address.",
        )
    if url.fragment:
        raise ConfigurationError(f"{WHERE} has a '#', and all text after it is lost.", "Write it as %23.")
    return pairs


def _parameters(
    pairs: list[tuple[str, str]], backend: str, problems: list[ConfigurationError]
) -> dict[str, str]:
    """Return the query by the names of settings; add a problem for each name that is unknown or comes twice.

    A backend of one's own may have options of its own, which only that backend can tell from misspelled ones.
    """
    parameters: dict[str, str] = {}
    for name, text in pairs:
        setting = name.upper()
        if setting not in PARAMETERS and backend == BACKEND:
            problems += unknown_problems(WHERE, {name: text}, PARAMETERS)
        elif setting in parameters:
            cause = f"{WHERE} has {setting.lower()} more than once."
            problems.append(ConfigurationError(cause, "Keep only one of them."))
        else:
            parameters[setting] = text
    return parameters


def _with_server(host: str, parameters: dict[str, str], problems: list[ConfigurationError]) -> dict[str, str]:
    if host and "ENDPOINT" in parameters:
        cause = f"{WHERE} names its host and an endpoint."
        problems.append(ConfigurationError(cause, "Keep only one of them."))
    server = {"ENDPOINT": host} if host else {}
    return {"CREDENTIALS": "local", **parameters, **server}


def _config(parameters: dict[str, str], problems: list[ConfigurationError]) -> dict[str, Any]:
    config: dict[str, Any] = {"OPTIONS": {}}
    for name, text in parameters.items():
        is_beside_options = name in PARAMETERS and name not in OPTIONS
        try:
            (config if is_beside_options else config["OPTIONS"])[name] = _value(name, text)
        except ConfigurationError as error:
            problems.append(error)
    return config


def _value(name: str, text: str) -> Any:
    if name in OPTIONS:
        return _option(name, text)
    if name == "TIMEOUT":
        return _timeout(text)
    return _version(text) if name == "VERSION" else text


def _option(name: str, text: str) -> Any:
    kind = OPTIONS[name].type
    if kind.secret and " " in text:
        raise ConfigurationError(
            f"{WHERE}'s {name.lower()} has a space in it, because a '+' in a URL means a space.",
            "Percent-encode it: write + as %2B, / as %2F and = as %3D.",
        )
    try:
        return kind.from_text(text)
    except ValueError:
        raise _unreadable(name, text, kind.allowed, kind.in_url) from None


def _timeout(text: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    try:
        seconds = parse_seconds(text)
        if seconds.is_integer():
            return int(seconds)
    except ValueError:
        pass
    raise _unreadable("TIMEOUT", text, "a whole number of seconds, or none", "600, 30s, 10m, 1h, 2d")


def _version(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _unreadable("VERSION", text, "a whole number", "2") from None


def _unreadable(name: str, text: str, allowed: str, in_url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{WHERE} has {name.lower()}={redacted_repr(text)}.", f"Allowed: {allowed}; in a URL: {in_url}."
    )
