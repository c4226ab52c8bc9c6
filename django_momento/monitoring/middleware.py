"""A middleware that tells the browser the cache calls of each response, in the header Server-Timing.

    MIDDLEWARE = ["django_momento.monitoring.middleware.CacheTimingMiddleware", ...]

The browser's developer tools show the header. Place the middleware first, so that the calls of other
middleware are counted too. Visitors can read the header too, so use it only if they may know how busy the
cache is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ..events import CallEvent, observers


class RequestTotals:
    """The calls of one request: their number, their seconds and their operations."""

    def __init__(self) -> None:
        self.calls = 0
        self.operations = 0
        self.seconds = 0.0
        # A request may use the cache in several threads.
        self._lock = RLock()

    def add(self, event: CallEvent) -> None:
        """Add a call."""
        with self._lock:
            self.calls += 1
            self.operations += event.operations
            self.seconds += event.seconds

    def header(self) -> str:
        """Return the value for Server-Timing."""
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        operations = "1 operation" if self.operations == 1 else f"{self.operations} operations"
        return f'cache;desc="{calls}, {operations}";dur={self.seconds * 1000:.1f}'


_totals: ContextVar[RequestTotals | None] = ContextVar("django_momento_request_totals", default=None)


def observe(event: CallEvent) -> None:
    """Add a call to the totals of its request, if its thread or task serves one. An observer."""
    totals = _totals.get()
    if totals is not None:
        totals.add(event)


@contextmanager
def request_totals() -> Iterator[RequestTotals]:
    """Return the totals of the calls inside the block, and of the threads and tasks that it starts."""
    if observe not in observers:
        observers.append(observe)
    totals = RequestTotals()
    token = _totals.set(totals)
    try:
        yield totals
    finally:
        _totals.reset(token)


class CacheTimingMiddleware:
    """Add the header Server-Timing to each response, and ``cache_totals`` to each request. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._acall(request)
        with request_totals() as totals:
            request.cache_totals = totals  # type: ignore[attr-defined]  # ours
            return _with_header(self._get_response(request), totals)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with request_totals() as totals:
            request.cache_totals = totals  # type: ignore[attr-defined]  # ours
            return _with_header(await self._get_response(request), totals)


def _with_header(response: HttpResponseBase, totals: RequestTotals) -> HttpResponseBase:
    others = response.headers.get("Server-Timing")
    header = totals.header()
    response.headers["Server-Timing"] = f"{others}, {header}" if others else header
    return response
