"""The one place that knows what the site does when its cache cannot be reached: it says so, readably."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_momento.exceptions import MomentoCacheError


class CacheErrorMiddleware:
    """Answers 503 for a view that failed on the cache; every other exception is Django's to handle."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, MomentoCacheError):
            return None
        context = {"error": exception, "error_class": type(exception).__name__}
        return render(request, "example/cache_error.html", context, status=503)
