"""Async methods of a subclass that overrides sync methods alone, as a mixin for metrics does.

Django's other backends run their sync methods in a thread for every async call, so that such a mixin works
for both. The async methods of this backend do not call the sync ones. Therefore, if a subclass overrides
``get`` and not ``aget``, its ``aget`` calls its ``get`` in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async

_VERBS = (
    *("get", "set", "add", "touch", "delete", "has_key", "incr", "decr", "get_or_set", "clear"),
    *("get_many", "set_many", "delete_many", "incr_version", "decr_version", "ttl", "expire"),
    *("rate_limit", "run_once", "invalidate_tags", "delete_on_commit"),
)


def add_async_methods(subclass: type, backend: type) -> None:
    """Add an async method to a subclass of ``backend`` for each verb whose sync method alone it overrides."""
    for verb in _VERBS:
        if _overrides(subclass, backend, verb) and not _overrides(subclass, backend, f"a{verb}"):
            setattr(subclass, f"a{verb}", _in_thread(verb, getattr(backend, f"a{verb}")))


def _overrides(subclass: type, backend: type, name: str) -> bool:
    return next(base for base in subclass.__mro__ if name in vars(base)) not in backend.__mro__


def _in_thread(
    verb: str, method: Callable[..., Coroutine[Any, Any, Any]]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        # In Django's thread for sync code: the subclass may use the database.
        return await sync_to_async(getattr(self, verb))(*args, **kwargs)

    return call
