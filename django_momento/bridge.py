"""Futures of other threads awaited on the event loop that is running, whichever that is.

gRPC's synchronous channel serves any number of threads and event loops over one connection; its asyncio twin
belongs to the loop it was made in. So async calls are sent over the former and awaited here.
"""

from __future__ import annotations

import asyncio
from typing import Any


def awaited(future: Any, *, shared: bool = False) -> asyncio.Future[Any]:
    """Answer an awaitable for a ``grpc.Future`` or a ``concurrent.futures.Future``.

    Cancelling it cancels the future, unless that is ``shared`` with others who still want it.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[Any] = loop.create_future()

    def settle() -> None:
        if waiter.done():
            return
        try:
            waiter.set_result(future.result())
        except Exception as error:  # noqa: BLE001 - whatever the future raises is for the waiter
            waiter.set_exception(error)

    def arrived(_: Any) -> None:
        # Called on a thread of gRPC's. A loop that was closed meanwhile has nobody who waits any more.
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                return

    def cancelled(waiter: asyncio.Future[Any]) -> None:
        if waiter.cancelled():
            future.cancel()

    if not shared:
        waiter.add_done_callback(cancelled)
    future.add_done_callback(arrived)
    return waiter
