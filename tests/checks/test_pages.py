"""W010: whole pages in a cache whose serializer cannot store them."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpResponse
from django.middleware.cache import UpdateCacheMiddleware
from django.urls import clear_url_caches, include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page, never_cache
from django.views.decorators.vary import vary_on_cookie

from django_momento import pages
from tests.kit.checking import Found, alias, ids, messages
from tests.kit.tables import table

UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
PAGES = {"pages": alias(SECRET_ID="a", SERIALIZER="json")}


class OurMiddleware(UpdateCacheMiddleware):
    """A site's own cache middleware."""


def page(request: Any) -> HttpResponse:
    return HttpResponse()


async def async_page(request: Any) -> HttpResponse:
    return HttpResponse()


class Decorated(View):
    @method_decorator(cache_page(60, cache="pages"))
    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(*args, **kwargs)


class DecoratedGet(View):
    @method_decorator(cache_page(60, cache="pages"))
    def get(self, request: Any) -> HttpResponse:
        return HttpResponse()


class DecoratedByOurs(View):
    @method_decorator(pages.cache_page(60, cache="pages"))
    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(*args, **kwargs)


@method_decorator([never_cache, cache_page(60, cache="pages")], name="dispatch")
class DecoratedAsAWhole(View):
    pass


@pytest.fixture
def found(settings: Any) -> Found:
    """What the checks say of some CACHES; see ``messages``."""
    return partial(messages, settings)


@pytest.fixture
def urls(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make URL patterns of views."""

    def use(*views: Any) -> None:
        module = ModuleType("urls_of_a_test")
        module.urlpatterns = [path("in/", include([path("", view) for view in views]))]  # type: ignore[attr-defined]  # a module of the test
        monkeypatch.setitem(sys.modules, module.__name__, module)
        settings.ROOT_URLCONF = module.__name__
        clear_url_caches()

    yield use
    clear_url_caches()


@table("middleware", [UPDATE, "tests.checks.test_pages.OurMiddleware"])
@table("serializer", ["json", "msgpack", "django.core.signing.JSONSerializer"])
def test_cache_middleware_over_a_text_serializer_is_remarked(
    found: Found, middleware: str, serializer: str
) -> None:
    """The message names the middleware and the serializer."""
    caches = {"pages": alias(SECRET_ID="a", SERIALIZER=serializer), "data": alias("b", SECRET_ID="a")}
    (message,) = found(caches, MIDDLEWARE=["no.such", middleware], CACHE_MIDDLEWARE_ALIAS="pages")

    assert "django_momento.W010" == message.id
    assert f"CACHES['pages'] has SERIALIZER {serializer!r}" in message.msg
    assert middleware in message.msg
    assert [] == found(caches, MIDDLEWARE=[middleware], CACHE_MIDDLEWARE_ALIAS="data")
    assert [] == found(caches, MIDDLEWARE=["django.middleware.cache.FetchFromCacheMiddleware"])


@table(
    "view",
    [
        cache_page(60, cache="pages")(page),
        cache_page(60, cache="pages")(async_page),
        vary_on_cookie(cache_page(60, cache="pages")(page)),
        cache_page(60, cache="pages")(vary_on_cookie(page)),
        cache_page(60, cache="pages")(Decorated.as_view()),
        Decorated.as_view(),
        DecoratedAsAWhole.as_view(),
        DecoratedGet.as_view(),
        partial(cache_page(60, cache="pages")(page)),
        pages.cache_page(60, stale=60, cache="pages")(page),
        pages.cache_page(60, cache="pages")(async_page),
        DecoratedByOurs.as_view(),
    ],
)
def test_cache_page_over_a_text_serializer_is_remarked(found: Found, urls: Any, view: Any) -> None:
    """Wherever in the decorators of a view it stands."""
    urls(page, view)
    (message,) = found(PAGES)

    assert "django_momento.W010" == message.id
    assert "cache_page on the view" in message.msg


def test_cache_page_without_a_cache_stores_in_the_default_alias(found: Found, urls: Any) -> None:
    """Django reads ``CACHE_MIDDLEWARE_ALIAS`` for the middleware alone."""
    urls(cache_page(60)(page))

    assert [] == found(PAGES)
    assert ["W010"] == ids(found({"default": alias(SECRET_ID="a", SERIALIZER="json")}))


def test_pages_in_other_caches_are_not_remarked(found: Found, urls: Any) -> None:
    """Neither those of another alias nor those that are pickled, and views without cache_page even less."""
    urls(page, async_page, View.as_view(), cache_page(60, cache="other")(page))

    assert [] == found(PAGES)
    urls(cache_page(60, cache="pages")(page))
    assert [] == found({"pages": alias(SECRET_ID="a")})


def test_a_serializer_of_the_site_that_stores_responses_is_not_remarked(found: Found) -> None:
    """It is tried on a response."""
    ours = {"default": alias(SECRET_ID="a", SERIALIZER="django.core.cache.backends.redis.RedisSerializer")}

    assert [] == found({"default": alias(SECRET_ID="a")}, MIDDLEWARE=[UPDATE])
    assert [] == found(ours, MIDDLEWARE=[UPDATE])


def test_a_closure_of_any_size_and_shape_ends_the_search(found: Found, urls: Any) -> None:
    """One that contains itself, and one whose parts are many and shared."""
    shared: list[Any] = [page]
    for _ in range(8):
        shared = [shared] * 8
    many = [object()] * 100_000

    def view(request: Any) -> Any:
        return view, shared, many

    urls(view, cache_page(60, cache="pages")(view))
    assert ["W010"] == ids(found(PAGES))


def test_url_patterns_that_cannot_be_imported_are_left_to_django(found: Found, settings: Any) -> None:
    """Its own check reports them."""
    settings.ROOT_URLCONF = "no.such.urls"

    assert [] == found(PAGES)
