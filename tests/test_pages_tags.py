"""Tags of whole pages, and pages that are computed while they are forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_momento.cache import MomentoCache
from django_momento.pages import cache_page
from django_momento.policies.versions import versions
from tests.conftest import MakeCache
from tests.kit.faces import EACH_FACE
from tests.kit.tables import table
from tests.test_pages import Site

get = RequestFactory().get


def show(site: Site) -> str:
    """Return the text of the page."""
    text: str = site(get("/a")).content.decode()
    return text


def by_path(request: HttpRequest, response: HttpResponse) -> list[str]:
    """Return the tag of a page, from both of its arguments."""
    return [f"page:{request.path}", f"length:{len(response.content)}"]


@EACH_FACE
@table(
    ("tags", "tag", "stale"),
    [(["page:/a", "pages"], "pages", 0), (by_path, "page:/a", 0), (["pages"], "pages", 60)],
    afresh=True,
)
def test_a_page_is_forgotten_with_its_tag(
    make_cache: MakeCache, face: str, tags: Any, tag: str, stale: int
) -> None:
    cache = make_cache()
    site = Site(face, tags=tags, stale=stale)
    assert [show(site), show(site)] == ["page 1", "page 1"]
    cache.invalidate_tags("other")
    assert show(site) == "page 1"
    cache.invalidate_tags(tag)
    assert [show(site), show(site)] == ["page 2", "page 2"]


@EACH_FACE
@table("tags", [["pages"], lambda request, response: ["pages"]], afresh=True)
@table("forget", [lambda cache: cache.invalidate_tags("pages"), lambda cache: cache.clear()], afresh=True)
def test_a_page_that_was_computed_before_it_was_forgotten_is_not_served_after(
    make_cache: MakeCache, face: str, tags: Any, forget: Callable[[MomentoCache], None]
) -> None:
    cache = make_cache(OPTIONS={"CLEAR": "prefix"})
    forgets = iter([True, True, False])

    def view(request: HttpRequest) -> HttpResponse:
        if next(forgets, False):
            thread = threading.Thread(target=forget, args=[cache])
            thread.start()
            thread.join()
        return HttpResponse(f"page {site.runs}")

    site = Site(face, view, tags=tags)
    assert [show(site) for _ in range(4)] == ["page 1", "page 2", "page 3", "page 3"]


@table("is_read_meanwhile", [False, True], afresh=True)
def test_an_invalidation_elsewhere_is_noticed_if_the_version_was_known(
    make_cache: MakeCache, is_read_meanwhile: bool
) -> None:
    """Of tags that a function returns after the view, also if another thread notices it first."""
    cache = make_cache(OPTIONS={"TAG_SECONDS": 0})
    elsewhere = make_cache(OPTIONS={"TAG_SECONDS": 0, "CLIENT_TIMEOUT": 9})
    make_cache(OPTIONS={"TAG_SECONDS": 0})
    cache.set("k", 1, tags=["pages"])

    def view(request: HttpRequest) -> HttpResponse:
        if site.runs == 1:
            elsewhere.invalidate_tags("pages")
            if is_read_meanwhile:
                assert cache.get("k") is None
        return HttpResponse(f"page {site.runs}")

    site = Site("sync", view, tags=lambda request, response: ["pages"])
    assert [show(site) for _ in range(3)] == ["page 1", "page 2", "page 2"]


@EACH_FACE
def test_wrong_tags_of_a_page_are_refused(make_cache: MakeCache, face: str) -> None:
    make_cache()
    for tags, kind in (("pages", TypeError), ([5], TypeError), (["a", "a"], ValueError)):
        with pytest.raises(kind):
            cache_page(60, tags=tags)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(kind):
            Site(face, tags=lambda request, response, tags=tags: tags)(get("/a"))


def test_a_page_without_tags_costs_no_more(make_cache: MakeCache, momento: Any) -> None:
    make_cache()
    site = Site("sync")
    show(site)
    momento.reset_calls()
    versions.forget()
    show(site)
    assert sum(momento.calls.values()) == momento.calls["Get"] <= 2
