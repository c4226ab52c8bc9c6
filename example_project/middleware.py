"""What every page gets around its view: an error page when the cache is away, and a list of its cache calls.

Both work in a WSGI and in an ASGI server: a middleware for one kind only would send each async view through
a thread.
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

from .observed import Operation, Totals, calls_of_request

# Seconds, for programs that ask again by themselves. Visitors have a link.
RETRY_AFTER = 5


class CacheErrorMiddleware(MiddlewareMixin):
    """Answers 503 for a view that failed on the cache; every other exception is Django's to handle."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, MomentoCacheError):
            return None
        context = {"error": exception, "error_class": type(exception).__name__}
        response = render(request, "example/cache_error.html", context, status=503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response


class Calls(NamedTuple):
    """Calls of one verb in a row."""

    verb: str
    totals: Totals
    milliseconds: float


def in_a_row(operations: list[Operation]) -> list[Calls]:
    rows = []
    for verb, group in groupby(operations, attrgetter("verb")):
        row, totals = list(group), Totals()
        for operation in row:
            totals = totals.plus(operation)
        rows.append(Calls(verb, totals, sum(op.milliseconds for op in row)))
    return rows


@sync_and_async_middleware
def show_calls(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Fill in the list of the cache calls that a page took, where its template asks for one.

    It is filled in last, because ``cache_page`` asks the cache outside of the view, and what it kept is
    shown again with the calls of another request.
    """

    def filled(response: HttpResponseBase, calls: list[Operation]) -> HttpResponseBase:
        context = {"calls": in_a_row(calls), "milliseconds": sum(call.milliseconds for call in calls)}
        return fill(response, "cache calls", "example/calls.html", context)

    if iscoroutinefunction(get_response):
        answer = cast("Callable[[HttpRequest], Awaitable[HttpResponseBase]]", get_response)

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with calls_of_request() as calls:
                return filled(await answer(request), calls)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with calls_of_request() as calls:
            return filled(get_response(request), calls)

    return middleware


def fill(response: HttpResponseBase, name: str, template: str, context: dict[str, Any]) -> HttpResponseBase:
    """Render a template in place of the HTML comment of this name, if the response has one."""
    mark = f"<!-- {name} -->".encode()
    if isinstance(response, HttpResponse) and mark in response.content:
        response.content = response.content.replace(mark, render_to_string(template, context).encode())
    return response
