"""Futures of other threads awaited on the event loop that is running, whichever that is.

gRPC's synchronous channel serves any number of threads and event loops over one connection; its asyncio twin
belongs to the loop it was made in. So async calls are sent over the former and awaited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any


async def wait_for(
    futures: Sequence[Any], *, shared: bool = False, each: Callable[[], object] | None = None
) -> None:
    """Wait until every future is done, be it a ``grpc.Future`` or a ``concurrent.futures.Future``.

    Cancelling it cancels the futures, unless they are ``shared`` with others who still want them. ``each`` is
    called for every one that is done, at once and on the thread that it was done on.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    under_way = list(futures)

    def arrived(_: Any) -> None:
        if each is not None:
            each()
        # Called on threads of gRPC's. Taking one out is atomic; if two find the list empty, both may say so.
        under_way.pop()
        if not under_way:
            # A loop that was closed meanwhile has nobody who waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, waiter)

    for future in futures:
        future.add_done_callback(arrived)
    try:
        await waiter
    except asyncio.CancelledError:
        if not shared:
            for future in futures:
                future.cancel()
        raise


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
