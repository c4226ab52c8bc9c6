"""The rate limit of views: who is limited, the response and its headers, for sync and async views."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.decorators import method_decorator
from django.views import View

from django_momento.contrib.views import client_address, rate_limit
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.conftest import MakeCache
from tests.kit.at_once import at_once
from tests.kit.tables import table


class User:
    """A user, who is logged in if there is a primary key."""

    def __init__(self, pk: object = None) -> None:
        self.pk = pk
        self.is_authenticated = pk is not None


def make_request(user: Any = None, address: str = "192.0.2.7", **headers: str) -> HttpRequest:
    request: Any = RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)
    request.user = user or User()

    async def auser() -> Any:
        return request.user

    request.auser = auser
    found: HttpRequest = request
    return found


def limited(face: str, *args: Any, **kwargs: Any) -> Any:
    """Return a view of either face with a limit."""

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("served")

    async def aview(request: HttpRequest) -> HttpResponse:
        return HttpResponse("served")

    return rate_limit(*args, **kwargs)(view if face == "sync" else aview)


def respond(view: Any, request: HttpRequest | None = None) -> HttpResponse:
    """Call a view of either face."""
    response = view(request or make_request())
    result: HttpResponse = asyncio.run(response) if inspect.iscoroutine(response) else response
    return result


both_faces = pytest.mark.parametrize("face", ["sync", "async"])


@both_faces
def test_requests_over_the_limit_get_429_and_are_told_when_to_come_back(
    make_cache: MakeCache, face: str, momento: LocalServer
) -> None:
    """With the headers of the draft on each response, and one call for each request."""
    make_cache()
    view = limited(face, 2, timedelta(minutes=1), name="search")
    responses = [respond(view) for _ in range(3)]

    assert [200, 200, 429] == [response.status_code for response in responses]
    assert {'"search";q=2;w=60'} == {response["RateLimit-Policy"] for response in responses}
    quotas = [response["RateLimit"].rpartition(";t=") for response in responses]
    assert ['"search";r=1', '"search";r=0', '"search";r=0'] == [quota for quota, _, _ in quotas]
    assert all(1 <= int(seconds) <= 60 for _, _, seconds in quotas)
    assert "Retry-After" not in responses[0]
    assert 1 <= int(responses[2]["Retry-After"]) <= 60
    assert f"Try again in {responses[2]['Retry-After']} seconds" in responses[2].text
    assert {"DictionaryIncrement": 3} == momento.calls


@both_faces
def test_each_user_and_each_address_has_the_whole_limit(make_cache: MakeCache, face: str) -> None:
    """A user has it wherever they come from."""
    make_cache()
    view = limited(face, 1, 60)
    requests = [
        (make_request(), 200),
        (make_request(), 429),
        (make_request(address="2001:db8::1"), 200),
        (make_request(User(1)), 200),
        (make_request(User(1), address="192.0.2.8"), 429),
        (make_request(User("a b" * 100)), 200),
        (make_request(User("a b" * 100)), 429),
    ]
    assert [status for _, status in requests] == [respond(view, it).status_code for it, _ in requests]


@both_faces
def test_the_key_ip_counts_users_by_their_address(make_cache: MakeCache, face: str) -> None:
    make_cache()
    view = limited(face, 1, 60, key="ip")
    assert 200 == respond(view, make_request(User(1))).status_code
    assert 429 == respond(view, make_request(User(2))).status_code


async def identify_later(request: HttpRequest) -> str | None:
    return request.headers.get("X-Tenant")


@table(
    ("face", "key"),
    [
        ("sync", lambda request: request.headers.get("X-Tenant")),
        ("async", lambda request: request.headers.get("X-Tenant")),
        ("async", identify_later),
    ],
    afresh=True,
)
def test_a_function_may_tell_clients_apart_and_exempt_some(
    make_cache: MakeCache, face: str, key: Any, momento: LocalServer
) -> None:
    """None is no limit, and no call. Any text is an identity."""
    make_cache()
    view = limited(face, 1, 60, key=key)
    tenants = ["north", "north", "ü \n" * 200, "ü \n" * 200]
    statuses = [respond(view, make_request(**{"X-Tenant": tenant})).status_code for tenant in tenants]
    assert [200, 429, 200, 429] == statuses
    momento.reset_calls()
    assert [200, 200] == [respond(view).status_code for _ in range(2)]
    assert "RateLimit" not in respond(view)
    assert {} == momento.calls


def test_views_share_a_limit_only_by_its_name(make_cache: MakeCache) -> None:
    make_cache()
    first, second = (limited("sync", 1, 60, name=name) for name in ("one", "two"))
    assert [200, 200] == [respond(view).status_code for view in (first, second)]
    assert 429 == respond(limited("sync", 1, 60, name="one")).status_code


def test_two_limits_of_a_view_are_both_in_its_headers(make_cache: MakeCache) -> None:
    """A burst and an hour, say."""
    make_cache()
    view = rate_limit(1, 1, name="burst")(limited("sync", 100, 3600, name="hour"))
    response = respond(view)
    assert '"hour";q=100;w=3600, "burst";q=1;w=1' == response["RateLimit-Policy"]
    assert response["RateLimit"].startswith('"hour";r=99;t=')
    assert ', "burst";r=0;t=1' in response["RateLimit"]


@table(
    ("proxies", "header", "address"),
    [
        (0, "203.0.113.9", "192.0.2.7"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (3, "203.0.113.9", "203.0.113.9"),
        (1, "", "192.0.2.7"),
        (1, None, "192.0.2.7"),
    ],
)
def test_only_what_trusted_proxies_added_is_believed(proxies: int, header: str | None, address: str) -> None:
    """A client can write anything into X-Forwarded-For, left of what the proxies add."""
    headers = {} if header is None else {"X-Forwarded-For": header}
    assert address == client_address(make_request(**headers), proxies)


@both_faces
@pytest.mark.parametrize(("on_outage", "status"), [("allow", 200), ("deny", 429), ("raise", None)])
def test_on_outage_decides_while_momento_is_away(
    make_cache: MakeCache, face: str, on_outage: Any, status: int | None
) -> None:
    """The policy is still told, and the quota, which is not known, is not."""
    make_cache(OPTIONS={"ENDPOINT": "127.0.0.1:9"})
    view = limited(face, 5, 60, on_outage=on_outage)
    if status is None:
        with pytest.raises(ServerUnavailable):
            respond(view)
        return
    response = respond(view)
    assert status == response.status_code
    assert "RateLimit-Policy" in response
    assert "RateLimit" not in response
    assert ("1" if status == 429 else None) == response.get("Retry-After")


def test_of_many_requests_at_once_as_many_as_the_limit_are_served(make_cache: MakeCache) -> None:
    make_cache()
    view = limited("sync", 3, 60)
    statuses = at_once(20, lambda: respond(view).status_code)
    assert 3 == statuses.count(200)
    assert 17 == statuses.count(429)


@method_decorator(rate_limit(1, 60), name="dispatch")
class Page(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("served")


@method_decorator(rate_limit(1, 60), name="get")
class AsyncPage(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("served")


@table("page", [Page, AsyncPage])
def test_a_view_of_a_class_may_be_limited(make_cache: MakeCache, page: type[View]) -> None:
    """By Django's method_decorator."""
    make_cache()
    assert [200, 429] == [respond(page.as_view()).status_code for _ in range(2)]


