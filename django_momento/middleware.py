"""A middleware that asks Momento for each key at most once a request.

    MIDDLEWARE = ["django_momento.middleware.CacheMemoMiddleware", ...]

It begins a memo for every alias of ``CACHES`` that uses Momento, and ends it with the response. The content
of a streaming response is made after that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.cache import caches
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .cache import MomentoCache
from .checks.aliases import momento_aliases


class CacheMemoMiddleware:
    """Keep the values that a request reads from a Momento cache until its response. Sync and async."""

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
        with _memos():
            return self._get_response(request)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with _memos():
            response: HttpResponseBase = await self._get_response(request)
            return response


def _memos() -> ExitStack:
    """Return a context with a memo of each Momento alias."""
    with ExitStack() as stack:
        for alias in momento_aliases():
            cache = caches[alias]
            if isinstance(cache, MomentoCache):
                stack.enter_context(cache.memo())
        return stack.pop_all()
