"""Our engine of sessions, over whole requests: what it sends, what it keeps, and what ends a session."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.cache import SessionStore as DjangoStore
from django.core.cache import caches
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_momento.cache import MomentoCache
from django_momento.exceptions import LimitExceeded
from django_momento.local import LocalServer
from django_momento.policies import versions
from django_momento.sessions import SessionStore, alog_out_everywhere, log_out_everywhere, user_tag
from tests.conftest import CACHE_NAME, local_options
from tests.ecosystem.conftest import PASSWORD, Configure
from tests.kit.clock import Clock
from tests.kit.tables import table

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
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _engine(settings: Any) -> None:
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


def test_a_session_lasts_from_request_to_request(client: Client) -> None:
    assert ["AnonymousUser: 1", "AnonymousUser: 2"] == [visit(client), visit(client)]
    assert visit(Client()) == "AnonymousUser: 1"
    get = async_to_sync(AsyncClient().get)
    assert [b"1", b"2", b"3"] == [get("/avisits/").content for _ in range(3)]


@pytest.mark.usefixtures("user")
def test_login_moves_the_session_to_a_new_key_and_logout_ends_it(client: Client, cache: MomentoCache) -> None:
    """The old keys, which somebody else may know, are worth nothing."""
    visit(client)
    before = client.cookies["sessionid"].value
    log_in(client)
    after = client.cookies["sessionid"].value
    assert visit(client) == "ada: 2"
    client.post("/logout/")
    for key in (before, after):
        assert not cache.has_key(f"django.contrib.sessions.cache{key}")
        intruder = Client()
        intruder.cookies["sessionid"] = key
        assert visit(intruder) == "AnonymousUser: 1"
        assert intruder.cookies["sessionid"].value != key


Request = Callable[[Client], object]
# What is sent for a request that a client makes after another, by Django's engine and by ours.
CALLS: dict[str, tuple[Request, Request, bool, dict[str, int], dict[str, int]]] = {
    "a new session": (lambda _: None, visit, False, {"KeysExist": 1, "SetIfNotExists": 1}, {"Set": 1}),
    "one that is read": (visit, lambda client: visit(client, "/look/"), False, {"Get": 1}, {"Get": 1}),
    "one that is changed": (visit, visit, False, {"Get": 2, "Set": 1}, {"Get": 1, "UpdateTtl": 1, "Set": 1}),
    "one that is read and saved": (
        visit,
        lambda client: visit(client, "/look/"),
        True,
        {"Get": 2, "Set": 1},
        {"Get": 1, "UpdateTtl": 1},
    ),
    "one that is ended": (
        visit,
        lambda client: client.post("/logout/"),
        False,
        {"Get": 1, "KeysExist": 1, "Delete": 1},
        {"Get": 1, "Delete": 1},
    ),
}


@pytest.mark.parametrize("request_", CALLS)
@pytest.mark.parametrize("is_ours", [False, True])
def test_a_request_sends_these_calls(
    client: Client, momento: LocalServer, settings: Any, request_: str, is_ours: bool
) -> None:
    """Fewer than Django's engine sends, and never more."""
    first, second, settings.SESSION_SAVE_EVERY_REQUEST, before, after = CALLS[request_]
    settings.SESSION_ENGINE = ENGINE if is_ours else "django.contrib.sessions.backends.cache"
    first(client)
    momento.reset_calls()
    second(client)
    assert (after if is_ours else before) == dict(momento.calls)


@pytest.mark.usefixtures("user")
def test_a_user_costs_a_tag_whose_version_is_kept_for_a_second(client: Client, momento: LocalServer) -> None:
    """So a request right after another one sends no call for it."""
    log_in(client)
    momento.reset_calls()
    visit(client, "/look/")
    assert momento.calls["Get"] <= 2
    momento.reset_calls()
    visit(client, "/look/")
    assert {"Get": 1} == momento.calls


