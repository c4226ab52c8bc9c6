"""A site that uses the cache in every request, with views of both colours."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_momento import pages
from django_momento.pages import cache_page

# However busy the machine is, requests wait for the one that computes their page.
vars(pages)["DEFAULT_WAIT"] = 60


def sync_view(request: HttpRequest, number: int) -> JsonResponse:
    key = f"sync-{number}"
    cache.set(key, number)
    cache.set_many({f"{key}-a": "a", f"{key}-b": "b"})
    cache.add("requests", 0)
    return JsonResponse(
        {
            "pid": os.getpid(),
            "imported": cache.get("imported"),
            "value": cache.get(key),
            "many": cache.get_many([f"{key}-a", f"{key}-b", f"{key}-c"]),
            "count": cache.incr("requests"),
        }
    )


async def async_view(request: HttpRequest, number: int) -> JsonResponse:
    key = f"async-{number}"
    await cache.aset(key, number)
    await cache.aset_many({f"{key}-a": "a", f"{key}-b": "b"})
    await cache.aadd("requests", 0)
    value, many, count, imported = await asyncio.gather(
        cache.aget(key),
        cache.aget_many([f"{key}-a", f"{key}-b", f"{key}-c"]),
        cache.aincr("requests"),
        cache.aget("imported"),
    )
    return JsonResponse(
        {"pid": os.getpid(), "imported": imported, "value": value, "many": many, "count": count}
    )


# Arguments that Django's own get_or_set() does not have.
ONCE: dict[str, Any] = {"lease": 60, "wait": 60}


def count_run(name: str) -> int:
    """Count a run at the server, for all processes."""
    cache.add(name, 0)
    time.sleep(0.3)
    return cache.incr(name)


async def acount_run(name: str) -> int:
    await cache.aadd(name, 0)
    await asyncio.sleep(0.3)
    return await cache.aincr(name)


def sync_once(request: HttpRequest) -> JsonResponse:
    runs = cache.get_or_set("once", lambda: count_run("runs"), 600, **ONCE)
    return JsonResponse({"pid": os.getpid(), "runs": runs})


async def async_once(request: HttpRequest) -> JsonResponse:
    runs = await cache.aget_or_set("aonce", lambda: acount_run("aruns"), 600, **ONCE)
    return JsonResponse({"pid": os.getpid(), "runs": runs})


@cache_page(600, stale=600)
def sync_page(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pid": os.getpid(), "runs": count_run("page runs")})


@cache_page(600, stale=600)
async def async_page(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pid": os.getpid(), "runs": await acount_run("page aruns")})


urlpatterns = [
    path("sync/<int:number>", sync_view),
    path("async/<int:number>", async_view),
    path("sync/once", sync_once),
    path("async/once", async_once),
    path("sync/page", sync_page),
    path("async/page", async_page),
]
