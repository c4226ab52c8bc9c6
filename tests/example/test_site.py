"""The example site as a whole: its pages, its navigation and its error pages."""

from __future__ import annotations

import inspect
import re

import pytest
from django.test import Client, override_settings
from django.utils.html import escape

from example_project import recipes, views
from example_project.pages import PAGES, STATUS
from tests.kit.tables import table

NAMES = [page.name for page in PAGES]


def text(response) -> str:
    return response.content.decode()


@table("path", ["/", *(f"/{page.name}/" for page in (*PAGES, STATUS))])
def test_each_page_has_one_heading_and_marks_its_place(site: Client, path):
    """A page has one h1, a title, and a mark at its place in the navigation."""
    response = site.get(path)

    assert response.status_code == 200
    assert text(response).count("<h1>") == 1
    assert text(response).count('aria-current="page"') == 1
    assert f'<a href="{path}" aria-current="page">' in text(response)


def test_each_page_has_a_title_of_its_own(site: Client):
    """Tabs and bookmarks can be told apart."""
    titles = {re.search("<title>(.*)</title>", text(site.get(f"/{name}/"))).group(1) for name in NAMES}

    assert len(NAMES) == len(titles)


@table(
    ("name", "function"),
    [
        ("products", recipes.get_stock),
        ("page", views.whole_page),
        ("fragment", recipes.forget_nearly_sold_out),
        ("visits", recipes.count_visit),
        ("limit", recipes.take_turn),
        ("many", recipes.read_together),
        ("async", recipes.get_replies),
    ],
)
def test_a_page_shows_the_code_that_ran(site: Client, name, function):
    """The page shows the source of the function that ran."""
    assert escape(inspect.getsource(function).rstrip()) in text(site.get(f"/{name}/"))


def test_the_overview_names_the_cache_and_links_every_page(site: Client):
    """The overview says which backend and cache serve the site, and leads everywhere."""
    page = text(site.get("/"))

    assert "<td>MomentoCache</td><td>example</td>" in page
    assert all(f'href="/{name}/">{each.title}' in page for name, each in zip(NAMES, PAGES, strict=True))


def test_the_overview_keeps_a_password_in_a_location_to_itself(site: Client):
    """The LOCATION of another backend may be a URL with a password, of which only the host is shown."""
    redis = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://u:hush@host:6379/1",
    }
    with override_settings(CACHES={"default": redis}):
        page = text(site.get("/"))

    assert "<td>RedisCache</td><td>host:6379/1</td>" in page
    assert "hush" not in page


@table("name", ["products", "fragment", "visits", "many", "async"])
def test_changes_need_a_csrf_token(site: Client, name):
    """No other site can make a visitor's browser change something here."""
    assert Client(enforce_csrf_checks=True).post(f"/{name}/").status_code == 403


@pytest.mark.parametrize("path", ["/", "/limit/", "/status/"])
def test_pages_that_change_nothing_refuse_a_post(site: Client, path):
    """A page without a change returns 405 for a POST."""
    assert site.post(path).status_code == 405


def test_an_unknown_address_leads_to_the_pages(site: Client):
    """A 404 names the address and links the pages that exist."""
    response = site.get("/no-such-page/")

    assert response.status_code == 404
    assert "<code>/no-such-page/</code>" in text(response)
    assert all(f'href="/{name}/"' in text(response) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_unreachable_cache_is_explained(site: Client, name, unused_port):
    """Every page that needs the cache returns 503, with the name of the error and the command to run."""
    unreachable = {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "example",
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{unused_port}"},
    }
    with override_settings(CACHES={"default": unreachable}):
        response = site.get(f"/{name}/")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "The cache cannot be reached" in text(response)
    assert "<dt>ServerUnavailable</dt>" in text(response)
    assert f"127.0.0.1:{unused_port}" in text(response)
    assert "python manage.py momento_check" in text(response)


def test_other_errors_are_left_to_django(site: Client, monkeypatch):
    """Only errors of the cache get the cache's error page."""
    monkeypatch.setattr(recipes, "take_turn", lambda client: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        site.get("/limit/")
