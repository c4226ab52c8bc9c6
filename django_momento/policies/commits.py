"""Work that waits until a transaction of the database is committed, and is then done once for all of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Any

from django.db import transaction

from ..events import events
from ..exceptions import MomentoCacheError

# The callbacks of a transaction that are looked through for a batch to add to, from the newest.
MAX_SEARCHED = 100

Act = Callable[..., object]


class _Batch:
    """The names that were added in a transaction and its savepoints, for one call of ``act``.

    ``owner`` tells which calls may be one.
    """

    def __init__(self, alias: str, owner: tuple[object, ...], act: Act) -> None:
        self._alias = alias
        self.owner = owner
        self.names: dict[Hashable, None] = {}
        self.is_done = False
        self.act = act

    def send(self) -> None:
        """Call ``act`` with all names, unless that was done."""
        if self.is_done:
            return
        self.is_done = True
        try:
            self.act(*self.names)
        except MomentoCacheError as error:
            # Django logs the error, and no caller gets it.
            message = "%d names were not forgotten after the commit of a transaction: %s"
            events.record(self._alias, "failed_invalidations", message, len(self.names), error)
            raise


class _AtCommit:
    """A callback of a transaction. The first one of a batch sends it.

    Each call adds one, because captureOnCommitCallbacks() of Django's tests runs only the callbacks that were
    added in its block.
    """

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        # Django's log line of a callback that raises needs it.
        self.__qualname__ = getattr(batch.act, "__qualname__", type(self).__qualname__)

    def __call__(self) -> None:
        self.batch.send()


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
    if not connection.in_atomic_block and (connection.connection is None or connection.autocommit):
        return False
    batch = _find_batch(connection, owner) or _Batch(alias, owner, act)
    batch.names.update(dict.fromkeys(names))
    connection.on_commit(_AtCommit(batch), robust=True)
    return True


def _find_batch(connection: Any, owner: tuple[object, ...]) -> _Batch | None:
    """Return the batch of this owner that a rollback drops in the same cases as one that is begun now."""
    savepoints = set(connection.savepoint_ids)
    for kept_savepoints, callback, *_ in islice(reversed(connection.run_on_commit), MAX_SEARCHED):
        if (
            isinstance(callback, _AtCommit)
            and callback.batch.owner == owner
            and kept_savepoints == savepoints
            and not callback.batch.is_done
        ):
            return callback.batch
    return None
