"""The status page of the Momento caches of this process, for staff unless told otherwise.

    path("cache/", include("django_momento.monitoring.urls"))

If others may see it, name a function that returns whether a request is allowed:

    path("cache/", status, {"allow": lambda request: request.user.is_superuser})

The page does not call Momento. Its template works without settings and scripts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import Context, Engine
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..checks.aliases import momento_aliases
from ..diagnostics.limits import ON_DEMAND_OPERATIONS, duration
from ..exceptions import ConfigurationError
from .meter import meter
from .statistics import stats

Allow = Callable[[HttpRequest], bool]


def is_staff(request: HttpRequest) -> bool:
    """Return whether a request is from active staff. If the site has no users, return False."""
    user: Any = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


@never_cache
@require_safe
def status(request: HttpRequest, allow: Allow = is_staff) -> HttpResponse:
    """Show the figures of every Momento cache as a page. Raises PermissionDenied."""
    if not allow(request):
        raise PermissionDenied("The status of the cache is for staff.")
    context = {
        "caches": [_describe(alias) for alias in momento_aliases()],
        "limit": ON_DEMAND_OPERATIONS,
        "process": os.getpid(),
    }
    return HttpResponse(_engine().get_template("status.html").render(Context(context)))


@never_cache
@require_safe
def status_json(request: HttpRequest, allow: Allow = is_staff) -> JsonResponse:
    """Return ``stats`` of every Momento cache as JSON, by alias. Raises PermissionDenied."""
    if not allow(request):
        raise PermissionDenied("The status of the cache is for staff.")
    return JsonResponse({alias: _stats_or_error(alias) for alias in momento_aliases()})


@cache
def _engine() -> Engine:
    # Of its own, so that the page does not depend on TEMPLATES or INSTALLED_APPS.
    return Engine(dirs=[str(Path(__file__).parent / "templates")])


def _stats_or_error(alias: str) -> dict[str, Any]:
    try:
        return {**stats(alias)}
    except ConfigurationError as error:
        return {"alias": alias, "error": str(error)}


def _describe(alias: str) -> dict[str, Any]:
    """Return the figures of an alias in words and rows, for the template."""
    figures = _stats_or_error(alias)
    if "error" in figures:
        return figures
    rates = figures["operations_per_second"]
    age, left = figures["credential_age"], figures["credential_expires_in"]
    return {
        **figures,
        "rates": [(seconds, f"{rate:,.1f}") for seconds, rate in rates.items()],
        "share": min(100, round(100 * rates["10"] / ON_DEMAND_OPERATIONS)),
        "age": None if age is None else duration(age),
        "expires_in": None if left is None else duration(left) if left > 0 else "over",
        "summary": _row("all", figures["totals"]),
        "verb_rows": [_row(name, calls) for name, calls in figures["verbs"].items()],
        "group_rows": [
            _row(entry["group"] or "(no key)", figures["groups"][entry["group"]])
            for entry in figures["costliest_groups"]
        ],
        "latency_rows": _latency_rows(alias),
        "incidents": [*_most_first(figures["totals"]["errors"]), *_most_first(figures["events"])],
    }


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _latency_rows(alias: str) -> list[tuple[str, str, float]]:
    """Return for each doubling of the latency its end in ms, its calls, and their share of the most in %.

    The ends are powers of two in seconds. They are shown as those in milliseconds, which differ by 2.4 %.
    """
    with meter.lock:
        counts = meter.read(alias).totals.count_by_doubling()
    most = max(counts.values(), default=0)
    return [
        (f"{2**power:,}" if power >= 0 else f"{2.0**power:.2g}", f"{count:,}", 100 * count / most)
        for power, count in ((seconds + 10, count) for seconds, count in counts.items())
    ]


def _row(name: str, calls: Any) -> dict[str, Any]:
    rate, latency = calls["hit_rate"], calls["latency"]
    return {
        "name": name,
        "calls": f"{calls['calls']:,}",
        "operations": f"{calls['operations']:,}",
        "hits": f"{calls['hits']:,}",
        "misses": f"{calls['misses']:,}",
        "errors": f"{sum(calls['errors'].values()):,}",
        "hit_rate": "-" if rate is None else f"{rate:.0%}",
        "median": _milliseconds(latency["p50"]),
        "p95": _milliseconds(latency["p95"]),
        "largest": f"{calls['largest']:,}",
    }


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.{1 if seconds >= 1e-4 else 2}f}"
