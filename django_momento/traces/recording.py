"""Recordings: the options of a RecordingCache, its sample of keys, and the facts about each key.

One recording serves all caches of a process with equal options, because Django makes a cache for each thread
and each task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import caches

from ..codec.imports import OptionError, import_dotted
from ..conf.wrapping import leads_back
from ..exceptions import ConfigurationError
from ..interruption import is_interruption
from ..policies.key_groups import OTHER, group_names, is_whole_key
from .files import SUFFIXES, import_zstd, split_name
from .format import HASH_DIGITS, HASH_SPACE, hash_key, hash_secret
from .writer import OTHERS, KeyEntry, TraceWriter, find_writer

MISSING: Any = object()
DEFAULT_MAX_BYTES = 256 * 1024 * 1024
MIN_MAX_BYTES = 64 * 1024

# Keys whose hashes are remembered.
MAX_REMEMBERED = 20_000

_NAMES = ("CACHE", "TRACE", "SAMPLE", "MAX_BYTES", "KEY_GROUP")
# Settings that belong to the wrapped alias.
_SETTINGS_OF_WRAPPED = ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION")


@dataclass(frozen=True)
class RecordingOptions:
    """OPTIONS of a RecordingCache, parsed."""

    cache: str
    trace: Path
    sample: float = 1.0
    max_bytes: int = DEFAULT_MAX_BYTES
    key_group: str | None = None


class Recording:
    """Decide which keys are recorded, and remember the facts about them."""

    def __init__(
        self,
        options: RecordingOptions,
        secret: bytes,
        writer: TraceWriter,
        key_group: Callable[[str], object] | None,
    ) -> None:
        self.options = options
        self.writer = writer
        self.no_key = KeyEntry("0" * HASH_DIGITS, "", 0)
        self._key_group = key_group
        self._secret = secret
        # The first hash that is not in the sample. Its digits compare as the number does.
        self._bound = f"{int(options.sample * HASH_SPACE):0{HASH_DIGITS}x}" if options.sample < 1 else "g"
        self._entries: dict[Any, KeyEntry] = {}

    def copy(self) -> Recording:
        """Return a recording of the same trace that remembers no key."""
        return Recording(self.options, self._secret, self.writer, self._key_group)

    def find(self, wrapped: Any, key: Any, version: int | None) -> KeyEntry:
        """Return the facts about a key, or OTHERS if it is not in the sample."""
        if type(key) is not str:  # 1 and True are equal, and different keys
            return self._make(wrapped, key, version)
        entry = self._entries.get((key, version))
        if entry is None:
            if len(self._entries) >= MAX_REMEMBERED:
                self._entries.clear()
            entry = self._entries[key, version] = self._make(wrapped, key, version)
        return entry

    def _make(self, wrapped: Any, key: Any, version: int | None) -> KeyEntry:
        try:
            full_key = str(wrapped.make_key(key, version=version)).encode("utf-8", "surrogatepass")
        except Exception as error:  # the wrapped cache raises it too, to the caller
            if is_interruption(error):
                raise
            return OTHERS
        hashed = hash_key(self._secret, full_key)
        if hashed >= self._bound:
            return OTHERS
        group = group_names.find(self.options.cache, (key,), self._key_group)
        if self._key_group is None and is_whole_key(group, str(key)):
            group = OTHER  # a trace has no keys
        return KeyEntry(hashed, group, len(full_key))


class _Kept:
    """Recordings by the settings of an alias, for as long as CACHES is the same object: tests replace it."""

    def __init__(self) -> None:
        self._configured: object = None
        self._recordings: dict[object, Recording] = {}

    def find(self, key: object) -> Recording | None:
        """Return the recording for equal settings, or None."""
        if self._configured is not caches.settings:
            self._configured, self._recordings = caches.settings, {}
        return self._recordings.get(key)

    def add(self, key: object, recording: Recording) -> None:
        self._recordings[key] = recording


_kept = _Kept()


def load_recording(location: str, params: Mapping[str, Any]) -> Recording:
    """Return the recording for the settings of an alias, which are parsed once. Raises ConfigurationError."""
    # Django makes a cache for each task, and so perhaps for each request.
    key = location, repr(params)
    recording = _kept.find(key)
    if recording is None:
        options = parse_options(location, params)
        recording = _load(options, hash_secret(settings.SECRET_KEY))
        _kept.add(key, recording)
    return recording


def parse_options(location: str, params: Mapping[str, Any]) -> RecordingOptions:
    """Return the parsed OPTIONS of an alias. Raises ConfigurationError, which lists all problems."""
    problems: list[ConfigurationError] = []
    given = params.get("OPTIONS", {})
    if not isinstance(given, Mapping):
        raise _problem(f"OPTIONS is {given!r}.", f"Give a dict of {', '.join(_NAMES)}.")
    options = _parse(given, problems)
    if location:
        problems.append(
            _problem(f"LOCATION is {location!r}.", "Leave it out: the wrapped alias has its own.")
        )
    if not problems and options is not None:
        wrapped = caches.settings[options.cache]
        problems += [
            _problem(
                f"{name} is {params[name]!r}, and {wrapped.get(name)!r} in CACHES[{options.cache!r}].",
                f"Set it in CACHES[{options.cache!r}] alone, which decides.",
            )
            for name in _SETTINGS_OF_WRAPPED
            if name in params and params[name] != wrapped.get(name)
        ]
    if problems or options is None:
        raise ConfigurationError.combine("A RecordingCache in CACHES", problems)
    return options


@cache
def _load(options: RecordingOptions, secret: bytes) -> Recording:
    key_group = import_dotted(options.key_group, "KEY_GROUP") if options.key_group else None
    writer = find_writer(options.trace, options.sample, options.max_bytes)
    return Recording(options, secret, writer, key_group)


def _problem(cause: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"RecordingCache: {cause}", fix)


def _parse(given: Mapping[str, Any], problems: list[ConfigurationError]) -> RecordingOptions | None:
    problems += [
        _problem(f"OPTIONS has {name!r}.", f"Give one of {', '.join(_NAMES)}.")
        for name in given
        if name not in _NAMES
    ]
    alias = given.get("CACHE")
    if not isinstance(alias, str) or alias not in caches.settings:
        problems.append(
            _problem(f"CACHE is {alias!r}, which is no alias of CACHES.", "Name the alias to record.")
        )
    elif leads_back(alias):
        problems.append(_problem(f"CACHE is {alias!r}, which leads back to itself.", "Name another alias."))
    trace, sample = given.get("TRACE"), given.get("SAMPLE", 1.0)
    path = None
    try:
        path = Path(trace or "").absolute()
        _, suffix = split_name(path)
        if suffix == SUFFIXES[-1]:
            import_zstd("TRACE")
    except (TypeError, ValueError):
        endings = ", ".join(SUFFIXES)
        problems.append(_problem(f"TRACE is {trace!r}.", f"Give a path that ends with one of {endings}."))
    except OptionError as error:
        problems.append(
            _problem(f"{error.option} {error.cause}", f"{error.fix} Or let TRACE end with .jsonl.gz.")
        )
    if not _is_number(sample) or not 0 < sample <= 1:
        problems.append(
            _problem(f"SAMPLE is {sample!r}.", "Give the share of keys to record, above 0 and up to 1.")
        )
    max_bytes = given.get("MAX_BYTES", DEFAULT_MAX_BYTES)
    if not _is_number(max_bytes) or max_bytes < MIN_MAX_BYTES:
        problems.append(
            _problem(f"MAX_BYTES is {max_bytes!r}.", f"Give a number of at least {MIN_MAX_BYTES}.")
        )
    key_group = given.get("KEY_GROUP")
    try:
        if key_group is not None and not callable(import_dotted(key_group, "KEY_GROUP")):
            problems.append(_problem(f"KEY_GROUP is {key_group!r}.", "Name a function."))
    except OptionError as error:
        problems.append(_problem(f"{error.option} {error.cause}", error.fix))
    if problems or path is None:
        return None
    return RecordingOptions(str(alias), path, float(sample), int(max_bytes), key_group)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
