"""The OPTIONS of a DualCache: the two aliases, the phase, and the share of reads to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import caches

from ..conf.foreign import find_nearest
from ..conf.wrapping import leads_back
from ..exceptions import ConfigurationError
from ..redaction import redacted_repr
from .phases import PhaseSource

OPTIONS = ("OLD", "NEW", "PHASE", "SAMPLE", "IGNORE_EXCEPTIONS")
DEFAULT_SAMPLE = 0.1


@dataclass(frozen=True)
class Pairing:
    """The parsed OPTIONS of one alias.

    ``sample`` is the share of reads that are compared. ``ignore_exceptions`` is None if each of the two
    aliases decides for itself.
    """

    alias: str
    old: str
    new: str
    phase: PhaseSource
    sample: float
    ignore_exceptions: bool | None

    @property
    def identity(self) -> tuple[object, ...]:
        """Return a value that is equal for equal settings."""
        return self.alias, self.old, self.new, self.phase.spelling, self.sample, self.ignore_exceptions


def parse_pairing(alias: str, params: Mapping[str, Any]) -> Pairing:
    """Return the parsed settings of an alias, without LOCATION and BACKEND. Do no I/O.

    Raises ConfigurationError, which lists all problems.
    """
    where = f"CACHES[{alias!r}]['OPTIONS']"
    given = params.get("OPTIONS", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where} must be a dict, not {redacted_repr(given)}.")
    problems = [_unknown(where, name) for name in given if name not in OPTIONS]
    problems += [_missing(where, name) for name in ("OLD", "NEW", "PHASE") if name not in given]
    problems += [
        problem
        for name in ("OLD", "NEW")
        if name in given and (problem := _alias_problem(where, name, given[name])) is not None
    ]
    if not problems and given["OLD"] == given["NEW"]:
        problems.append(
            ConfigurationError(
                f"{where} has the same alias {given['OLD']!r} in OLD and NEW.",
                "Name the alias that you leave in OLD, and the alias that you go to in NEW.",
            )
        )
    problems += [
        ConfigurationError(
            f"{where}['{name}'] is {given[name]!r}, whose own options lead back to a cache that is over it.",
            "Name an alias that stores values itself.",
        )
        for name in ("OLD", "NEW")
        if not problems and leads_back(given[name])
    ]
    sample = given.get("SAMPLE", DEFAULT_SAMPLE)
    if isinstance(sample, bool) or not isinstance(sample, int | float) or not 0 <= sample <= 1:
        problems.append(
            ConfigurationError(
                f"{where}['SAMPLE'] is {redacted_repr(sample)}.",
                "It is the share of reads to compare: a number from 0 to 1.",
            )
        )
    ignore = given.get("IGNORE_EXCEPTIONS")
    if ignore is not None and not isinstance(ignore, bool):
        problems.append(
            ConfigurationError(
                f"{where}['IGNORE_EXCEPTIONS'] is {redacted_repr(ignore)}.",
                "Allowed: True or False. Without it each of the two aliases decides for itself.",
            )
        )
    phase = None
    if "PHASE" in given:
        try:
            phase = PhaseSource(alias, given["PHASE"])
        except ConfigurationError as error:
            problems.append(error)
    if problems or phase is None:
        raise ConfigurationError.combine(f"CACHES[{alias!r}]", problems)
    return Pairing(alias, given["OLD"], given["NEW"], phase, float(sample), ignore)


def find_alias(params: Mapping[str, Any]) -> str:
    """Return the alias of CACHES that has these settings, or ``default`` if there is none."""
    for alias, configured in caches.settings.items():
        if isinstance(configured, Mapping) and configured.get("OPTIONS") == params.get("OPTIONS"):
            return str(alias)
    return "default"


def is_dual(configured: object) -> bool:
    """Return whether the settings of an alias name a DualCache or a subclass."""
    from django.utils.module_loading import import_string

    from .cache import DualCache

    if not isinstance(configured, Mapping):
        return False
    try:
        backend = import_string(configured.get("BACKEND", ""))
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, DualCache)


def _unknown(where: str, name: object) -> ConfigurationError:
    nearest = find_nearest(str(name), OPTIONS)
    fix = f"Did you mean {nearest!r}?" if nearest else f"Valid are: {', '.join(OPTIONS)}."
    return ConfigurationError(f"{where} has an unknown setting {redacted_repr(name)}.", fix)


def _missing(where: str, name: str) -> ConfigurationError:
    meaning = {
        "OLD": "the alias that you leave",
        "NEW": "the alias that you go to",
        "PHASE": "'shadow' to begin with, or its place: 'file:PATH', 'env:NAME' or a dotted path",
    }[name]
    return ConfigurationError(f"{where} has no {name}.", f"Give {name}, {meaning}.")


def _alias_problem(where: str, name: str, alias: object) -> ConfigurationError | None:
    known = [each for each in caches.settings if not is_dual(caches.settings[each])]
    if alias in known:
        return None
    fix = f"Name another alias of CACHES: {', '.join(map(repr, known)) or 'there is none yet'}."
    if isinstance(alias, str) and alias in caches.settings:
        return ConfigurationError(f"{where}['{name}'] is {alias!r}, which is a DualCache itself.", fix)
    return ConfigurationError(
        f"{where}['{name}'] is {redacted_repr(alias)}, which is no alias of CACHES.", fix
    )
