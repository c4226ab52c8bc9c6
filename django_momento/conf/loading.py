"""What an alias of ``CACHES`` comes to: its options, parsed once, and its codec, made once.

Django makes a cache for every thread and every task, from what CACHES says and without saying for which
alias. What is found out here is kept, so that all but the first of them are cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.utils.module_loading import import_string

from ..codec.codec import KeySource, ValueCodec, build_codec
from ..codec.imports import OptionError
from ..exceptions import ConfigurationError
from ..redaction import SecretStr
from .options import CacheOptions, parse

# What ENCRYPTION_KEY says where the keys are in the secret that holds the API key.
FROM_THE_SECRET = "secret"  # noqa: S105 - a word, not a secret

_kept: dict[tuple[type, str], tuple[str, dict[str, Any], CacheOptions]] = {}


def load_options(backend: type, location: str, params: Mapping[str, Any]) -> CacheOptions:
    """Answer the options of the alias with this backend, LOCATION and settings. Raises ConfigurationError."""
    for (kept_backend, _), (kept_location, kept_params, options) in list(_kept.items()):
        if kept_backend is backend and kept_location == location and kept_params == params:
            return options
    alias = _alias(backend, location, params)
    options = parse(alias, location, params)
    _kept[backend, alias] = (location, {**params, "OPTIONS": dict(params.get("OPTIONS", {}))}, options)
    return options


def load_codec(options: CacheOptions, get_keys: KeySource) -> ValueCodec:
    """Return the codec for these options. Raises ConfigurationError if a package for it is missing.

    ``get_keys`` returns the encryption keys of the secret that holds the API key, if the options say so.
    """
    key = options.encryption_key
    try:
        return build_codec(
            options.serializer,
            signing_secrets=_secret_keys() if options.sign else (),
            encryption_key=get_keys if key == FROM_THE_SECRET else key,
            compressor=options.compressor,
            compress_min_length=options.compress_min_length,
            cache_name=options.cache_name,
        )
    except OptionError as error:
        where = f"CACHES[{options.alias!r}]['OPTIONS']['{error.option}']"
        raise ConfigurationError(f"{where} {error.cause}", error.fix) from error


def _secret_keys() -> tuple[SecretStr | bytes, ...]:
    # Wrapped, because frames with local variables end up on debug pages and in error trackers.
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(SecretStr(key) if isinstance(key, str) else key for key in keys)


def _alias(backend: type, location: str, params: Mapping[str, Any]) -> str:
    # Django does not tell a backend its alias, which every message about its settings needs.
    for alias, configured in caches.settings.items():
        rest = dict(configured)
        path = rest.pop("BACKEND", "")
        if rest.pop("LOCATION", "") == location and rest == params and import_string(path) is backend:
            return str(alias)
    return "(not in CACHES)"
