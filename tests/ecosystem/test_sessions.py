"""Django's sessions, by their two engines that use a cache, over whole requests."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_momento.cache import MomentoCache
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.ecosystem.conftest import PASSWORD, Configure
from tests.kit.clock import Clock

DAY = 24 * 60 * 60


def visits(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.user}: {request.session['visits']}")


async def avisits(request: HttpRequest) -> HttpResponse:
    number = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", number)
    return HttpResponse(str(number))


urlpatterns = [
    path("visits/", visits),
    path("avisits/", avisits),
    path("login/", LoginView.as_view(next_page="/visits/")),
    path("logout/", LogoutView.as_view(next_page="/visits/")),
]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture(params=["cache", "cached_db"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.fixture
def cache_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"


@pytest.fixture
def cached_db_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"


def visit(client: Client) -> str:
    response = client.get("/visits/")
    assert response.status_code == 200
    return response.content.decode()


def log_in(client: Client) -> None:
    assert client.post("/login/", {"username": "ada", "password": PASSWORD}).status_code == 302


def in_cache(cache: MomentoCache, engine: str, client: Client) -> bool:
    return cache.has_key(f"django.contrib.sessions.{engine}{client.cookies['sessionid'].value}")


@pytest.mark.usefixtures("engine")
def test_a_session_lasts_from_request_to_request(client: Client) -> None:
    """What one request writes the next one reads, and another visitor does not."""
    assert ["AnonymousUser: 1", "AnonymousUser: 2"] == [visit(client), visit(client)]
    assert visit(Client()) == "AnonymousUser: 1"


@pytest.mark.usefixtures("user")
def test_login_moves_the_session_to_a_new_key(client: Client, engine: str, cache: MomentoCache) -> None:
    """What a visitor did before is kept; the old key, which somebody else may know, is worth nothing."""
    visit(client)
    before = client.cookies["sessionid"].value
    log_in(client)

    assert visit(client) == "ada: 2"
    assert in_cache(cache, engine, client)
    assert not cache.has_key(f"django.contrib.sessions.{engine}{before}")
    intruder = Client()
    intruder.cookies["sessionid"] = before
    assert visit(intruder) == "AnonymousUser: 1"


@pytest.mark.usefixtures("user")
def test_logout_leaves_nothing_behind(client: Client, engine: str, cache: MomentoCache) -> None:
    """A session that was ended cannot be gone on with."""
    log_in(client)
    key = client.cookies["sessionid"].value
    client.post("/logout/")

    assert not cache.has_key(f"django.contrib.sessions.{engine}{key}")
    client.cookies["sessionid"] = key
    assert visit(client) == "AnonymousUser: 1"


@pytest.mark.usefixtures("cache_engine")
def test_a_session_ends_when_its_age_is_over(client: Client, clock: Clock, settings: Any) -> None:
    """The cache forgets a session by itself, counted from the last time it was written."""
    settings.SESSION_COOKIE_AGE = 100
    visit(client)
    clock.advance(99)
    assert visit(client) == "AnonymousUser: 2"
    clock.advance(99)
    assert visit(client) == "AnonymousUser: 3"
    clock.advance(101)
    assert visit(client) == "AnonymousUser: 1"


@pytest.mark.usefixtures("user", "cache_engine")
def test_two_weeks_in_the_cache_are_a_day(client: Client, clock: Clock) -> None:
    """MAX_TTL cuts Django's default age, so a visitor who stays away for a day is logged out."""
    log_in(client)
    clock.advance(DAY + 1)
    assert visit(client) == "AnonymousUser: 1"


@pytest.mark.usefixtures("user", "cached_db_engine")
def test_two_weeks_in_cached_db_are_two_weeks(client: Client, clock: Clock, cache: MomentoCache) -> None:
    """What the cache has forgotten comes from the database, and is in the cache from then on."""
    log_in(client)
    clock.advance(DAY + 1)
    assert not in_cache(cache, "cached_db", client)
    assert visit(client) == "ada: 1"
    assert in_cache(cache, "cached_db", client)


@pytest.mark.usefixtures("user", "cached_db_engine")
def test_cached_db_goes_on_while_the_cache_is_away(
    client: Client, momento: LocalServer, configure: Configure
) -> None:
    """A session then costs a query, and nobody is logged out."""
    # Loud, it would not do: Django itself does not expect errors when it fills the cache from the database.
    configure(IGNORE_EXCEPTIONS=True)
    log_in(client)
    visit(client)
    momento.stop()
    assert visit(client) == "ada: 2"


@pytest.mark.usefixtures("cache_engine")
def test_a_session_that_cannot_be_stored_is_an_error(client: Client, momento: LocalServer) -> None:
    """The error of the cache arrives at once: Django does not try 10,000 session keys."""
    momento.stop()
    with pytest.raises(ServerUnavailable):
        client.get("/visits/")


@pytest.mark.usefixtures("engine")
def test_async_views_share_the_session() -> None:
    """What one request writes the next one reads, each in an event loop of its own."""
    get = async_to_sync(AsyncClient().get)
    assert [b"1", b"2", b"3"] == [get("/avisits/").content for _ in range(3)]
