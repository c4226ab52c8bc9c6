"""Middleware for every page: an error page for a failed cache, and the list of the page's cache calls.

Both work under WSGI and ASGI. If a middleware supported only one of them, each async view would run in a
thread.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from django_momento.exceptions import MomentoCacheError

from .activity import CacheCall, Totals, calls_of_request

# Seconds, for programs that retry by themselves. Visitors have a link.
RETRY_AFTER = 5


class CacheErrorMiddleware(MiddlewareMixin):
    """Return status 503 if a view failed because of the cache. Django handles all other exceptions."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, MomentoCacheError):
            return None
        context = {"error": exception, "error_class": type(exception).__name__}
        response = render(request, "example/cache_error.html", context, status=503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response


class Calls(NamedTuple):
    """Consecutive calls of one verb with the same result."""

    verb: str
    result: str
    totals: Totals
    milliseconds: float


def group_calls(calls: list[CacheCall]) -> list[Calls]:
    """Return one row for consecutive calls of one verb with the same result."""
    rows = []
    for (verb, result), group in groupby(calls, attrgetter("verb", "result")):
        row, totals = list(group), Totals()
        for call in row:
            totals = totals.plus(call)
        rows.append(Calls(verb, result, totals, sum(call.milliseconds for call in row)))
    return rows


@sync_and_async_middleware
def show_calls(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Insert the list of the page's cache calls at the mark in its template.

    The list is inserted last, because ``cache_page`` calls the cache outside of the view, and a cached page
    is shown again with the calls of another request.
    """

    def insert(response: HttpResponseBase, calls: list[CacheCall]) -> HttpResponseBase:
        context = {"calls": group_calls(calls), "milliseconds": sum(call.milliseconds for call in calls)}
        return fill(response, "cache calls", "example/calls.html", context)

    if iscoroutinefunction(get_response):
        aget_response = cast("Callable[[HttpRequest], Awaitable[HttpResponseBase]]", get_response)

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with calls_of_request() as calls:
                return insert(await aget_response(request), calls)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with calls_of_request() as calls:
            return insert(get_response(request), calls)

    return middleware


def fill(response: HttpResponseBase, name: str, template: str, context: dict[str, Any]) -> HttpResponseBase:
    """Replace the HTML comment of this name by a rendered template, if the response contains it."""
    mark = f"<!-- {name} -->".encode()
    if isinstance(response, HttpResponse) and mark in response.content:
        response.content = response.content.replace(mark, render_to_string(template, context).encode())
    return response
