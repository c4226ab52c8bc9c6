"""The settings of a DualCache: each mistake has its cause and its fix, at the first use and in the checks."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks import run_checks

from django_momento.checks.aliases import TAG
from django_momento.conf.loading import mask_secrets
from django_momento.exceptions import ConfigurationError
from tests.kit.aws import KEYS, report, shown_of
from tests.kit.tables import table

DUAL = "django_momento.migration.DualCache"
MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

MISTAKES: dict[str, tuple[Any, str]] = {
    "no dict": ("redis", "must be a dict"),
    "nothing": ({}, "has no OLD"),
    "no phase": ({"OLD": "old", "NEW": "new"}, "Give PHASE, 'shadow' to begin with"),
    "typo": ({"OLD": "old", "NEW": "new", "PHASES": "dual"}, "Did you mean 'PHASE'?"),
    "unknown alias": ({"OLD": "redis", "NEW": "new", "PHASE": "dual"}, "no alias of CACHES. Name another"),
    "itself": ({"OLD": "default", "NEW": "new", "PHASE": "dual"}, "which is a DualCache itself"),
    "a cache over it": (
        {"OLD": "recorded", "NEW": "new", "PHASE": "dual"},
        "'recorded', whose own options lead",
    ),
    "same": ({"OLD": "old", "NEW": "old", "PHASE": "dual"}, "the same alias 'old' in OLD and NEW"),
    "phase": (
        {"OLD": "old", "NEW": "new", "PHASE": "duel"},
        "is 'duel'. Allowed: 'shadow', 'dual' or 'done'",
    ),
    "phase's type": ({"OLD": "old", "NEW": "new", "PHASE": 2}, "['PHASE'] is 2."),
    "no file's name": ({"OLD": "old", "NEW": "new", "PHASE": "file:"}, "Allowed: 'shadow'"),
    "no file": ({"OLD": "old", "NEW": "new", "PHASE": "file:/no/such"}, "cannot be read (FileNotFoundError"),
    "no variable": ({"OLD": "old", "NEW": "new", "PHASE": "env:NO_SUCH"}, "cannot be read (KeyError"),
    "sample": ({"OLD": "old", "NEW": "new", "PHASE": "dual", "SAMPLE": 10}, "a number from 0 to 1"),
    "sample's type": ({"OLD": "old", "NEW": "new", "PHASE": "dual", "SAMPLE": True}, "a number from 0 to 1"),
    "ignore": (
        {"OLD": "old", "NEW": "new", "PHASE": "dual", "IGNORE_EXCEPTIONS": "yes"},
        "Allowed: True or False",
    ),
}


@pytest.fixture
def configure(settings):
    def configure(options: Any, **params: Any) -> None:
        settings.CACHES = {
            "default": {"BACKEND": DUAL, "OPTIONS": options, **params},
            "old": {**MEMORY, **params.pop("old", {})},
            "new": {**MEMORY, **params.pop("new", {})},
            "recorded": {
                "BACKEND": "django_momento.recorder.RecordingCache",
                "OPTIONS": {"CACHE": "default", "TRACE": "trace.jsonl"},
            },
        }

    return configure


@table("mistake", MISTAKES, afresh=True)
def test_a_mistake_is_named_with_its_fix(configure, mistake):
    options, message = MISTAKES[mistake]
    configure(options)
    with pytest.raises(ConfigurationError) as caught:
        caches["default"].get("key")
    messages = [problem for problem in run_checks(tags=[TAG]) if problem.id == "django_momento.E005"]

    assert message in str(caught.value)
    assert message in " ".join(f"{problem.msg} {problem.hint}" for problem in messages)


@pytest.mark.parametrize("phase", ["{}", "file:{}", "env:{}"])
def test_no_frame_shows_an_api_key_in_place_of_a_phase(configure, settings, phase):
    """Error trackers print the local variables of each frame, those of reading a file included."""
    configure({"OLD": "old", "NEW": "new", "PHASE": phase.format(KEYS[0])})
    mask_secrets(settings.CACHES)  # as the app does when a site starts

    with pytest.raises(ConfigurationError) as caught:
        caches["default"].get("key")

    assert [] == shown_of(KEYS[0], report(caught.value))


def test_all_mistakes_are_named_at_once(configure):
    configure({"OLD": "redis", "NEW": "momento", "PHASE": "on", "SAMPLE": 5})
    with pytest.raises(ConfigurationError, match="CACHES\\['default'\\] has 4 problems:"):
        caches["default"].get("key")


@table(
    ("params", "number"),
    [({"KEY_PREFIX": "site"}, "W013"), ({"TIMEOUT": 60}, "W013"), ({"LOCATION": "x"}, "W013"), ({}, None)],
    afresh=True,
)
def test_settings_without_effect_are_warned_of(configure, params, number):
    configure({"OLD": "old", "NEW": "new", "PHASE": "dual"}, **params)

    found = [problem.id for problem in run_checks(tags=[TAG])]
    assert [f"django_momento.{number}" for number in ([number] if number else [])] == found


def test_pairs_that_keep_values_for_different_times_are_warned_of(settings):
    settings.CACHES = {
        "default": {"BACKEND": DUAL, "OPTIONS": {"OLD": "old", "NEW": "new", "PHASE": "dual"}},
        "old": {"BACKEND": "tests.migration.backends.Silent", "TIMEOUT": 3600},
        "new": MEMORY,
    }
    time_left, timeouts = sorted(run_checks(tags=[TAG]), key=lambda problem: str(problem.id))

    assert ("django_momento.W014", "Set TIMEOUT of 'new' to 3600.") == (timeouts.id, timeouts.hint)
    assert "django_momento.I003" == time_left.id
    assert "Silent of CACHES['old'] does not tell how long a value has left" in time_left.msg
