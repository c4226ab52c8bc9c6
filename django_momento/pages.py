"""Cache whole pages: Django's ``cache_page`` with one run of the view at a time, and with stale pages.

    from django_momento.pages import cache_page

    @cache_page(60, stale=600)
    async def prices(request): ...

Django's own middleware makes the keys and decides which pages are stored. Its lookups and stores are
performed here, so that an async view never blocks its event loop.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial, wraps
from inspect import iscoroutine
from math import inf
from typing import Any, TypeAlias, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.cache import caches
from django.middleware.cache import CacheMiddleware

from .cache import MomentoCache
from .client import operations
from .client.calls import Operation
from .clock import monotonic
from .codec.codec import Opened
from .events import events
from .exceptions import ConfigurationError, MomentoCacheError, ValueTooLarge
from .interruption import is_foreign
from .policies import actions
from .policies.actions import Actions, Compute, Operate, Store, Verb, perform
from .policies.flights import LEAD, RETRY, Flight, flights, leading, name_flight
from .policies.freshness import (
    DEFAULT_WAIT,
    MISSING,
    Found,
    encode_stale,
    find,
    land,
    seal,
    to_limited_seconds,
    wait_for_outcome,
)
from .policies.page_facts import headers_of_pages, uncacheable_pages
from .policies.prefixes import find_generation, within
from .policies.tags import Tagged, check_tags
from .policies.timeouts import Timeout
from .policies.unstored import forbids_storing

View = TypeVar("View", bound=Callable[..., Any])
# A list of tags, or a function of request and response that returns one.
Tags: TypeAlias = Iterable[str] | Callable[[Any, Any], Iterable[str]]

_HEADERS = "views.decorators.cache.cache_header."


def cache_page(
    timeout: float | None,
    *,
    stale: Timeout = 0,
    tags: Tags = (),
    key_prefix: str | None = None,
    cache: str | None = None,
) -> Callable[[View], View]:
    """Return a decorator that stores the pages of a view, as Django's decorator of this name.

    One thread or task of this process runs the view for a page at a time, and the others wait up to five
    seconds for its page. After ``timeout`` seconds a page can be kept for ``stale`` more seconds. One request
    recomputes it then, and the others get the old page at once.

    ``tags`` are names with which invalidate_tags() forgets the pages: a list, or a function that gets the
    request and the response and returns a list. With a list, a page that was computed before an invalidation
    is never served after it. A function is called after the view, when the response is to be stored. Raises
    TypeError or ValueError for wrong tags.

    ``cache`` is an alias of CACHES that uses Momento. The page raises ConfigurationError if it does not.
    """

    to_limited_seconds("stale", stale, inf)
    if not callable(tags):
        tags = check_tags(tags, _accept)
    # In the closure of the decorator and of the view, where `manage.py check` looks for it.
    middleware = _Middleware(_never_called, page_timeout=timeout, cache_alias=cache, key_prefix=key_prefix)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def show(request: Any, *args: Any, **kwargs: Any) -> Any:
                page = _Page(middleware, request, partial(view, request, *args, **kwargs), stale, tags, True)
                return await actions.arun(page.cache, page.actions())

        else:

            @wraps(view)
            def show(request: Any, *args: Any, **kwargs: Any) -> Any:
                page = _Page(middleware, request, partial(view, request, *args, **kwargs), stale, tags, False)
                return actions.run(page.cache, page.actions())

        return show  # type: ignore[return-value]  # it has the signature of the view

    return decorate


def _never_called(request: Any) -> Any:
    """Stand for the view in Django's middleware, which is used for keys and decisions alone."""
    raise NotImplementedError


def _accept(tag: str) -> None:
    """Accept a tag for now. The cache of the request checks it as its keys."""


class _Missing(Exception):
    """A lookup needs a key that was not read yet."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _Lookups:
    """Stands for a cache in Django's middleware. Reads come from memory, and writes are collected."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.writes: list[tuple[str, Any, float]] = []

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self.found:
            raise _Missing(key)
        return self.found[key]

    def set(self, key: str, value: Any, timeout: float) -> None:
        self.writes.append((key, value, timeout))


class _Middleware(CacheMiddleware):
    """Django's middleware with a cache that each request sets."""

    cache: Any = None

    def for_request(self, cache: _Lookups) -> _Middleware:
        twin = copy.copy(self)
        twin.cache = cache
        return twin


