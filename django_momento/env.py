"""django-environ's ``Env`` with ``momento://`` cache URLs: every option means the same as in a dict.

    CACHES = {"default": Env().cache_url()}
    CACHE_URL=momento://my-cache?secret_id=Momento_Auth_Token&region=us-west-2&timeout=600

The host is LOCATION, the Momento cache's name; the query holds TIMEOUT, KEY_PREFIX, VERSION, KEY_FUNCTION
and every key of OPTIONS, in any case. A cache of momento-local is ``momento-local://127.0.0.1:8080/my-cache``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import ParseResult, parse_qsl, unquote, urlparse

import environ

from . import options
from .exceptions import ConfigurationError

BACKEND = "django_momento.cache.MomentoCache"


class Env(environ.Env):  # type: ignore[misc]  # django-environ has no types
    """``environ.Env`` whose ``cache_url()`` also reads ``momento://`` and ``momento-local://`` URLs."""

    @classmethod
    def cache_url_config(cls, url: str | ParseResult, backend: str | None = None) -> dict[str, Any]:
        """Answer ``CACHES[alias]`` for a cache URL. Raises ConfigurationError for a wrong Momento URL."""
        parsed = url if isinstance(url, ParseResult) else urlparse(url)
        match parsed.scheme:
            case "momento":
                config = _from_query(parsed, {"LOCATION": _cache_name(parsed.netloc + parsed.path)})
            case "momento-local":
                config = _from_query(parsed, {"LOCATION": _cache_name(parsed.path)})
                config["OPTIONS"].setdefault("CREDENTIALS", "local")
                if parsed.netloc:
                    config["OPTIONS"]["ENDPOINT"] = parsed.netloc
            case _:
                return dict(super().cache_url_config(url, backend))
        return {"BACKEND": backend or BACKEND, **config}


def _cache_name(text: str) -> str:
    return unquote(text).strip("/")


def _from_query(url: ParseResult, config: dict[str, Any]) -> dict[str, Any]:
    config["OPTIONS"] = {}
    for name, text in parse_qsl(url.query, keep_blank_values=True):
        setting = name.upper()
        if setting in ("KEY_PREFIX", "KEY_FUNCTION"):
            config[setting] = text
        elif setting in ("TIMEOUT", "VERSION"):
            config[setting] = _number(setting, text)
        else:
            config["OPTIONS"][setting] = _option(setting, text)
    return config


def _number(setting: str, text: str) -> int | None:
    if setting == "TIMEOUT" and text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(
            f"The cache URL has {setting.lower()}={text!r}.", "It must be a whole number."
        ) from None


def _option(name: str, text: str) -> Any:
    option = options.OPTIONS.get(name)
    if option is None:
        return text  # The backend refuses it by name, as it does in a dict.
    try:
        return option.kind.from_text(text)
    except (KeyError, ValueError):
        raise ConfigurationError(
            f"The cache URL has {name.lower()}={text!r}.", f"Allowed: {option.kind.allowed}."
        ) from None
