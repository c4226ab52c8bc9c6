"""The pages. Each runs a recipe, measures its time, and shows the result above the code."""

import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template import Engine
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control, cache_page
from django.views.decorators.http import require_http_methods, require_safe

from . import recipes
from .middleware import fill
from .shop import QUERY_SECONDS, Database, services

T = TypeVar("T")
View = Callable[[HttpRequest], HttpResponse]

SECONDS_TO_LIVE = (10, 60, 300)
TILE_COUNTS = (10, 30, 100)

read_or_change = require_http_methods(["GET", "HEAD", "POST"])


class Snippet(NamedTuple):
    """A piece of the site's own source code, with the name of its file."""

    where: str
    text: str


@functools.cache
def source(function: Callable[..., Any]) -> Snippet:
    return Snippet(f"{function.__module__.replace('.', '/')}.py", inspect.getsource(function).rstrip())


def template_source(name: str) -> Snippet:
    return Snippet(
        f"example_project/templates/{name}", Engine.get_default().get_template(name).source.rstrip()
    )


def show(
    request: HttpRequest, name: str, context: dict[str, Any], *code: Snippet, status: int = 200
) -> HttpResponse:
    return render(request, f"example/{name}.html", context | {"code": code}, status=status)


def measure(function: Callable[..., T], *args: Any) -> tuple[T, float]:
    """Return the result of the function, and its duration in milliseconds."""
    started = time.perf_counter()
    result = function(*args)
    return result, (time.perf_counter() - started) * 1000


def choose(text: str | None, choices: tuple[int, ...], default: int) -> int:
    """Return the choice that the text names, or the default."""
    return next((choice for choice in choices if str(choice) == text), default)


def tell_hit_or_miss(view: View) -> View:
    """Add a badge and an X-Cache header around ``cache_page``. A view that ran has marked its request."""

    @functools.wraps(view)
    def tell(request: HttpRequest) -> HttpResponse:
        response = view(request)
        hit = "rendered" not in request.META
        response.headers["X-Cache"] = "hit" if hit else "miss"
        fill(response, "hit or miss", "example/badge.html", {"hit": hit})
        return response

    return tell


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    caches = [
        {
            "alias": alias,
            "backend": options["BACKEND"].rpartition(".")[2],
            # another backend's LOCATION may be a URL with a password in front of the host
            "location": str(options.get("LOCATION", "")).rpartition("@")[2],
        }
        for alias, options in settings.CACHES.items()
    ]
    return show(request, "overview", {"caches": caches, "local": settings.LOCAL_SERVERS})


@read_or_change
def products(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        recipes.forget_stock()
        seconds = choose(request.POST.get("seconds"), SECONDS_TO_LIVE, 60)
        return redirect(f"{reverse('products')}?seconds={seconds}")
    seconds = choose(request.GET.get("seconds"), SECONDS_TO_LIVE, 60)
    database = Database()
    stock, milliseconds = measure(recipes.get_stock, database, seconds)
    context = {
        "stock": stock,
        "age": round((timezone.now() - stock.as_of).total_seconds()),
        "hit": database.queries == 0,
        "milliseconds": milliseconds,
        "query_milliseconds": QUERY_SECONDS * 1000,
        "seconds": seconds,
        "choices": SECONDS_TO_LIVE,
    }
    return show(request, "products", context, source(recipes.get_stock), source(recipes.forget_stock))


@tell_hit_or_miss
# Browsers must request the page each time, so that its copy comes from the cache.
@cache_control(no_cache=True)
@cache_page(20)
def whole_page(request: HttpRequest) -> HttpResponse:
    request.META["rendered"] = True
    return show(request, "page", {"rendered_at": timezone.now()}, source(whole_page))


@read_or_change
def fragment(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        recipes.forget_nearly_sold_out()
        return redirect("fragment")
    return show(
        request,
        "fragment",
        {"database": Database()},
        template_source("example/nearly_sold_out.html"),
        source(recipes.forget_nearly_sold_out),
    )


@read_or_change
def visits(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        request.session.flush()
        return redirect("visits")
    count, milliseconds = measure(recipes.count_visit, request.session)
    context = {"visits": count, "milliseconds": milliseconds}
    setting = Snippet("example_project/settings.py", f'SESSION_ENGINE = "{settings.SESSION_ENGINE}"')
    return show(request, "visits", context, source(recipes.count_visit), setting)


@require_safe
def limit(request: HttpRequest) -> HttpResponse:
    turn, milliseconds = measure(recipes.take_turn, request.META.get("REMOTE_ADDR") or "unknown")
    status = 200 if turn.is_allowed else 429
    preferred = request.get_preferred_type(["text/html", "application/json"])
    if request.GET.get("format") == "json" or preferred == "application/json":
        document = {"allowed": turn.is_allowed, "limit": recipes.LIMIT, "remaining": turn.remaining}
        response: HttpResponse = JsonResponse(document | {"window_ends_in": turn.seconds_left}, status=status)
    else:
        context = {
            "turn": turn,
            "milliseconds": milliseconds,
            "limit": recipes.LIMIT,
            "window": recipes.WINDOW,
            "slots": range(1, recipes.LIMIT + 1),
            "url": request.build_absolute_uri(),
        }
        response = show(request, "limit", context, source(recipes.take_turn), status=status)
    if not turn.is_allowed:
        response.headers["Retry-After"] = str(turn.seconds_left)
    patch_vary_headers(response, ["Accept"])
    return response


@read_or_change
def many(request: HttpRequest) -> HttpResponse:
    count = choose((request.POST or request.GET).get("count"), TILE_COUNTS, 100)
    keys = recipes.tile_keys(count)
    if request.method == "POST":
        recipes.forget_every_third(keys)
        return redirect(f"{reverse('many')}?count={count}")
    recipes.read_together(keys[:1])  # a new process connects here, outside of the measurement
    found, together = measure(recipes.read_together, keys)
    _, singly = measure(recipes.read_one_by_one, keys)
    made = recipes.make_missing(keys, found)
    hues = found | made
    context = {
        "tiles": [
            {"number": number, "hue": hues[key], "found": key in found} for number, key in enumerate(keys, 1)
        ],
        "found": len(found),
        "made": len(made),
        "rows": [("get_many", together, 1), ("get", singly, count)],
        "slowest": max(together, singly),
        "ratio": singly / together,
        "count": count,
        "counts": TILE_COUNTS,
        "seconds": recipes.TILE_SECONDS,
    }
    shown = (recipes.read_together, recipes.read_one_by_one, recipes.make_missing, recipes.forget_every_third)
    return show(request, "many", context, *map(source, shown))


@read_or_change
async def at_once(request: HttpRequest) -> HttpResponse:
    asked = services()
    if request.method == "POST":
        named = [service for service in asked if service.name == request.POST.get("forget")]
        await recipes.forget_replies(named or asked)
        return redirect("async")
    spans = await recipes.get_replies(asked)
    context = {
        "rows": list(zip(asked, spans, strict=True)),
        "hits": sum(not service.asked for service in asked),
        "total": max(span.ended for span in spans),
        "summed": sum(span.milliseconds for span in spans),
        "seconds": recipes.REPLY_SECONDS,
        "over_asgi": isinstance(request, ASGIRequest),
    }
    shown = (recipes.get_reply, recipes.get_replies, recipes.forget_replies)
    return show(request, "async", context, *map(source, shown))
