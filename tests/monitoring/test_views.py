"""The status page: who may see it, and the figures that it shows."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import include, path

from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.monitoring.views import status, status_json
from tests.conftest import MakeCache
from tests.kit.tables import table

urlpatterns = [
    path("cache/", include("django_momento.monitoring.urls")),
    path("open/", status, {"allow": lambda request: True}),
    path("open.json", status_json, {"allow": lambda request: True}),
]

STAFF = SimpleNamespace(is_active=True, is_staff=True)


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/cache/")
    if user is not None:
        request.user = user
    return request


@table(
    "user",
    [
        None,
        SimpleNamespace(is_active=True, is_staff=False),
        SimpleNamespace(is_active=False, is_staff=True),
    ],
    afresh=True,
)
def test_nobody_but_staff_sees_the_page(user: Any, make_cache: MakeCache) -> None:
    """Also on a site without users."""
    make_cache()
    for view in (status, status_json):
        with pytest.raises(PermissionDenied):
            view(request_of(user))


def test_the_included_urls_are_for_staff(make_cache: MakeCache) -> None:
    make_cache()
    assert Client().get("/cache/").status_code == 403
    assert Client().get("/cache/status.json").status_code == 403
    assert status(request_of(STAFF)).status_code == 200


def test_the_page_shows_the_figures(make_cache: MakeCache, momento: LocalServer) -> None:
    """With the costliest groups, the errors, the breaker, and the source of the key."""
    cache = make_cache()
    cache.set("product:1", b"x" * 5000)
    cache.get("product:1")
    cache.get("page:1")
    momento.fail("resource_exhausted")
    with pytest.raises(MomentoCacheError):
        cache.get("page:1")
    momento.fail()

    response = Client().get("/open/")
    page = response.content.decode()

    assert momento.address in page
    assert "closed" in page
    assert "50%" in page
    assert "LimitExceeded" in page
    assert page.index(">product<") < page.index(">page<")
    assert "no-store" in response.headers["Cache-Control"]
    assert Client().post("/open/").status_code == 405


def test_a_name_in_the_figures_is_escaped(make_cache: MakeCache) -> None:
    make_cache().get("<script>:1")
    page = Client().get("/open/").content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_looking_makes_no_call(make_cache: MakeCache, momento: LocalServer) -> None:
    make_cache()
    momento.reset_calls()
    assert Client().get("/open/").status_code == 200
    assert momento.calls.total() == 0


def test_wrong_settings_are_shown_and_do_not_hide_other_caches(make_cache: MakeCache, settings: Any) -> None:
    make_cache()
    good = settings.CACHES["default"]
    settings.CACHES = {"bad": {**good, "OPTIONS": {"CREDENTIALS": "local", "MAX_TTL": -1}}, "default": good}
    page = Client().get("/open/").content.decode()
    assert "MAX_TTL" in page
    assert "Costliest key groups" in page


def test_the_json_is_stats_by_alias(make_cache: MakeCache) -> None:
    make_cache(alias="pages").get("k:1")
    figures = Client().get("/open.json").json()
    assert figures["pages"]["verbs"]["get"]["calls"] == 1


def test_a_site_without_momento_is_told_so(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert "No alias of CACHES uses Momento" in Client().get("/open/").content.decode()


def test_the_page_needs_no_templates_and_no_app() -> None:
    """It brings its own engine."""
    code = (
        "import django\n"
        "from django.conf import settings\n"
        "settings.configure(SECRET_KEY='k', CACHES={'default': {\n"
        "  'BACKEND': 'django_momento.cache.MomentoCache', 'LOCATION': 'c',\n"
        "  'OPTIONS': {'CREDENTIALS': 'embedded'}}})\n"
        "django.setup()\n"
        "from django.test import RequestFactory\n"
        "from django_momento.monitoring.views import status\n"
        "assert b'no call yet' in status(RequestFactory().get('/'), lambda request: True).content"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