def test_a_session_that_is_saved_unchanged_lives_longer(client: Client, clock: Clock, settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    visit(client)
    for _ in range(3):
        clock.advance(999)
        assert visit(client, "/look/") == "AnonymousUser: 1"
    clock.advance(1000)
    assert visit(client, "/look/") == "AnonymousUser: None"


def test_a_value_that_is_changed_in_place_is_saved_if_every_request_is(client: Client, settings: Any) -> None:
    """As Django documents it."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    visit(client, "/append/")
    assert ["2", "3", "4"] == [visit(client, "/append-only/") for _ in range(3)]
    settings.SESSION_SAVE_EVERY_REQUEST = False
    assert ["5", "5"] == [visit(client, "/append-only/") for _ in range(2)]


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


@FACES
@pytest.mark.parametrize("is_changed", [False, True])
def test_a_session_that_was_deleted_meanwhile_is_not_brought_back(
    settings: Any, cache: MomentoCache, prefix: str, is_changed: bool
) -> None:
    """Whether or not its data changed."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    session = Session(prefix)
    session.call("create")
    session.change()
    session.call("save")
    key = session.store.session_key
    late = Session(prefix, key)
    late.call("get", "x")
    session.call("delete")
    if is_changed:
        late.call("update", {"y": 2})
    with pytest.raises(UpdateError):
        late.call("save")
    assert not cache.has_key(f"django.contrib.sessions.cache{key}")
    assert {} == Session(prefix, key).call("load")


@FACES
def test_a_session_that_must_be_created_replaces_none(prefix: str) -> None:
    session = Session(prefix)
    session.call("create")
    with pytest.raises(CreateError):
        Session(prefix, session.store.session_key).call("save", True)
    Session(prefix, "a-key-of-the-callers-own").call("save", True)
    assert Session(prefix).call("exists", "a-key-of-the-callers-own")


@FACES
def test_sessions_are_those_of_djangos_engine(prefix: str) -> None:
    """A site may change from one engine to the other, and nobody is logged out."""
    theirs = DjangoStore()
    theirs["x"] = 1
    theirs.save()
    ours = Session(prefix, theirs.session_key)
    assert ours.call("get", "x") == 1
    ours.call("update", {"_auth_user_id": "7"})
    ours.call("save")
    again = DjangoStore(theirs.session_key)
    assert {"x": 1, "_auth_user_id": "7"} == dict(again.items())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_user_is_logged_out_everywhere_and_nobody_else(user: User, is_async: bool) -> None:
    """By one call, on every device."""
    other = User.objects.create_user("bob", password=PASSWORD)
    devices = [log_in(Client()) for _ in range(2)]
    others, visitor = log_in(Client(), "bob"), Client()
    visit(visitor)
    if is_async:
        asyncio.run(alog_out_everywhere(user))
    else:
        log_out_everywhere(user)

    assert ["AnonymousUser: None"] * 2 == [visit(device, "/look/") for device in devices]
    assert visit(others) == "bob: 1"
    assert visit(visitor) == "AnonymousUser: 2"
    assert visit(log_in(devices[0])) == "ada: 1"
    log_out_everywhere(other)
    assert visit(devices[0]) == "ada: 2"


@pytest.mark.usefixtures("user")
def test_the_session_that_logs_out_the_others_may_go_on() -> None:
    """With a new key."""
    mine, other = log_in(Client()), log_in(Client())
    visit(mine, "/everywhere/?keep")
    assert visit(mine, "/look/") == "ada: None"
    assert visit(other, "/look/") == "AnonymousUser: None"
    visit(mine, "/everywhere/")
    assert visit(mine, "/look/") == "AnonymousUser: None"


@FACES
def test_a_request_in_flight_does_not_log_its_user_in_again(
    user: User, monkeypatch: pytest.MonkeyPatch, prefix: str, configure: Configure
) -> None:
    """It saves the session with the version of its tag that it has loaded, also if it ends much later."""
    configure(TAG_SECONDS=0.001)
    key = log_in(Client()).cookies["sessionid"].value
    late = Session(prefix, key)
    assert late.call("get", "_auth_user_id") == str(user.pk)
    log_out_everywhere(user)
    late.change()
    late.call("save")
    assert {} == Session(prefix, key).call("load")


@FACES
def test_a_login_right_after_the_end_of_all_sessions_lasts(
    user: User, momento: LocalServer, prefix: str
) -> None:
    """Although this process still knows the version of the tag that another process has replaced."""
    log_in(Client())
    another = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento, CLIENT_TIMEOUT=9)})
    another.invalidate_tags(user_tag(user.pk))
    session = Session(prefix)
    session.call("update", {"_auth_user_id": str(user.pk)})
    session.call("save")
    versions.versions.forget()
    assert {"_auth_user_id": str(user.pk)} == Session(prefix, session.store.session_key).call("load")


