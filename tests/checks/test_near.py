"""The warning of a near cache on an alias whose values all processes must agree on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.kit.checking import Found, alias, ids, messages
from tests.kit.tables import table

THROTTLES = {"DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"]}
APPS = ["django_momento"]
NEAR = alias(SECRET_ID="a", NEAR_SECONDS=2, MAX_TTL=10**9)
FAR = alias("other", SECRET_ID="a", MAX_TTL=10**9)


@pytest.fixture
def found(settings: Any) -> Found:
    """Return the warnings for some CACHES."""
    return partial(messages, settings)


USES: list[tuple[dict[str, Any], str]] = [
    ({"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}, "SESSION_CACHE_ALIAS"),
    ({"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"}, "SESSION_CACHE_ALIAS"),
    ({"REST_FRAMEWORK": THROTTLES}, "throttle classes"),
    ({"INSTALLED_APPS": [*APPS, "django_ratelimit"]}, "RATELIMIT_USE_CACHE"),
    ({"AXES_HANDLER": "axes.handlers.cache.AxesCacheHandler"}, "AXES_CACHE"),
    ({"ACCOUNT_RATE_LIMITS": {"login": "30/m/ip"}}, "`default`"),
]


@table(("others", "setting"), USES, afresh=True)
def test_a_near_cache_for_what_processes_must_agree_on_is_remarked(
    found: Found, others: dict[str, Any], setting: str
) -> None:
    """With the setting that chooses another alias."""
    (message,) = found({"default": NEAR}, **others)

    assert ids([message]) == ["W015"]
    assert setting in str(message.hint)
    assert ids(found({"default": FAR}, **others)) == []


@table(
    "others",
    [
        {},
        {"SESSION_ENGINE": "django.contrib.sessions.backends.cache", "SESSION_CACHE_ALIAS": "far"},
        {"SESSION_ENGINE": "no.such.engine"},
        {"REST_FRAMEWORK": {}},
        {"RATELIMIT_USE_CACHE": "far"},
    ],
)
def test_a_near_cache_for_other_values_is_fine(settings: Any, others: dict[str, Any]) -> None:
    """Also if another alias has these uses."""
    for name, value in {"SESSION_CACHE_ALIAS": "default", "REST_FRAMEWORK": None}.items():
        setattr(settings, name, value)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert ids(messages(settings, {"default": NEAR, "far": FAR}, **others)) == []
