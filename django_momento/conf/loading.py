"""Parse the aliases of ``CACHES``, each once, and build their codecs.

Django makes a cache for every thread and every task, and does not say for which alias. Parsed options are
kept, so that only the first cache of an alias pays for them.

Settings may hold secrets: an encryption key, or an API key in the wrong place. Debug pages and error trackers
show the local variables of every frame of a traceback. Problems are therefore returned, and raised in a frame
that holds no setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.utils.module_loading import import_string

from ..codec.codec import KeySource, ValueCodec, build_codec
from ..codec.compressors import find_compressor
from ..codec.imports import OptionError
from ..codec.serializers import find_serializer
from ..exceptions import ConfigurationError
from ..redaction import SecretStr, looks_like_a_key
from .options import FROM_THE_SECRET, OPTIONS, CacheOptions
from .parsing import Misplaced, parse_alias

BACKEND = "django_momento.cache.MomentoCache"
UNKNOWN_ALIAS = "(not in CACHES)"


class Settings:
    """LOCATION and the other settings of a cache, as Django hands them over. The ``repr`` hides both."""

    __slots__ = ("location", "params")

    def __init__(self, location: str, params: Mapping[str, Any]) -> None:
        self.location = location
        self.params = params


def parse(
    alias: str, location: object, params: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> CacheOptions:
    """Return the options of an alias: its LOCATION, and its settings without BACKEND and LOCATION.

    ``extra`` holds the names and defaults of a subclass's own options. Raises ConfigurationError, which lists
    every problem.
    """
    outcome = parse_alias(alias, location, params, extra or {})
    # The frame of this function is part of the traceback.
    del location, params
    if isinstance(outcome, ConfigurationError):
        raise outcome
    return outcome


def load_options(backend: type, given: Settings, alias: str | None = None) -> CacheOptions:
    """Return the options of the alias with this backend and these settings.

    The alias is looked up in CACHES unless it is given. Raises ConfigurationError.
    """
    outcome: CacheOptions | ConfigurationError | None
    outcome = None if alias else _kept.find(backend, given.location, given.params)
    if outcome is None:
        outcome = _parse_and_keep(backend, given.location, given.params, alias)
    if isinstance(outcome, ConfigurationError):
        raise outcome
    return outcome


class _Kept:
    """Parsed options, for as long as CACHES is the same object: tests replace it."""

    def __init__(self) -> None:
        self._configured: object = None
        # By backend and alias: LOCATION, the other settings, and the options parsed from them.
        self._entries: dict[tuple[type, str], tuple[str, dict[str, Any], CacheOptions]] = {}

    def find(self, backend: type, location: str, params: Mapping[str, Any]) -> CacheOptions | None:
        """Return the options parsed from equal settings, or None."""
        if self._configured is not caches.settings:
            self._configured, self._entries = caches.settings, {}
        for (kept_backend, _), (kept_location, kept_params, options) in [*self._entries.items()]:
            if kept_backend is backend and kept_location == location and kept_params == params:
                return options
        return None

    def add(self, backend: type, location: str, params: Mapping[str, Any], options: CacheOptions) -> None:
        # A copy: a subclass may change the settings that it was given.
        copied = {**params, "OPTIONS": dict(params.get("OPTIONS", {}))}
        self._entries[backend, options.alias] = (location, copied, options)


_kept = _Kept()


def _parse_and_keep(
    backend: type, location: str, params: Mapping[str, Any], alias: str | None
) -> CacheOptions | ConfigurationError:
    alias = alias or _find_alias(backend, location, params)
    outcome = parse_alias(alias, location, params, extra_options(backend))
    if isinstance(outcome, CacheOptions):
        _kept.add(backend, location, params, outcome)
    elif alias in caches.settings:
        # If a test replaced CACHES after the app was ready, its secrets are not masked yet.
        mask_secrets(caches.settings[alias])
    return outcome


def mask_secrets(configured: Any) -> None:
    """Replace each secret inside settings by an equal string whose ``repr`` does not show it.

    Django's debug page shows all settings, and hides none by the name of LOCATION. Django's own frames hold
    the settings of an alias while they make its cache.
    """
    if isinstance(configured, dict | list):
        for name, value in configured.items() if isinstance(configured, dict) else enumerate(configured):
            if isinstance(value, str) and (name == "ENCRYPTION_KEY" or looks_like_a_key(value)):
                configured[name] = SecretStr(value)
            else:
                mask_secrets(value)


def replace_misplaced(configured: Any) -> Any:
    """Return CACHES with a dict that this backend refuses in place of each alias that is no dict.

    The text of a cache URL is such an alias, also in place of the whole CACHES. Django's own checks would end
    with an AttributeError, and so would `runserver` and `migrate`.
    """
    if not isinstance(configured, Mapping):
        configured = {DEFAULT_CACHE_ALIAS: configured}
    for alias, config in configured.items() if isinstance(configured, dict) else ():
        if not isinstance(config, Mapping):
            configured[alias] = {"BACKEND": BACKEND, "LOCATION": Misplaced(config)}
    return configured


def extra_options(backend: type) -> dict[str, Any]:
    """Return the names and defaults of the options that a subclass and its own bases add.

    Raises ConfigurationError if a declaration is not a dict, or redefines an option.
    """
    extra: dict[str, Any] = {}
    for base in reversed(backend.__mro__):
        added = vars(base).get("extra_options", {})
        where = f"{base.__module__}.{base.__qualname__}.extra_options"
        if not isinstance(added, Mapping):
            raise ConfigurationError(f"{where} is not a dict.", "It must map names of options to defaults.")
        if taken := sorted(added.keys() & OPTIONS.keys()):
            raise ConfigurationError(
                f"{where} has {', '.join(taken)}, which every Momento cache has.", "Choose another name."
            )
        extra.update(added)
    return extra


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
        where = f"CACHES[{options.alias!r}]"
        problems = [
            ConfigurationError(f"{where}['OPTIONS']['{name}'] {problem.cause}", problem.fix)
            for name, problem in {error.option: error, **_format_problems(options)}.items()
        ]
        raise ConfigurationError.combine(where, problems) from error


def _format_problems(options: CacheOptions) -> dict[str, OptionError]:
    """Return the error of each option that names an unusable format, by the name of the option."""
    problems: dict[str, OptionError] = {}
    try:
        find_serializer(options.serializer)
    except OptionError as error:
        problems[error.option] = error
    try:
        if options.compressor:
            find_compressor(options.compressor)
    except OptionError as error:
        problems[error.option] = error
    return problems


def _secret_keys() -> tuple[SecretStr | bytes, ...]:
    # Wrapped, because frames with local variables end up on debug pages and in error trackers.
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(SecretStr(key) if isinstance(key, str) else key for key in keys)


def _find_alias(backend: type, location: str, params: Mapping[str, Any]) -> str:
    """Return the alias of a cache. Every message needs it, but Django does not tell it to a backend.

    A subclass may have changed its settings before it passed them on. Then the alias is the one whose
    settings contain these, or the only one of the subclass.
    """
    candidates = {
        str(alias): configured
        for alias, configured in caches.settings.items()
        if isinstance(configured, Mapping) and _is_backend(configured, backend)
    }
    steps: list[Callable[[Mapping[str, Any]], bool]] = [
        lambda configured: _without_backend(configured) == {"LOCATION": location, **params}
    ]
    if f"{backend.__module__}.{backend.__qualname__}" != BACKEND:
        steps.append(lambda configured: _is_part_of({"LOCATION": location, **params}, configured))
        steps.append(lambda configured: True)
    for step in steps:
        found = [alias for alias, configured in candidates.items() if step(configured)]
        if found and (step is steps[0] or len(found) == 1):
            return found[0]
    return UNKNOWN_ALIAS


def _is_backend(configured: Mapping[str, Any], backend: type) -> bool:
    try:
        return import_string(configured.get("BACKEND", "")) is backend
    except ImportError:  # of another alias, whose package is not installed
        return False


def _without_backend(configured: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in configured.items() if name != "BACKEND"}
    return {"LOCATION": "", **rest}


def _is_part_of(given: Mapping[str, Any], configured: Mapping[str, Any]) -> bool:
    """Return whether all of these settings, and of their OPTIONS, are among the configured ones."""
    given = dict(given)
    options, all_options = given.pop("OPTIONS", {}), configured.get("OPTIONS", {})
    if not isinstance(options, Mapping) or not isinstance(all_options, Mapping):
        return False
    return given.items() <= configured.items() and options.items() <= all_options.items()
