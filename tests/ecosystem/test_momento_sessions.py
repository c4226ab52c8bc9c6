"""Our engine of sessions, over whole requests: what it sends, what it keeps, and what ends a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.cache import SessionStore as DjangoStore
from django.core.cache import caches
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, Client

from django_momento.cache import MomentoCache
from django_momento.exceptions import LimitExceeded
from django_momento.local import LocalServer
from django_momento.policies import versions
from django_momento.sessions import SessionStore, log_out_everywhere
from tests.ecosystem import session_site
from tests.ecosystem.conftest import Configure
from tests.ecosystem.session_site import ENGINE, FACES, Session, log_in, store_key, visit
from tests.kit.clock import Clock
from tests.kit.tables import table

engine_of_sessions = session_site.engine_of_sessions


pytestmark = [pytest.mark.urls("tests.ecosystem.session_site"), pytest.mark.django_db]


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
def test_a_user_costs_a_tag_whose_version_is_kept_for_a_second(
    client: Client, momento: LocalServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a request right after another one sends no call for it."""
    for name in ("monotonic", "wall"):
        monkeypatch.setattr(versions, name, clock)
    log_in(client)
    momento.reset_calls()
    visit(client, "/look/")
    assert momento.calls["Get"] <= 2
    momento.reset_calls()
    visit(client, "/look/")
    assert {"Get": 1} == momento.calls
    clock.advance(1)
    momento.reset_calls()
    visit(client, "/look/")
    assert {"Get": 2} == momento.calls


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


def test_an_async_session_may_hold_a_queryset(user: User) -> None:
    """Pickling evaluates it, which Django refuses to do in an event loop."""

    async def store() -> str | None:
        session = SessionStore()
        await session.asave()
        await session.aset("users", User.objects.filter(pk=user.pk))
        await session.asave()
        return session.session_key

    assert [user] == list(SessionStore(async_to_sync(store)())["users"])


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
