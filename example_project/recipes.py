"""The uses of the cache, one short function each, to copy from.

The pages show the source of these functions below their results, with the comments.
"""

import asyncio
import time
from collections.abc import Awaitable
from math import ceil
from typing import Any, NamedTuple

from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import cache
from django.core.cache.utils import make_template_fragment_key

from .shop import Database, Service

LIMIT = 5
WINDOW = 30
TILE_SECONDS = 60
REPLY_SECONDS = 60


def get_stock(database: Database, seconds: int) -> Any:
    return cache.get_or_set("stock", database.stock, timeout=seconds)


def forget_stock() -> None:
    cache.delete("stock")


def forget_nearly_sold_out() -> None:
    cache.delete(make_template_fragment_key("nearly_sold_out"))


def count_visit(session: SessionBase) -> int:
    visits: int = session.get("visits", 0) + 1
    session["visits"] = visits
    # The session middleware saves too, but after the view,
    # where an unreachable cache no longer gets its error page.
    session.save()
    return visits


class Turn(NamedTuple):
    """One request against the limit: its number in the window, and the end of the window in Unix seconds."""

    number: int
    ends: float

    @property
    def is_allowed(self) -> bool:
        return self.number <= LIMIT

    @property
    def remaining(self) -> int:
        return max(0, LIMIT - self.number)

    @property
    def seconds_left(self) -> int:
        return max(1, ceil(self.ends - time.time()))


def take_turn(client: str) -> Turn:
    key = f"turns:{client}"
    if cache.add(key, 0, timeout=WINDOW):  # only the first request opens a window
        cache.set(f"{key}:ends", time.time() + WINDOW, timeout=WINDOW)
    try:
        number = cache.incr(key)  # does not move the expiry that add set
    except ValueError:  # the window ended between the two calls
        number = 1
    ends: float = cache.get(f"{key}:ends", time.time() + WINDOW)
    return Turn(number, ends)


def tile_keys(count: int) -> list[str]:
    return [f"tile:{number}" for number in range(1, count + 1)]


def read_together(keys: list[str]) -> dict[str, int]:
    return cache.get_many(keys)


def read_one_by_one(keys: list[str]) -> dict[str, int]:
    found = {key: cache.get(key) for key in keys}
    return {key: hue for key, hue in found.items() if hue is not None}


def make_missing(keys: list[str], found: dict[str, int]) -> dict[str, int]:
    hue = int(time.time() * 10) % 360  # tiles that are stored together have one colour
    made = dict.fromkeys((key for key in keys if key not in found), hue)
    if made:
        cache.set_many(made, timeout=TILE_SECONDS)
    return made


def forget_every_third(keys: list[str]) -> None:
    cache.delete_many(keys[::3])


class Span(NamedTuple):
    """The reply of a service, with start and end of the wait in milliseconds since the first request."""

    reply: str
    started: float
    ended: float

    @property
    def milliseconds(self) -> float:
        return self.ended - self.started


async def measure(awaitable: Awaitable[str], began: float) -> Span:
    started = time.perf_counter()
    reply = await awaitable
    return Span(reply, (started - began) * 1000, (time.perf_counter() - began) * 1000)


def reply_key(service: Service) -> str:
    return f"answer:{service.name}"


async def get_reply(service: Service) -> Any:
    # service.answer() is called and awaited only on a miss
    return await cache.aget_or_set(reply_key(service), service.answer, timeout=REPLY_SECONDS)


async def get_replies(services: list[Service]) -> list[Span]:
    began = time.perf_counter()
    return await asyncio.gather(*(measure(get_reply(service), began) for service in services))


async def forget_replies(services: list[Service]) -> None:
    await cache.adelete_many([reply_key(service) for service in services])
