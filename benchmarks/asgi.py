"""The page of group 5: an async view with six cache operations, as the newest rivals publish it.

Get, get_many, set, set of a large value that would compress well, incr, get of the large value. The alias
comes from the environment, for each server process has one contender.
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .settings import ALIAS

SMALL = {"name": "a product", "price": 1999, "in stock": True}
# About 14 KiB when pickled.
LARGE = [{"id": number, "name": f"Product {number}", "tags": ["new", "sale"]} for number in range(300)]
MANY = {f"product:{number}": SMALL for number in range(10)}


async def page(request: HttpRequest, visitor: int) -> HttpResponse:
    cache = caches[os.environ[ALIAS]]
    product = await cache.aget("product")
    products = await cache.aget_many(MANY)
    await cache.aset(f"visitor:{visitor % 1000}", SMALL)
    await cache.aset("report", LARGE)
    visits = await cache.aincr("visits")
    report = await cache.aget("report")
    if product != SMALL or products != MANY or report != LARGE:
        return HttpResponse(status=500)
    text = f"visit {visits}"
    return HttpResponse(text, headers={"Content-Length": str(len(text))})


async def fill(request: HttpRequest) -> HttpResponse:
    cache = caches[os.environ[ALIAS]]
    await cache.aset_many({**MANY, "product": SMALL, "visits": 0}, timeout=None)
    return HttpResponse("filled", headers={"Content-Length": "6"})


urlpatterns = [path("fill", fill), path("page/<int:visitor>", page)]

application = get_asgi_application()