class _Page:
    """One request of a page."""

    def __init__(
        self,
        middleware: _Middleware,
        request: Any,
        view: Callable[[], Any],
        stale: Timeout,
        tags: Tags,
        is_async: bool,
    ) -> None:
        self._lookups = _Lookups()
        self._middleware = middleware.for_request(self._lookups)
        self._request = request
        self._view = view
        self._tags = tags
        # The tags that the page is stored with, or None if it must not be stored.
        self._tagged: Tagged | None = ()
        self._generation: bytes | None = None
        self._is_async = is_async
        self.cache = _find_cache(middleware.cache_alias)
        self._stale = round(to_limited_seconds("stale", stale, self.cache.options.max_ttl) * 1000)
        self._deadline = monotonic() + DEFAULT_WAIT
        # The key that tells this page from others: its own, or that of its headers if they are unknown.
        self._key = ""
        self._is_stale = False
        # The flight that this request leads.
        self._flight: Flight | None = None

    def actions(self) -> Actions[Any]:
        """Return the response: the page that is stored, or a new one."""
        try:
            return (yield from self._respond())
        except BaseException:
            flights.abandon(self, self._flight)
            raise

    def _respond(self) -> Actions[Any]:
        given: dict[str, Any] = {}
        while True:
            tick = flights.tick
            response = yield from self._look_up(given)
            if response is not None and not self._is_stale:
                return response
            if response is None and not self._request._cache_update_cache:
                return (yield Compute(self._view))  # neither GET nor HEAD
            key = self._flight_key()
            if response is not None:
                flight = flights.lead(key, self, self._is_async)
                if flight is None:
                    self._record("stale_served")
                    return response
                # The middleware has taken the page for one that need not be stored again.
                self._request._cache_update_cache = True
                return (yield from self._lead(flight, tick))
            if not self.cache.options.single_flight or uncacheable_pages.get(key):
                return (yield from self._produce(None))
            flight, waiter = flights.join(key, self, self._is_async)
            if flight is None:
                return (yield from self._produce(None))
            if waiter is None:
                return (yield from self._lead(flight, tick))
            self._record("joined")
            outcome = yield from wait_for_outcome(flight, waiter, self._deadline)
            if outcome is LEAD:
                return (yield from self._lead(flight, tick))
            if outcome is None:
                return (yield from self._produce(None))
            # The page is this request's, unless its headers differ from those of the leader.
            given = {} if outcome is RETRY else (yield from self._take(*outcome))

    def _take(self, key: str, outcome: Opened) -> Actions[dict[str, Any]]:
        """Return the page of another request by its key, unless one of its tags was invalidated since."""
        page = outcome.load()
        if outcome.attributes is None:
            return {key: page}
        momento_key = self.cache._momento_key(key, None)
        current = self.cache._resolve_tags(momento_key, page, None)
        page = yield from perform(self.cache, Operate("snapshot", (key,), current, page.value))
        return {} if page is None else {key: page}

    def _look_up(self, given: dict[str, Any]) -> Actions[Any]:
        """Return the stored page, or None. ``given`` has values by key that need not be read."""
        self._lookups.found = given
        self._key, self._is_stale = "", False
        while True:
            try:
                return self._middleware.process_request(self._request)
            except _Missing as missing:
                key = missing.key
            if not self._key or self._key.startswith(_HEADERS):
                self._key = key
            given[key] = yield from self._read(key)

    def _read(self, key: str) -> Actions[Any]:
        if key.startswith(_HEADERS):
            name = self._name(key)
            headers = headers_of_pages.get(name)
            if headers is None:
                headers = yield from perform(self.cache, Verb("get", key))
                if headers is not None:
                    headers_of_pages.set(name, headers)
            return headers
        if not self._stale:
            return (yield from perform(self.cache, Verb("get", key)))
        momento_key = self.cache._momento_key(key, None)
        operation = find(self.cache, momento_key)
        found: Found = yield from perform(self.cache, Operate("get", (key,), operation, MISSING))
        self._is_stale = found.is_stale
        return found.value if found.is_fresh or found.is_stale else None

    def _lead(self, flight: Flight, tick: int) -> Actions[Any]:
        """Return a new page, for all who wait for the flight, unless one was stored meanwhile."""
        self._flight = flight
        try:
            return (yield from leading(flight, self._is_async, self._find_or_produce(flight, tick)))
        except Exception as error:
            # An error is the response of this request alone. The others need not wait for it one by one.
            if is_foreign(error):
                flights.hand_over(flight)
            elif not flight.has_landed:
                uncacheable_pages.set(flight.key, True)
                yield from land(flight, None)
            raise
        except BaseException:
            flights.hand_over(flight)
            raise

    def _find_or_produce(self, flight: Flight, tick: int) -> Actions[Any]:
        is_stale = self._is_stale
        if flights.has_landed_since(tick, flight.key):
            response = yield from self._look_up({})
            if response is not None and not self._is_stale:
                yield from land(flight, None)
                return response
        response = yield from self._produce(flight)
        if is_stale:
            self._record("recomputed")
        return response

    def _produce(self, flight: Flight | None) -> Actions[Any]:
        """Run the view. Store its response, as soon as it is rendered."""
        self._generation = yield from find_generation(self.cache, self._key)
        started = monotonic()
        if self._tags and not callable(self._tags):
            names = self.cache._check_tags(self._tags)
            self._tagged = yield from self._snapshot(self.cache._tags.snapshot(names))
        response = yield Compute(self._view)
        if iscoroutine(response):
            response.close()
            raise TypeError(
                "cache_page() has decorated a sync function that returns a coroutine. "
                "Of a class with async methods, decorate get(), or the view that as_view() returns."
            )
        if callable(getattr(response, "render", None)) and not response.is_rendered:
            response.add_post_render_callback(
                lambda rendered: actions.run(self.cache, self._finish_rendered(rendered, flight, started))
            )
            return response
        return (yield from self._finish(response, flight, started))

    def _snapshot(self, snapshot: Operation[Tagged | None]) -> Actions[Tagged | None]:
        """Return the tags with their versions, or None if the page must not be stored."""
        tagged: Tagged | None = yield from perform(
            self.cache, Operate("snapshot", (self._key,), snapshot, None)
        )
        return tagged

    def _finish_rendered(self, response: Any, flight: Flight | None, started: float) -> Actions[Any]:
        try:
            return (yield from self._finish(response, flight, started))
        except BaseException:
            flights.abandon(self, self._flight)
            raise

    def _finish(self, response: Any, flight: Flight | None, started: float) -> Actions[Any]:
        self._lookups.writes.clear()
        if not forbids_storing(response):
            response = self._middleware.process_response(self._request, response)
        writes = self._lookups.writes
        if writes and callable(self._tags):
            names = self.cache._check_tags(self._tags(self._request, response))
            self._tagged = yield from self._snapshot(self.cache._tags.snapshot_afterwards(names, started))
        if self._tagged is None:
            writes.clear()
        make_outcome = partial(self._seal, *writes[-1][:2]) if writes else None
        try:
            for key, value, timeout in writes:
                yield from within(self.cache, self._generation, self._write(key, value, timeout))
        except MomentoCacheError:
            if flight is not None:
                yield from land(flight, make_outcome)
            raise
        if flight is not None:
            if writes:
                uncacheable_pages.discard(flight.key)
            else:
                uncacheable_pages.set(flight.key, True)
            yield from land(flight, make_outcome)
        return response

    def _write(self, key: str, value: Any, timeout: float) -> Actions[None]:
        if key.startswith(_HEADERS):
            headers_of_pages.set(self._name(key), value)
            yield from perform(self.cache, Verb("set", key, value, timeout + self._stale / 1000))
        elif not self._stale and not self._tagged:
            yield from perform(self.cache, Verb("set", key, value, timeout))
        else:
            encode = partial(self._encode, key, value, timeout)
            try:
                yield from perform(self.cache, Store("set", (key,), operations.set, encode, None))
            except ValueTooLarge as error:
                self.cache._record_copy_or_raise(error, key, value)

    def _encode(self, key: str, response: Any, timeout: float) -> tuple[bytes, bytes, int]:
        return encode_stale(self.cache, key, None, response, timeout, self._stale, self._tagged or ())

    def _seal(self, key: str, response: Any) -> tuple[str, Any]:
        momento_key = self.cache._momento_key(key, None)
        return key, seal(self.cache, momento_key, response, self._tagged or ())

    def _name(self, key: str) -> tuple[object, ...]:
        return name_flight(self.cache, self.cache._momento_key(key, None))

    def _flight_key(self) -> tuple[object, ...]:
        return "page", self._request.method, *self._name(self._key)

    def _record(self, kind: str) -> None:
        events.record(self.cache.options.alias, kind)


def _find_cache(alias: str) -> MomentoCache:
    cache = caches[alias]
    if not isinstance(cache, MomentoCache):
        raise ConfigurationError(
            f"cache_page() of django_momento.pages stores pages in CACHES[{alias!r}], which uses "
            f"{type(cache).__name__} and not Momento.",
            "Name an alias of Momento with cache_page(cache=...), or use Django's own cache_page().",
        )
    return cache
