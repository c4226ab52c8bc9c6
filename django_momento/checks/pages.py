"""Check that whole pages can be stored: cache middleware and ``cache_page`` store response objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.checks import CheckMessage, Tags, register
from django.http import HttpResponse
from django.middleware.cache import CacheMiddleware, UpdateCacheMiddleware
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from ..codec.serializers import find_serializer
from .aliases import TAG, usable_caches, warning

# A view inside cache_page inside other decorators: more closures than this are not searched.
_MAX_DEPTH = 8


@register(Tags.caches, TAG)
def check_pages(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W010: whole pages are stored in a cache whose serializer cannot store them."""
    caches = [
        (where, cache) for where, cache in usable_caches() if not _stores_responses(cache.options.serializer)
    ]
    # The URL patterns are not imported unless a cache needs it.
    users = _users_of_pages() if caches else {}
    return [
        warning(
            "W010",
            f"{where} has SERIALIZER {cache.options.serializer!r}, which cannot store a response object, but "
            f"{users[where]} stores whole pages in it: every such page ends with TypeError.",
            "Give pages an alias with SERIALIZER 'pickle', and name it in CACHE_MIDDLEWARE_ALIAS or in "
            "cache_page(cache=...).",
        )
        for where, cache in caches
        if where in users
    ]


def _stores_responses(serializer: str) -> bool:
    try:
        find_serializer(serializer).dumps(HttpResponse())
    except Exception:  # noqa: BLE001 - a site's own serializer may raise anything
        return False
    return True


def _users_of_pages() -> dict[str, str]:
    """Return who stores whole pages in each cache, such as ``CACHES['default']``: a middleware or a view."""
    users: dict[str, str] = {}
    for path in settings.MIDDLEWARE:
        if _is_cache_middleware(path):
            users.setdefault(f"CACHES[{settings.CACHE_MIDDLEWARE_ALIAS!r}]", path)
    for view, name in _views():
        for alias in _page_aliases(view):
            users.setdefault(f"CACHES[{alias!r}]", f"cache_page on the view {name}")
    return users


def _is_cache_middleware(path: str) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:
        return False
    return isinstance(middleware, type) and issubclass(middleware, UpdateCacheMiddleware)


def _views() -> Iterator[tuple[Any, str]]:
    """Return every view of the URL patterns with its name."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    try:
        yield from _views_of(get_resolver().url_patterns)
    except Exception:  # noqa: BLE001 - Django's own check reports URL patterns that cannot be imported
        return


def _views_of(patterns: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _views_of(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield pattern.callback, pattern.lookup_str
            if view_class := getattr(pattern.callback, "view_class", None):
                # A decorator may be on dispatch(), or on a handler such as get().
                for handler in ("dispatch", *view_class.http_method_names):
                    if method := getattr(view_class, handler, None):
                        yield method, pattern.lookup_str


def _page_aliases(view: Any) -> Iterator[str]:
    """Return the alias of each ``cache_page`` in the closures of a view or of its decorators."""
    seen: dict[int, Any] = {}
    level = [view]
    for _ in range(_MAX_DEPTH):
        # Each value once: closures may share their variables, or contain themselves.
        fresh = {id(value): value for value in level if id(value) not in seen}
        seen |= fresh
        below: list[Any] = []
        for value in fresh.values():
            if isinstance(value, CacheMiddleware):
                yield value.cache_alias
            elif isinstance(value, partial):
                below.append(value.func)
            elif isinstance(value, tuple | list):
                below += [part for part in value if callable(part)]
            elif callable(value):
                cells = _closure(value)
                if cells.get("middleware_class") is CacheMiddleware:
                    yield cells["m_kwargs"].get("cache_alias") or DEFAULT_CACHE_ALIAS
                below += cells.values()
        level = below


def _closure(function: Any) -> dict[str, Any]:
    """Return the variables that a function took from the functions around it, by name."""
    function = getattr(function, "__func__", function)
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(names, cells, strict=False) if _is_set(cell)}


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises if the variable has no value
    except ValueError:
        return False
    return True
