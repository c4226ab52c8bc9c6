"""``django_momento.pages.cache_page``: Django's decorator, with one run of the view and with stale pages."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.backends.django import DjangoTemplates
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page as django_cache_page

from django_momento.events import events
from django_momento.exceptions import ConfigurationError
from django_momento.local import LocalServer
from django_momento.pages import cache_page
from django_momento.policies.flights import flights
from tests.conftest import MakeCache
from tests.kit.at_once import at_once
from tests.kit.faces import EACH_FACE
from tests.kit.ports import unserved
from tests.kit.tables import table
from tests.kit.waiting import eventually

get = RequestFactory().get
head = RequestFactory().head
post = RequestFactory().post


class Site:
    """A view that counts its runs, behind a decorator, called by either face."""

    def __init__(
        self, face: str, view: Callable[[HttpRequest], Any] | None = None, timeout: Any = 60, **options: Any
    ) -> None:
        self.runs = 0
        decorate = cache_page(timeout, **options)

        def run(request: HttpRequest) -> Any:
            self.runs += 1
            return HttpResponse(f"page {self.runs}") if view is None else view(request)

        async def arun(request: HttpRequest) -> Any:
            return run(request)

        self._is_async = face == "async"
        self._view: Any = decorate(arun) if self._is_async else decorate(run)

    def __call__(self, request: HttpRequest | None = None) -> Any:
        request = get("/page") if request is None else request
        response = asyncio.run(self._view(request)) if self._is_async else self._view(request)
        return response.render() if hasattr(response, "render") and not response.is_rendered else response


@EACH_FACE
def test_a_page_is_stored_with_djangos_headers(make_cache: MakeCache, face: str) -> None:
    make_cache()
    site = Site(face)

    first, second, third = site(), site(), site(head("/page"))

    assert [first.content, second.content, third.content] == [b"page 1"] * 3
    assert second["Cache-Control"] == "max-age=60"
    assert int(second["Age"]) in range(60)
    assert second["Expires"]
    assert site(get("/other")).content == b"page 2"
    assert site(post("/page")).content == b"page 3"


@EACH_FACE
def test_django_and_this_package_share_their_pages(make_cache: MakeCache, face: str) -> None:
    """The keys are the same."""
    make_cache()
    theirs = django_cache_page(60)(lambda request: HttpResponse("theirs"))
    theirs(get("/page"))

    assert Site(face)().content == b"theirs"
    assert Site(face, key_prefix="other")().content == b"page 1"


@EACH_FACE
def test_a_page_varies_as_its_headers_say(make_cache: MakeCache, face: str) -> None:
    make_cache()

    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(request.headers.get("X-Shop", "none"))
        patch_vary_headers(response, ["X-Shop"])
        return response

    site = Site(face, view)
    for _ in range(2):
        for shop in ("tea", "coffee"):
            assert site(get("/page", headers={"x-shop": shop})).content == shop.encode()
    assert site.runs == 2


def set_cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("personal")
    response.set_cookie("session", "1")
    patch_vary_headers(response, ["Cookie"])
    return response


UNCACHEABLE: dict[str, Callable[[HttpRequest], Any]] = {
    "cookie": set_cookie,
    "private": lambda request: HttpResponse("personal", headers={"Cache-Control": "private"}),
    "no-store": lambda request: HttpResponse("personal", headers={"Cache-Control": "no-store"}),
    "error": lambda request: HttpResponse("error", status=500),
    "redirect": lambda request: HttpResponse("elsewhere", status=302),
    "stream": lambda request: StreamingHttpResponse(iter([b"a", b"b"])),
    "any header": lambda request: HttpResponse("x", headers={"Vary": "*"}),
}


@EACH_FACE
@table("reason", UNCACHEABLE, afresh=True)
@table("stale", [0, 60], afresh=True)
def test_a_response_that_django_does_not_store_is_not_stored(
    make_cache: MakeCache, face: str, reason: str, stale: int
) -> None:
    make_cache()
    site = Site(face, UNCACHEABLE[reason], stale=stale)

    for _ in range(3):
        site()

    assert site.runs == 3
    assert len(flights) == 0


@EACH_FACE
def test_a_hit_asks_for_the_page_alone(make_cache: MakeCache, momento: LocalServer, face: str) -> None:
    """This process remembers on which headers the page depends."""
    make_cache()
    site = Site(face)
    site()
    momento.reset_calls()

    for _ in range(5):
        site()

    assert momento.calls.total() == 5


@EACH_FACE
def test_one_view_runs_for_all_who_ask_for_a_page(make_cache: MakeCache, face: str) -> None:
    """The others get copies of their own."""
    make_cache()

    def view(request: HttpRequest) -> HttpResponse:
        eventually(lambda: events.counts("default").get("joined") == 19)
        return HttpResponse("page")

    site = Site(face, view)
    responses = at_once(20, site)

    assert site.runs == 1
    assert {response.content for response in responses} == {b"page"}
    assert len({id(response) for response in responses}) == 20
    assert len(flights) == 0


@EACH_FACE
def test_those_who_wait_for_a_page_that_is_not_stored_run_their_views_together(
    make_cache: MakeCache, face: str
) -> None:
    """A personal page is nobody else's, and no error is."""
    make_cache()
    together = threading.Barrier(9)

    def view(request: HttpRequest) -> HttpResponse:
        if threading.current_thread() is not leader[0]:
            together.wait(60)
        else:
            eventually(lambda: events.counts("default").get("joined") == 9)
        if "error" in request.path:
            raise Http404
        return set_cookie(request)

    leader: list[threading.Thread] = []

    def act(path: str) -> str:
        if not leader:
            leader.append(threading.current_thread())
        if leader[0] is not threading.current_thread():
            eventually(lambda: len(flights) or together.n_waiting)
        try:
            return str(site(get(path)).content)
        except Http404:
            return "missing"

    for path, expected in (("/page", "b'personal'"), ("/error", "missing")):
        events.forget()
        leader.clear()
        site = Site(face, view)
        assert at_once(10, partial(act, path)) == [expected] * 10
        assert site.runs == 10
        assert len(flights) == 0


