"""A rate limit for views, sync and async, with the headers that tell a client about it.

    @rate_limit(100, 60)
    def search(request): ...

The headers are those of the IETF's draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-
headers, revisions 8 to 11), and Retry-After of RFC 9110.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial, wraps
from hashlib import sha256
from math import ceil
from typing import Any, TypeVar, cast
from urllib.parse import quote

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from ..cache import MomentoCache
from ..policies.limits import Hit, Limit, OnOutage

View = TypeVar("View", bound=Callable[..., Any])
Identify = Callable[[HttpRequest], object]

KEYS = ("user", "ip")
# Identities that may be a part of a key as they are. Others may be long, or hold any character.
_PLAIN = re.compile(r"[\w.:@+-]{1,100}", re.ASCII)
# The characters of a string in a structured header field, but for the quote and the backslash.
_NAME = re.compile(r"[ !#-\[\]-~]+")
# They stay as they are in a header. The letters of other alphabets, in the path of a view, are escaped.
_SAFE = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"\\')
# Seconds that no window exceeds: the TTLs of provisioned storage have no bound.
_ANY_TTL = 1e9


def rate_limit(
    limit: int,
    window: float | timedelta,
    *,
    key: str | Identify = "user",
    name: str | None = None,
    proxies: int = 0,
    cache: str = "default",
    on_outage: OnOutage = "allow",
) -> Callable[[View], View]:
    """Return a decorator for a view that responds 429 after ``limit`` requests in ``window`` seconds.

    ``key`` tells clients apart. ``"user"`` is the user who is logged in, or else the IP address, ``"ip"`` is
    the address, and a function, sync or async, returns any text for a request, or None for no limit.

    ``name`` names the limit in the headers and in the cache: views with the same name share their counts.
    The default is the path of the view's function.

    The address is REMOTE_ADDR. Behind reverse proxies that is the last of them, and all clients would share
    one limit. ``proxies`` is the number of your own proxies that add to X-Forwarded-For. The address is then
    the one that the first of them saw, and what a client itself wrote into the header is not read.
    """
    if not callable(key) and key not in KEYS:
        raise ValueError(f"key is {key!r}. It must be {' or '.join(map(repr, KEYS))}, or a function.")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ValueError(f"name is {name!r}. It must be printable ASCII without quotes and backslashes.")
    if isinstance(proxies, bool) or not isinstance(proxies, int) or proxies < 0:
        raise ValueError(f"proxies is {proxies!r}. It must be a number of proxies from 0.")
    # Refuses wrong arguments when the module is imported. MAX_TTL is known when the cache is used.
    seconds = _to_whole_seconds(Hit(b"", limit, window, _ANY_TTL, 1, on_outage).window)

    def decorate(view: View) -> View:
        limit_name = name or _path_of(view)
        shown_name = quote(limit_name, safe=_SAFE)
        policy = f'"{shown_name}";q={limit};w={seconds}'

        def cache_key(identity: object) -> str:
            text = str(identity)
            return f"ratelimit:{limit_name}:{text if _PLAIN.fullmatch(text) else _digest(text)}"

        if iscoroutinefunction(view):

            @wraps(view)
            async def aview(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                identity = await _aidentify(request, key, proxies)
                if identity is None:
                    return cast(HttpResponseBase, await view(request, *args, **kwargs))
                outcome = await find_cache(cache).arate_limit(
                    cache_key(identity), limit, window, on_outage=on_outage
                )
                response = await view(request, *args, **kwargs) if outcome else refuse(outcome)
                return add_headers(response, shown_name, policy, outcome)

            return cast(View, aview)

        @wraps(view)
        def sync_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            identity = _identify(request, key, proxies)
            if identity is None:
                return cast(HttpResponseBase, view(request, *args, **kwargs))
            outcome = find_cache(cache).rate_limit(cache_key(identity), limit, window, on_outage=on_outage)
            response = view(request, *args, **kwargs) if outcome else refuse(outcome)
            return add_headers(response, shown_name, policy, outcome)

        return cast(View, sync_view)

    return decorate


def refuse(outcome: Limit) -> HttpResponse:
    """Return the response to a request that a limit denies, with Retry-After."""
    seconds = _to_whole_seconds(outcome.retry_after)
    response = HttpResponse(
        f"Too many requests. Try again in {seconds} seconds.\n",
        status=429,
        content_type="text/plain; charset=utf-8",
    )
    response["Retry-After"] = str(seconds)
    return response


def add_headers(response: HttpResponseBase, name: str, policy: str, outcome: Limit) -> HttpResponseBase:
    """Add the headers of a limit to a response, after those of another limit, and return the response."""
    fields = {"RateLimit-Policy": policy}
    if outcome.is_counted:
        seconds = _to_whole_seconds(outcome.reset_after)
        fields["RateLimit"] = f'"{name}";r={outcome.remaining};t={seconds}'
    for field, value in fields.items():
        response[field] = f"{response[field]}, {value}" if response.has_header(field) else value
    return response


def client_address(request: HttpRequest, proxies: int = 0) -> str:
    """Return the IP address of a client behind so many trusted proxies that add to X-Forwarded-For."""
    forwarded = request.headers.get("X-Forwarded-For")
    if proxies and forwarded:
        addresses = forwarded.split(",")
        return addresses[-min(proxies, len(addresses))].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def find_cache(alias: str) -> MomentoCache:
    """Return the cache of an alias. Raises ImproperlyConfigured if it has no rate limits."""
    cache = caches[alias]
    if not isinstance(cache, MomentoCache):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] is a {type(cache).__name__}, which has no rate limits. Name an alias of "
            "django_momento.cache.MomentoCache."
        )
    return cache


def _identify(request: HttpRequest, key: str | Identify, proxies: int) -> object:
    if callable(key):
        identity = key(request)
        return async_to_sync(_wait_for)(identity) if isinstance(identity, Awaitable) else identity
    user = getattr(request, "user", None) if key == "user" else None
    return _identity_of(user, request, proxies)


async def _aidentify(request: HttpRequest, key: str | Identify, proxies: int) -> object:
    if callable(key):
        identity = key(request)
        return await identity if isinstance(identity, Awaitable) else identity
    user = await request.auser() if key == "user" and hasattr(request, "auser") else None
    return _identity_of(user, request, proxies)


async def _wait_for(identity: Awaitable[object]) -> object:
    return await identity


def _path_of(view: Any) -> str:
    """Return the path of the function or the class of a view."""
    while isinstance(view, partial):
        view = view.func
    function = view if hasattr(view, "__qualname__") else type(view)
    return f"{function.__module__}.{function.__qualname__}"


def _identity_of(user: Any, request: HttpRequest, proxies: int) -> str:
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}"
    return f"ip:{client_address(request, proxies)}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _to_whole_seconds(seconds: float) -> int:
    """Return seconds as an integer, rounded up, and at least 1."""
    return max(1, ceil(seconds))
