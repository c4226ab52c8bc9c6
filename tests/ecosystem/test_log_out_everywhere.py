"""The end of all sessions of a user, on every device and for requests in flight."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.policies import versions
from django_momento.sessions import alog_out_everywhere, log_out_everywhere, user_tag
from tests.conftest import CACHE_NAME, local_options
from tests.ecosystem import session_site
from tests.ecosystem.conftest import PASSWORD, Configure
from tests.ecosystem.session_site import FACES, Session, log_in, visit

engine_of_sessions = session_site.engine_of_sessions
pytestmark = [pytest.mark.urls("tests.ecosystem.session_site"), pytest.mark.django_db]


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