@FACES
def test_a_session_that_moved_before_its_user_was_logged_out_everywhere_ends_too(
    user: User, prefix: str
) -> None:
    """A request that saves it again does not log its user in again."""
    session = Session(prefix, log_in(Client()).cookies["sessionid"].value)
    session.call("cycle_key")
    log_out_everywhere(user)
    session.change()
    session.call("save")
    assert {} == Session(prefix, session.store.session_key).call("load")


def test_an_async_session_may_hold_a_queryset(user: User) -> None:
    """Pickling evaluates it, which Django refuses to do in an event loop."""

    async def store() -> str | None:
        session = SessionStore()
        await session.asave()
        await session.aset("users", User.objects.filter(pk=user.pk))
        await session.asave()
        return session.session_key

    assert [user] == list(SessionStore(async_to_sync(store)())["users"])


def test_the_version_of_a_tag_lives_as_long_as_the_sessions(
    user: User, client: Client, momento: LocalServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is only read and kept alive renews it."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    log_in(client)
    visit(client, "/look/")
    monkeypatch.setattr(versions, "RENEWAL", 0.0)
    momento.reset_calls()
    visit(client, "/look/")
    assert momento.calls["UpdateTtl"] == 2


def test_an_outage_is_an_error_and_logs_nobody_out(client: Client, momento: LocalServer, user: User) -> None:
    """Django's engine would take it for a missing session, and replace the cookie."""
    log_in(client)
    cookie = client.cookies["sessionid"].value
    momento.fail("resource-exhausted")
    for act in (
        lambda: client.get("/look/"),
        lambda: client.get("/visits/"),
        lambda: Client().get("/visits/"),
    ):
        with pytest.raises(LimitExceeded):
            act()
    momento.fail()
    assert cookie == client.cookies["sessionid"].value
    assert visit(client) == "ada: 1"


def test_in_a_cache_that_fails_open_an_outage_makes_everybody_anonymous(
    configure: Configure, momento: LocalServer, user: User
) -> None:
    """At once, without 10,000 attempts. Only the end of all sessions is loud."""
    configure(IGNORE_EXCEPTIONS=True)
    client = log_in(Client())
    momento.fail("resource-exhausted")
    assert visit(client, "/look/") == "AnonymousUser: None"
    assert visit(Client()) == "AnonymousUser: 1"
    with pytest.raises(LimitExceeded):
        log_out_everywhere(user)
    momento.fail()


def test_without_a_momento_cache_it_is_djangos_engine(settings: Any, user: User) -> None:
    """As in a test suite with a cache in memory. Sessions cannot be ended together there."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    client = log_in(Client())
    assert visit(client) == "ada: 1"
    assert caches["default"].get(store_key(client))["visits"] == 1
    get = async_to_sync(AsyncClient().get)
    assert [b"1", b"2"] == [get("/avisits/").content for _ in range(2)]
    client.post("/logout/")
    assert visit(client) == "AnonymousUser: 1"
    with pytest.raises(ImproperlyConfigured, match="is a LocMemCache"):
        log_out_everywhere(user)


def test_a_session_is_not_shortened_by_jitter(configure: Configure, client: Client) -> None:
    """It would end before its cookie."""
    cache = configure(TTL_JITTER=1)
    for _ in range(5):
        visit(client)
        assert cache.ttl(store_key(client)) == 1000


@table(("age", "expected"), [(86400, []), (86401, ["django_momento.E006"])])
def test_a_cookie_that_outlives_its_session_is_an_error(settings: Any, age: int, expected: list[str]) -> None:
    settings.SESSION_COOKIE_AGE = age
    assert expected == [found.id for found in run_checks() if str(found.id) in {E006, "django_momento.W002"}]


E006 = "django_momento.E006"


def test_a_session_engine_that_fails_open_is_warned_of(configure: Configure) -> None:
    configure(IGNORE_EXCEPTIONS=True)
    (found,) = [each for each in run_checks() if each.id == "django_momento.W004"]
    assert "every visitor is anonymous" in found.msg
