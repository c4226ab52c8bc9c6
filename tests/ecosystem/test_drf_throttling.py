"""Django REST framework's throttles, which keep the times of recent requests in the cache."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.throttling import (
    AnonRateThrottle,
    ScopedRateThrottle,
    SimpleRateThrottle,
    UserRateThrottle,
)
from rest_framework.views import APIView

from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.ecosystem.conftest import Configure
from tests.kit.clock import Clock

RATES = {"anon": "2/minute", "user": "3/hour", "uploads": "1/day"}


class Throttled(APIView):
    throttle_scope = ""

    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [
    path("articles/", Throttled.as_view(throttle_classes=[AnonRateThrottle])),
    path("account/", Throttled.as_view(throttle_classes=[UserRateThrottle])),
    path("uploads/", Throttled.as_view(throttle_classes=[ScopedRateThrottle], throttle_scope="uploads")),
    path("downloads/", Throttled.as_view(throttle_classes=[ScopedRateThrottle])),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _rates(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", RATES)
    monkeypatch.setattr(SimpleRateThrottle, "timer", clock.time)


@pytest.fixture
def client() -> APIClient:
    return APIClient()


def statuses(client: APIClient, url: str, number: int) -> list[int]:
    return [client.get(url).status_code for _ in range(number)]


def test_anonymous_requests_are_limited_by_address(client: APIClient, clock: Clock) -> None:
    """What is over the rate is refused until the window has moved on, and told how long that takes."""
    assert [200, 200, 429] == statuses(client, "/articles/", 3)
    assert client.get("/articles/")["Retry-After"] == "60"
    assert client.get("/articles/", REMOTE_ADDR="192.0.2.1").status_code == 200
    clock.advance(60)
    assert [200, 200, 429] == statuses(client, "/articles/", 3)


@pytest.mark.django_db
def test_a_user_is_limited_wherever_they_come_from(client: APIClient, user: User, clock: Clock) -> None:
    """Users have a rate of their own, and each of them the whole of it."""
    other = User.objects.create_user("bob")
    client.force_authenticate(user)
    assert [200, 200, 200, 429] == statuses(client, "/account/", 4)
    client.force_authenticate(other)
    assert [200] == statuses(client, "/account/", 1)
    clock.advance(3600)
    client.force_authenticate(user)
    assert [200] == statuses(client, "/account/", 1)


def test_a_scope_limits_its_views_only(client: APIClient, clock: Clock) -> None:
    """A rate a day long holds for the day, which is the longest that Momento keeps anything on demand."""
    assert [200, 429] == statuses(client, "/uploads/", 2)
    assert [200, 200] == statuses(client, "/downloads/", 2)
    clock.advance(24 * 3600 - 1)
    assert [429] == statuses(client, "/uploads/", 1)
    clock.advance(1)
    assert [200] == statuses(client, "/uploads/", 1)


def test_without_the_cache_nobody_is_throttled_where_it_fails_open(
    client: APIClient, configure: Configure, momento: LocalServer
) -> None:
    """An API that outlives its cache is one without rate limits for as long as that lasts."""
    configure(IGNORE_EXCEPTIONS=True)
    momento.stop()
    assert [200, 200, 200] == statuses(client, "/articles/", 3)


def test_without_the_cache_nobody_is_served_where_it_is_loud(client: APIClient, momento: LocalServer) -> None:
    """The error of the cache arrives at the API's error handling."""
    momento.stop()
    with pytest.raises(ServerUnavailable):
        client.get("/articles/")
