"""A pytest plugin: Django REST framework's own throttles replaced by ours, on a server whose time they set.

The framework's tests move the time by the method ``timer`` of a throttle. Ours leave the time to the server,
so here each request first sets the server's clock.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import global_settings

from django_momento.local import LocalServer
from django_momento.policies import limits


class _Time:
    """Seconds that each test sets as it likes, and that never go back: each test has a day of its own."""

    def __init__(self) -> None:
        self.test = 0
        self.seconds = 0.0

    def now(self) -> float:
        return self.test * 2 * 24 * 3600 + self.seconds

    def milliseconds(self) -> int:
        return round(self.now() * 1000)


time = _Time()
server = LocalServer(caches=["throttles"], clock=time.milliseconds).start()
limits.monotonic = time.now  # type: ignore[assignment]  # in place of the package's own
global_settings.CACHES = {
    "default": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "throttles",
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLIENT_TIMEOUT": 100},
    }
}


def on_our_time(throttle: type[Any]) -> type[Any]:
    """Return a throttle that sets the clock of the server to the time of its timer."""

    class Timed(throttle):  # type: ignore[misc]  # a class that is made at run time
        timer = staticmethod(lambda: 0)

        def allow_request(self, request: Any, view: Any) -> bool:
            time.seconds = self.timer()
            allowed: bool = super().allow_request(request, view)
            return allowed

    return Timed


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Replace the throttles, now that the suite has configured Django and has not imported its tests."""
    from rest_framework import throttling

    from django_momento.contrib import rest_framework as ours

    for name in ("AnonRateThrottle", "UserRateThrottle", "ScopedRateThrottle"):
        setattr(throttling, name, on_our_time(getattr(ours, name)))
    throttling.SimpleRateThrottle = ours.CacheRateThrottle  # type: ignore[misc]  # in place of the package's own


@pytest.fixture(autouse=True)
def _a_day_of_its_own() -> None:
    time.test += 1
    time.seconds = 0.0


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not server.calls["DictionaryIncrement"]:
        session.exitstatus = 1