@EACH_FACE
def test_waiters_whose_headers_differ_get_pages_of_their_own(make_cache: MakeCache, face: str) -> None:
    """Also if nobody knew on which headers the page depends."""
    make_cache()
    is_unknown = [True]

    def view(request: HttpRequest) -> HttpResponse:
        if is_unknown:
            is_unknown.clear()
            eventually(lambda: events.counts("default").get("joined") == 7)
        response = HttpResponse(request.headers["X-Shop"])
        patch_vary_headers(response, ["X-Shop"])
        return response

    site = Site(face, view)
    shops = iter(["tea", "coffee"] * 4)
    requests = iter([get("/page", headers={"x-shop": shop}) for shop in shops])

    def act() -> tuple[str, str]:
        request = next(requests)
        return request.headers["X-Shop"], site(request).content.decode()

    results = at_once(8, act)

    assert sorted(results) == [("coffee", "coffee")] * 4 + [("tea", "tea")] * 4
    assert site.runs == 2


@EACH_FACE
def test_a_stale_page_is_served_while_one_request_recomputes_it(make_cache: MakeCache, face: str) -> None:
    make_cache()
    served = threading.Semaphore(0)

    def view(request: HttpRequest) -> HttpResponse:
        if site.runs > 1:
            for _ in range(9):
                assert served.acquire(timeout=60)
        return HttpResponse(f"page {site.runs}")

    site = Site(face, view, timeout=1, stale=600)
    site()
    time.sleep(1.1)

    def act() -> tuple[bytes, int | None]:
        response = site()
        served.release()
        return response.content, int(response["Age"]) if "Age" in response else None

    def act_and_check_age() -> bytes:
        content, age = act()
        assert age is None or age >= 1  # the whole of its max-age
        return content

    assert sorted(at_once(10, act_and_check_age)) == [b"page 1"] * 9 + [b"page 2"]
    assert site.runs == 2
    assert events.counts("default") == {"stale_served": 9, "recomputed": 1}


@EACH_FACE
def test_a_page_of_a_template_is_stored_when_it_is_rendered(make_cache: MakeCache, face: str) -> None:
    """The middleware in between may still change it."""
    make_cache()
    template = DjangoTemplates({"NAME": "django", "DIRS": [], "APP_DIRS": False, "OPTIONS": {}}).from_string(
        "hello {{ name }}"
    )
    site = Site(face, lambda request: TemplateResponse(request, template, {"name": "Ada"}), stale=60)

    first, second = site(), site()

    assert first.content == second.content == b"hello Ada"
    assert site.runs == 1
    assert len(flights) == 0


@EACH_FACE
def test_a_page_that_is_too_large_is_served(make_cache: MakeCache, face: str) -> None:
    make_cache()
    site = Site(face, lambda request: HttpResponse(b"x" * 6_000_000), stale=60)

    for _ in range(2):
        assert len(site().content) == 6_000_000
    assert site.runs == 2


@EACH_FACE
def test_an_alias_that_is_not_momentos_is_named(settings: Any, face: str) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    with pytest.raises(ConfigurationError, match=r"CACHES\['default'\], which uses LocMemCache"):
        Site(face)()


@table(("stale", "error"), [(-1, ValueError), ("1", TypeError), (None, TypeError)])
def test_a_wrong_time_to_be_stale_is_refused_when_the_view_is_decorated(
    stale: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^stale is "):
        cache_page(60, stale=stale)


@EACH_FACE
def test_an_outage_serves_new_pages_if_the_cache_fails_open(settings: Any, face: str) -> None:
    with LocalServer(caches=["tests"]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address}
        settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": "tests",
                "OPTIONS": {**options, "IGNORE_EXCEPTIONS": True},
            }
        }
        site = Site(face, stale=60)
        assert site().content == b"page 1"
        server.stop()

        with unserved(server.port):
            assert [site().content, site().content] == [b"page 2", b"page 3"]


@EACH_FACE
@table("stale", [0, 60], afresh=True)
def test_in_an_outage_a_shielded_cache_serves_the_pages_that_it_knows(
    settings: Any, face: str, stale: int
) -> None:
    """And runs the view of another page once, though it does not fail open."""
    with LocalServer(caches=["tests"]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address}
        settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": "tests",
                "OPTIONS": {**options, "STALE_IF_ERROR": 600},
            }
        }
        site = Site(face, stale=stale)
        assert site().content == b"page 1"
        server.stop()

        with unserved(server.port):
            assert [site().content, site().content] == [b"page 1"] * 2
            assert [site(get("/other")).content for _ in range(3)] == [b"page 2"] * 3


def test_the_views_of_classes_are_decorated_as_views_or_as_methods(make_cache: MakeCache) -> None:
    """Not as the ``dispatch`` of async methods, which is a sync function."""
    make_cache()

    class Show(View):
        @method_decorator(cache_page(60))
        async def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(time.perf_counter()))

    @method_decorator(cache_page(60), name="dispatch")
    class Dispatched(Show):
        pass

    views: list[Any] = [Show.as_view(), cache_page(60)(Show.as_view())]
    for view in views:
        first, second = asyncio.run(view(get("/class"))), asyncio.run(view(get("/class")))
        assert first.content == second.content
    with pytest.raises(TypeError, match=r"decorate get\(\), or the view that as_view\(\) returns"):
        Dispatched.as_view()(get("/dispatched"))
