"""The admin, the status page, and a page that uses the caches."""

from contextlib import suppress

from django.contrib import admin
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_momento.exceptions import MomentoCacheError


def shop(request: HttpRequest) -> HttpResponse:
    """Make calls of several verbs, with a large value and a group that has a long name."""
    cache = caches["default"]
    with suppress(MomentoCacheError):
        cache.set("product:1", b"x" * 20_000)
        cache.get_many([f"product:{number}" for number in range(10)])
        cache.get("page:1")
        cache.set("a-group-of-keys-with-a-name-that-no-narrow-window-can-show:1", 1)
        cache.delete("product:2")
    return HttpResponse("bought")


def report(request: HttpRequest) -> HttpResponse:
    """Make a call of the cache that hides its errors."""
    caches["reports"].get("report:1")
    return HttpResponse("reported")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("cache/", include("django_momento.monitoring.urls")),
    path("shop/", shop),
    path("report/", report),
]
