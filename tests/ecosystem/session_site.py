"""A site whose visitors have sessions of ours, and helpers to visit it."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_momento.sessions import SessionStore, log_out_everywhere
from tests.ecosystem.conftest import PASSWORD

ENGINE = "django_momento.sessions"


def visits(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.user}: {request.session['visits']}")


async def avisits(request: HttpRequest) -> HttpResponse:
    number = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", number)
    return HttpResponse(str(number))


def look(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.user}: {request.session.get('visits')}")


def append(request: HttpRequest) -> HttpResponse:
    """Change a value in place, which Django does not notice."""
    request.session.setdefault("cart", []).append("tea")
    return HttpResponse(str(len(request.session["cart"])))


def append_only(request: HttpRequest) -> HttpResponse:
    request.session["cart"].append("tea")
    return HttpResponse(str(len(request.session["cart"])))


def everywhere(request: HttpRequest) -> HttpResponse:
    log_out_everywhere(request.user)
    if "keep" in request.GET:
        request.session.cycle_key()
    return HttpResponse()


urlpatterns = [
    path("visits/", visits),
    path("avisits/", avisits),
    path("look/", look),
    path("append/", append),
    path("append-only/", append_only),
    path("everywhere/", everywhere),
    path("login/", LoginView.as_view(next_page="/look/")),
    path("logout/", LogoutView.as_view(next_page="/look/")),
]


@pytest.fixture(autouse=True)
def engine_of_sessions(settings: Any) -> None:
    settings.SESSION_ENGINE = ENGINE
    settings.SESSION_COOKIE_AGE = 1000


def visit(client: Client, url: str = "/visits/") -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def log_in(client: Client, name: str = "ada") -> Client:
    assert client.post("/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def store_key(client: Client) -> str:
    return f"django.contrib.sessions.cache{client.cookies['sessionid'].value}"


async def run(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


FACES = pytest.mark.parametrize("prefix", ["", "a"])


class Session:
    """A session of either face."""

    def __init__(self, prefix: str, key: str | None = None) -> None:
        self.store = SessionStore(key)
        self._prefix = prefix

    def call(self, method: str, *args: Any) -> Any:
        return asyncio.run(run(getattr(self.store, self._prefix + method)(*args)))

    def change(self) -> None:
        if self._prefix:
            self.call("set", "x", 1)
        else:
            self.store["x"] = 1
