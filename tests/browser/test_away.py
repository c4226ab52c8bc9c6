"""While the cache is away: pages that need it say so kindly, the others go on, and all of it passes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from django_momento.local import LocalServer
from example_project.pages import PAGES
from tests.browser.conftest import Visit
from tests.browser.test_pages import obstacles, schemes
from tests.browser.visitor import Visitor
from tests.kit.waiting import patience


@pytest.fixture
def away(site: str, cache_server: LocalServer) -> Iterator[LocalServer]:
    """The cache's server, stopped until the test or its end starts it again."""
    cache_server.stop()
    yield cache_server
    if not cache_server.is_running:
        cache_server.start()


def wait_for_recovery(visitor: Visitor, path: str) -> None:
    """Try again until it works, as the page suggests: how soon a cache is asked again is its own business."""
    for _ in patience():
        if visitor.page.get_by_role("link", name="Try again").count() == 0:
            return
        with visitor.page.expect_navigation():
            visitor.press("link", "Try again")
    raise AssertionError(f"{path} did not recover")


@schemes
def test_says_so_kindly_and_recovers(visit: Visit, away: LocalServer, scheme):
    """A 503 with the cause, the fix and a way to try again, which works as soon as the cache is back."""
    visitor = visit(color_scheme=scheme)

    assert visitor.goto("/products/").status == 503
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("The cache cannot be reached")
    assert obstacles(visitor) == []
    assert "1 error" in visitor.calls["get"]

    away.start()
    wait_for_recovery(visitor, "/products/")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("A slow query, sent once")


def test_every_page_that_needs_it_answers_503(visit: Visit, away: LocalServer):
    """No page fails in a way of its own, and the overview and the status page do without a cache."""
    visitor = visit()

    assert {page.name: 503 for page in PAGES} == {
        page.name: visitor.goto(f"/{page.name}/").status for page in PAGES
    }
    assert [200, 200] == [visitor.goto(path).status for path in ("/", "/status/")]
    expect(visitor.page.locator(".failure dt")).to_have_text(re.compile("^Last error: "))
    assert obstacles(visitor) == []

    away.start()
    for page in PAGES:
        visitor.goto(f"/{page.name}/")
        wait_for_recovery(visitor, f"/{page.name}/")


def test_a_session_survives(visit: Visit, site: str, cache_server: LocalServer):
    """A visitor whose visit failed goes on counting where they were."""
    visitor = visit()
    visitor.goto("/visits/")
    visitor.goto("/visits/")
    cache_server.stop()
    try:
        assert visitor.goto("/visits/").status == 503
    finally:
        cache_server.start()

    wait_for_recovery(visitor, "/visits/")

    expect(visitor.page.locator(".figure")).to_have_text("3")
