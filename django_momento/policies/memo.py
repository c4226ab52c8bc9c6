"""A memo: the reads of a block, such as one request, kept in memory until the block ends.

A memo belongs to the thread or task that began it, and to the threads and tasks that inherit its context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..client.registry import clients
from .near import memos, nears
from .near_store import NearStore

if TYPE_CHECKING:
    from ..conf.options import CacheOptions


@contextmanager
def memo(options: CacheOptions) -> Iterator[None]:
    """Keep the values read and written inside the block, up to NEAR_BYTES. An inner block shares the memo."""
    key = (nears.attach(clients.get(options.connection), options), options.cache_name)
    active = memos.get()
    if key in active:
        yield
        return
    store = NearStore(options.near_bytes)
    token = None
    try:
        token = memos.set({**active, key: store})
        yield
    finally:
        # Without a token, an interruption came when it was set.
        memos.reset(token) if token is not None else memos.set(active)
        # A task that was started in the block may outlive it.
        store.close()
