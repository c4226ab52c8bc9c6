"""Check every DualCache: its settings, and the pair of caches that it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Info, Tags, register

from ..exceptions import ConfigurationError
from .aliases import TAG, is_backend_of, warning

if TYPE_CHECKING:
    from ..migration.settings import Pairing

# Settings beside OPTIONS, which the two aliases have for themselves.
_WITHOUT_EFFECT = ("LOCATION", "TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION")


@register(Tags.caches, TAG)
def check_pair(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E005: a DualCache names no pair of caches, or its PHASE is none."""
    found: list[CheckMessage] = []
    for alias, parsed in _pairings():
        error = parsed if isinstance(parsed, ConfigurationError) else _first_reading(parsed)
        if error is not None:
            found += [
                Error(problem.cause, hint=problem.fix, id="django_momento.E005", obj=alias)
                for problem in error.problems
            ]
    return found


@register(Tags.caches, TAG)
def check_settings_without_effect(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W013: a DualCache has a setting that only its two aliases have."""
    return [
        warning(
            "W013",
            f"CACHES[{alias!r}][{name!r}] has no effect: a DualCache passes keys and timeouts on unchanged.",
            f"Set {name} of the two aliases that OLD and NEW name, and remove it here.",
        )
        for alias, _ in _pairings()
        for name in _WITHOUT_EFFECT
        if name in caches.settings[alias]
    ]


@register(Tags.caches, TAG)
def check_timeouts(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W014: a value without a timeout of its own lives longer in one cache than in the other."""
    return [
        warning(
            "W014",
            f"CACHES[{pairing.old!r}] has a TIMEOUT of {old.default_timeout} and CACHES[{pairing.new!r}] of "
            f"{new.default_timeout}: values that are set without a timeout end at different times.",
            f"Set TIMEOUT of {pairing.new!r} to {old.default_timeout}.",
        )
        for pairing, old, new in _pairs()
        if old.default_timeout != new.default_timeout
    ]


@register(Tags.caches, TAG)
def check_time_left(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """I003: a DualCache cannot copy values, because OLD does not tell the time that they have left."""
    from ..migration.time_left import can_tell

    return [
        Info(
            f"{type(old).__name__} of CACHES[{pairing.old!r}] does not tell how long a value has left. So "
            f"CACHES[{pairing.alias!r}] copies no value in 'dual'.",
            hint=f"Stay in 'shadow' until the values that matter were set anew. `manage.py momento_migration "
            f"--alias {pairing.alias}` shows the share of them. Then add 'django_momento.I003' to "
            "SILENCED_SYSTEM_CHECKS.",
            id="django_momento.I003",
        )
        for pairing, old, _ in _pairs()
        if not can_tell(old)
    ]


def _first_reading(pairing: Pairing) -> ConfigurationError | None:
    """Return the error that the first use would raise for PHASE. Do not call a callable of the site."""
    if pairing.phase.in_thread:
        return None
    try:
        pairing.phase.read()
    except ConfigurationError as error:
        return error
    return None


def _pairings() -> Iterator[tuple[str, Pairing | ConfigurationError]]:
    """Return the settings of each DualCache by alias, or the error if they are refused."""
    for alias, configured in caches.settings.items():
        if is_backend_of("django_momento.migration", configured):
            from ..migration.settings import parse_pairing

            try:
                yield alias, parse_pairing(alias, configured)
            except ConfigurationError as error:
                yield alias, error


def _pairs() -> Iterator[tuple[Pairing, Any, Any]]:
    """Return each usable pair with an instance of both caches."""
    for _, pairing in _pairings():
        if not isinstance(pairing, ConfigurationError):
            try:
                old, new = map(caches.create_connection, (pairing.old, pairing.new))
            except Exception:  # noqa: BLE001, S112 - Django's own checks name it
                continue
            yield pairing, old, new
