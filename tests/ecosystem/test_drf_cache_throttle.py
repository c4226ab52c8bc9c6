"""Our throttles for Django REST framework, in place of its own."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.urls import path
from rest_framework import throttling
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from django_momento.cache import MomentoCache
from django_momento.contrib.rest_framework import (
    AnonRateThrottle,
    CacheRateThrottle,
    ScopedRateThrottle,
    UserRateThrottle,
)
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from django_momento.policies import limits
from tests.kit.at_once import at_once
from tests.kit.clock import Clock

RATES = {"anon": "2/minute", "user": "3/hour", "uploads": "1/day"}


class Throttled(APIView):
    throttle_scope = ""

    def get(self, request: Request) -> Response:
        return Response({})


class Tenants(CacheRateThrottle):
    rate = "1/minute"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return request.headers.get("X-Tenant")


class Denying(AnonRateThrottle):
    on_outage = "deny"


class Raising(AnonRateThrottle):
    on_outage = "raise"


urlpatterns = [
    path("articles/", Throttled.as_view(throttle_classes=[AnonRateThrottle])),
    path("account/", Throttled.as_view(throttle_classes=[UserRateThrottle])),
    path("uploads/", Throttled.as_view(throttle_classes=[ScopedRateThrottle], throttle_scope="uploads")),
    path("downloads/", Throttled.as_view(throttle_classes=[ScopedRateThrottle])),
    path("tenants/", Throttled.as_view(throttle_classes=[Tenants])),
    path("denying/", Throttled.as_view(throttle_classes=[Denying])),
    path("raising/", Throttled.as_view(throttle_classes=[Raising])),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _rates(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(throttling.SimpleRateThrottle, "THROTTLE_RATES", RATES)
    monkeypatch.setattr(limits, "monotonic", clock.time)


@pytest.fixture
def client() -> APIClient:
    return APIClient()


def statuses(client: APIClient, url: str, number: int) -> list[int]:
    return [client.get(url).status_code for _ in range(number)]


def test_anonymous_requests_are_limited_by_address(
    client: APIClient, clock: Clock, momento: LocalServer
) -> None:
    """By one call each, and a denied client is told when the window ends."""
    momento.reset_calls()
    assert [200, 200, 429] == statuses(client, "/articles/", 3)
    assert {"DictionaryIncrement": 3} == momento.calls
    clock.advance(15)
    assert client.get("/articles/")["Retry-After"] == "45"
    assert client.get("/articles/", REMOTE_ADDR="192.0.2.1").status_code == 200
    clock.advance(45)
    assert [200, 200, 429] == statuses(client, "/articles/", 3)


@pytest.mark.django_db
def test_a_user_is_limited_wherever_they_come_from(client: APIClient, user: User, clock: Clock) -> None:
    """An anonymous client is not limited by the rate of a user."""
    client.force_authenticate(user)
    assert [200, 200, 200] == statuses(client, "/account/", 3)
    assert client.get("/account/", REMOTE_ADDR="192.0.2.1").status_code == 429
    assert [200] * 3 == statuses(client, "/articles/", 3)
    client.force_authenticate(User.objects.create_user("bob"))
    assert [200] == statuses(client, "/account/", 1)


def test_a_scope_limits_its_views_only(client: APIClient, clock: Clock) -> None:
    """For a whole day, if the rate says so."""
    assert [200, 429] == statuses(client, "/uploads/", 2)
    assert [200, 200] == statuses(client, "/downloads/", 2)
    clock.advance(24 * 3600 - 1)
    assert [429] == statuses(client, "/uploads/", 1)
    clock.advance(1)
    assert [200] == statuses(client, "/uploads/", 1)


def test_a_throttle_with_a_key_of_its_own_exempts_requests_without_one(client: APIClient) -> None:
    """As a subclass of SimpleRateThrottle does."""
    assert [200, 200] == statuses(client, "/tenants/", 2)
    client.credentials(HTTP_X_TENANT="north")
    assert [200, 429] == statuses(client, "/tenants/", 2)


def test_requests_at_the_same_moment_do_not_pass_the_rate() -> None:
    """Where the framework's own throttles let them."""
    view = Throttled.as_view(throttle_classes=[AnonRateThrottle])
    responses = at_once(20, lambda: view(APIRequestFactory().get("/")).status_code)
    assert 2 == responses.count(200)
    assert 18 == responses.count(429)


def test_lists_of_times_that_the_frameworks_throttles_left_are_no_obstacle(client: APIClient) -> None:
    """A site changes one import, and deploys."""
    old = Throttled.as_view(throttle_classes=[throttling.AnonRateThrottle])
    assert old(APIRequestFactory().get("/")).status_code == 200
    assert [200, 200, 429] == statuses(client, "/articles/", 3)
    assert old(APIRequestFactory().get("/")).status_code == 200


def test_an_outage_allows_requests_unless_the_throttle_says_otherwise(
    client: APIClient, momento: LocalServer
) -> None:
    momento.stop()
    assert [200, 200, 200] == statuses(client, "/articles/", 3)
    response = client.get("/denying/")
    assert (429, "1") == (response.status_code, response["Retry-After"])
    with pytest.raises(ServerUnavailable):
        client.get("/raising/")


def test_a_cache_of_another_kind_is_an_error_that_names_the_throttle(settings: pytest.FixtureRequest) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    assert not isinstance(caches["default"], MomentoCache)
    with pytest.raises(ImproperlyConfigured, match=r"AnonRateThrottle\.cache has no rate limits"):
        Throttled.as_view(throttle_classes=[AnonRateThrottle])(APIRequestFactory().get("/"))
