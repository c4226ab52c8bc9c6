"""Work that waits until a transaction of the database is committed, and is then done once for all of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Any

from django.db import transaction

from ..events import events
from ..exceptions import MomentoCacheError

# The callbacks of a transaction that are looked through for one to add to, from the newest.
MAX_SEARCHED = 100

Act = Callable[..., object]


class _AtCommit:
    """A callback that calls ``act`` with all names that were added in a transaction and its savepoints.

    ``owner`` tells which calls may be one.
    """

    def __init__(self, alias: str, owner: tuple[object, ...], act: Act) -> None:
        self._alias = alias
        self.owner = owner
        self.names: dict[Hashable, None] = {}
        self.is_done = False
        self._act = act
        # Django's log line of a callback that raises needs it.
        self.__qualname__ = getattr(act, "__qualname__", type(self).__qualname__)

    def __call__(self) -> None:
        self.is_done = True
        try:
            self._act(*self.names)
        except MomentoCacheError as error:
            # Django logs the error, and no caller gets it.
            message = "%d names were not forgotten after the commit of a transaction: %s"
            events.record(self._alias, "failed_invalidations", message, len(self.names), error)
            raise


def wait_for_commit(
    alias: str, using: str | None, owner: tuple[object, ...], act: Act, names: Iterable[Hashable]
) -> bool:
    """Have ``act`` called with the names when the transaction commits, and return whether there is one.

    ``alias`` is that of the cache, and ``using`` that of the database, or None for the default one. Names of
    one owner in one savepoint are passed together. After a rollback nothing is called. If ``act`` raises,
    Django logs the error, because the transaction is committed already. Raises TransactionManagementError if
    transactions are managed by hand.
    """
    connection: Any = transaction.get_connection(using)
    if not connection.in_atomic_block and (connection.connection is None or connection.get_autocommit()):
        return False
    found = _find(connection, owner)
    if found is None:
        found = _AtCommit(alias, owner, act)
        connection.on_commit(found, robust=True)
    found.names.update(dict.fromkeys(names))
    return True


def _find(connection: Any, owner: tuple[object, ...]) -> _AtCommit | None:
    """Return the callback of this owner that a rollback drops in the same cases as one that is added now."""
    savepoints = set(connection.savepoint_ids)
    for kept_savepoints, callback, *_ in islice(reversed(connection.run_on_commit), MAX_SEARCHED):
        if (
            isinstance(callback, _AtCommit)
            and callback.owner == owner
            and kept_savepoints == savepoints
            and not callback.is_done
        ):
            return callback
    return None