def test_a_request_without_users_counts_by_address(make_cache: MakeCache) -> None:
    """As on a site without Django's authentication."""
    make_cache()
    for face, factory in (("sync", RequestFactory()), ("async", AsyncRequestFactory())):
        view = limited(face, 1, 60, name=face)
        assert [200, 429] == [respond(view, factory.get("/")).status_code for _ in range(2)]


@table(
    ("arguments", "message"),
    [
        ({"key": "session"}, "key is 'session'"),
        ({"name": 'a "name"'}, "name is"),
        ({"name": "ü"}, "name is"),
        ({"name": ""}, "name is"),
        ({"name": 5}, "name is 5"),
        # It would be an entry that the visitor wrote.
        ({"proxies": -1}, "proxies is -1"),
        ({"proxies": None}, "proxies is None"),
        ({"on_outage": "stop"}, "on_outage is 'stop'"),
        ({"limit": "5"}, "limit is '5'"),
        ({"limit": -1}, "limit is -1"),
        ({"window": None}, "window is None"),
        ({"window": 0}, "window is 0"),
        ({"window": float("nan")}, "window is nan"),
        ({"window": float("inf")}, "window is inf"),
    ],
)
def test_a_wrong_argument_is_refused_when_the_module_is_imported(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        rate_limit(**{"limit": 1, "window": 60, **arguments})


def test_a_sync_view_may_have_an_async_key(make_cache: MakeCache) -> None:
    make_cache()

    async def tenant(request: HttpRequest) -> str:
        return request.headers["X-Tenant"]

    view = limited("sync", 1, 60, key=tenant)
    requests = [make_request(X_Tenant=name) for name in ("a", "a", "b")]
    assert [200, 429, 200] == [view(request).status_code for request in requests]


def größe(request: HttpRequest) -> HttpResponse:  # noqa: PLC2401 - as a site may name its view
    return HttpResponse("served")


def test_a_view_is_named_by_its_function(make_cache: MakeCache) -> None:
    """In ASCII, and also if it is a partial one."""
    make_cache()
    policies = [respond(rate_limit(1, 60)(view))["RateLimit-Policy"] for view in (größe, partial(größe))]
    assert policies == [f'"{__name__}.gr%C3%B6%C3%9Fe";q=1;w=60'] * 2


def test_a_cache_without_rate_limits_is_an_error_that_names_it(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with pytest.raises(ImproperlyConfigured, match=r"CACHES\['default'\] is a LocMemCache"):
        respond(limited("sync", 1, 60))
