"""The handlers of ``os.fork``: all of the package's, in one order.

Modules register here at their import, so a module comes after the modules that it imports. Before a fork the
handlers run newest first. After it they run oldest first, so that a reset may use the modules below it.

The handler of a signal may raise an exception at any moment, in a handler of fork too. Python prints such an
exception and goes on. So the one fact that calls depend on, which threads are forking, is kept by handlers
that are written in C throughout: Python runs no handler of a signal within them, and they run in pairs.
"""

from __future__ import annotations

# Imported for their own handlers. Before a fork, newer handlers run first: the locks that these take, which
# calls in flight need in order to end, must be taken after the gate was shut.
import concurrent.futures.thread  # noqa: F401 - see above
import logging
import os
import threading
from collections.abc import Callable

logger = logging.getLogger("django_momento")

Handler = Callable[[], object]

forking_threads: list[int] = []
"""The identifiers of the threads that are inside ``os.fork`` now. Read it, never change it."""


class Handlers:
    """The handlers of fork, in the order in which they run."""

    def __init__(self) -> None:
        self.before: list[Handler] = []
        self.after_in_parent: list[Handler] = []
        self.after_in_child: list[Handler] = []


handlers = Handlers()


def register(
    *,
    before: Handler | None = None,
    after_in_parent: Handler | None = None,
    after_in_child: Handler | None = None,
) -> None:
    """Add handlers of fork. One that is interrupted after a fork is called again, which must do no harm."""
    if before is not None:
        handlers.before.insert(0, before)
    if after_in_parent is not None:
        handlers.after_in_parent.append(after_in_parent)
    if after_in_child is not None:
        handlers.after_in_child.append(after_in_child)


def _run_before() -> None:
    for handler in handlers.before:
        handler()


def _run_after_in_parent() -> None:
    _run_all(handlers.after_in_parent)


def _run_after_in_child() -> None:
    _run_all(handlers.after_in_child)


def _run_all(all_of_them: list[Handler]) -> None:
    """Run each handler to its end: a child with half of its resets could wait for its parent's locks."""
    for handler in all_of_them:
        try:
            handler()
        except BaseException:
            logger.exception("A handler of fork was interrupted and is run again.")
            handler()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    # next() on each of these appends this thread's identifier to the list, or takes it out, all of it in C.
    _enter = map(forking_threads.append, iter(threading.get_ident, None))
    _leave = map(forking_threads.remove, iter(threading.get_ident, None))
    # Handlers before a fork run newest first and those after it oldest first: the pair encloses the others.
    os.register_at_fork(after_in_parent=_leave.__next__, after_in_child=forking_threads.clear)
    os.register_at_fork(
        before=_run_before, after_in_parent=_run_after_in_parent, after_in_child=_run_after_in_child
    )
    os.register_at_fork(before=_enter.__next__)
