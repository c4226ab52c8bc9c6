"""django-environ's ``Env`` with ``momento://`` cache URLs. Every option means the same as in a dict.

    CACHES = {"default": Env().cache_url()}
    CACHE_URL=momento://my-cache?secret_id=Momento_Auth_Token&region=us-west-2&timeout=10m

The host is LOCATION, the Momento cache's name; the query holds TIMEOUT, KEY_PREFIX, VERSION, KEY_FUNCTION and
every key of OPTIONS, in any case. A cache of momento-local is ``momento-local://127.0.0.1:8080/my-cache``.
Only mistakes of the URL itself are refused here. The backend, which knows the alias, refuses all others.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import ParseResult, parse_qsl, unquote, urlparse

import environ

from .conf.options import OPTIONS
from .conf.parsing import API_KEY_FIX, DJANGO_SETTINGS, unknown_problems
from .conf.types import parse_seconds
from .exceptions import ConfigurationError
from .redaction import api_key_path

BACKEND = "django_momento.cache.MomentoCache"
WHERE = "The cache URL"
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
        # A key may have been pasted into the URL, and error trackers show the frames of a traceback.
        del default
        raise refused

    @classmethod
    def cache_url_config(cls, url: str | ParseResult, backend: str | None = None) -> dict[str, Any]:
        """Return ``CACHES[alias]`` for a cache URL. Raises ConfigurationError for a wrong Momento URL."""
        parsed = url if isinstance(url, ParseResult) else urlparse(url)
        if parsed.scheme not in ("momento", "momento-local"):
            return dict(super().cache_url_config(url, backend))
        try:
            return _read_url(parsed, backend or BACKEND)
        except ConfigurationError as error:
            refused = _copy(error)
        del url, parsed
        raise refused


def _copy(error: ConfigurationError) -> ConfigurationError:
    """Return the error without its traceback, whose frames hold the URL."""
    return ConfigurationError(error.cause, error.fix, error.category)


def _read_url(url: ParseResult, backend: str) -> dict[str, Any]:
    parameters = _parameters(_pairs(url), backend)
    if url.scheme == "momento":
        location = url.netloc + url.path
    else:
        location = url.path
        parameters = _with_server(url.netloc, parameters)
    return {"BACKEND": backend, "LOCATION": unquote(location).strip("/"), **_config(parameters)}


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
    if url.fragment:
        raise ConfigurationError(f"{WHERE} has a '#', and all text after it is lost.", "Write it as %23.")
    return pairs


def _parameters(pairs: list[tuple[str, str]], backend: str) -> dict[str, str]:
    """Return the query by the names of settings; refuse a name that is unknown or comes twice.

    A backend of one's own may have options of its own, which only that backend can tell from misspelled ones.
    """
    parameters: dict[str, str] = {}
    for name, text in pairs:
        setting = name.upper()
        if setting not in PARAMETERS and backend == BACKEND:
            raise next(unknown_problems(WHERE, {name: text}, PARAMETERS))
        if setting in parameters:
            raise ConfigurationError(
                f"{WHERE} has {setting.lower()} more than once.", "Keep only one of them."
            )
        parameters[setting] = text
    return parameters


def _with_server(host: str, parameters: dict[str, str]) -> dict[str, str]:
    if host and "ENDPOINT" in parameters:
        raise ConfigurationError(f"{WHERE} names its host and an endpoint.", "Keep only one of them.")
    server = {"ENDPOINT": host} if host else {}
    return {"CREDENTIALS": "local", **parameters, **server}


def _config(parameters: dict[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {"OPTIONS": {}}
    for name, text in parameters.items():
        if name in OPTIONS:
            config["OPTIONS"][name] = _option(name, text)
        elif name not in PARAMETERS:
            config["OPTIONS"][name] = text
        elif name == "TIMEOUT":
            config[name] = _timeout(text)
        elif name == "VERSION":
            config[name] = _version(text)
        else:
            config[name] = text
    return config


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
        f"{WHERE} has {name.lower()}={text!r}.", f"Allowed: {allowed}; in a URL: {in_url}."
    )
