"""django-axes with its cache handler: failed logins are counted in the cache, and lock out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from tests.ecosystem.conftest import PASSWORD, Configure
from tests.kit.clock import Clock


def sign_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return HttpResponse()


urlpatterns = [path("sign-in/", sign_in)]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("user")]


@pytest.fixture(autouse=True)
def _axes(settings: Any, cache: MomentoCache) -> None:
    settings.AXES_ENABLED = True
    settings.AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"
    settings.AXES_FAILURE_LIMIT = 3
    settings.AXES_COOLOFF_TIME = timedelta(minutes=10)
    settings.AXES_RESET_ON_SUCCESS = True
    settings.AUTHENTICATION_BACKENDS = [
        "axes.backends.AxesStandaloneBackend",
        "django.contrib.auth.backends.ModelBackend",
    ]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "axes.middleware.AxesMiddleware"]
    # Axes keeps the one cache it first got for all requests and threads of the process.
    AxesProxyHandler.get_implementation(force=True)


def log_in(client: Client, password: str = PASSWORD, address: str = "192.0.2.1") -> int:
    credentials = {"username": "ada", "password": password}
    return client.post("/sign-in/", credentials, REMOTE_ADDR=address).status_code


def fail(client: Client, times: int) -> list[int]:
    return [log_in(client, "wrong") for _ in range(times)]


def test_failed_logins_lock_out_their_address(client: Client) -> None:
    """Also with the right password, and nobody else."""
    assert [401, 401, 429] == fail(client, 3)
    assert [429, 200] == [log_in(client), log_in(client, address="192.0.2.2")]


def test_a_lockout_ends_when_it_has_cooled_off(client: Client, clock: Clock) -> None:
    """Counted from the last failure, for which the package moves the expiry of its counter with touch()."""
    fail(client, 2)
    clock.advance(9 * 60)
    assert [429, 429] == fail(client, 2)
    clock.advance(9 * 60)
    assert [429] == fail(client, 1)
    clock.advance(10 * 60)
    assert log_in(client) == 200


def test_a_login_forgets_the_failures_before_it(client: Client) -> None:
    """Typing errors do not add up over the days."""
    for _ in range(3):
        assert [401, 401] == fail(client, 2)
        assert log_in(client) == 200


def test_a_cache_that_fails_open_lets_right_passwords_in(
    client: Client, configure: Configure, momento: LocalServer
) -> None:
    """Nobody is locked out; a wrong password is a ValueError, because the package needs its counter."""
    configure(IGNORE_EXCEPTIONS=True)
    AxesProxyHandler.get_implementation(force=True)
    momento.stop()
    assert log_in(client) == 200
    with pytest.raises(ValueError, match="not found"):
        fail(client, 1)
