"""A site that uses the cache in every request, with views of both colours."""

from __future__ import annotations

import asyncio
import os

from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.urls import path


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


urlpatterns = [path("sync/<int:number>", sync_view), path("async/<int:number>", async_view)]
