"""The two caches of a migration, the calls to them, and the drivers that send the calls."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation

from ..cache import MomentoCache
from ..clock import monotonic
from ..interruption import is_interruption
from .state import NEW, Health, Migration
from .time_left import atime_left, time_left

T = TypeVar("T")

# A mistake of the caller or of the settings, which says nothing about the health of a side.
MISTAKES = (
    *(TypeError, ValueError, AttributeError, LookupError, NotImplementedError, AssertionError),
    *(ImproperlyConfigured, SynchronousOnlyOperation, RecursionError, pickle.PickleError),
)
# Parts of the names of exceptions that say that a server cannot be reached, whatever its library.
_UNREACHABLE = ("Connection", "Timeout", "TimedOut", "Transport", "OperationalError", "InterfaceError")
# A call that takes less does not shorten a timeout, in seconds.
MIN_ELAPSED = 0.1


class SideRests(Exception):
    """The call was not made, because the last calls to this side failed and the other side can serve."""


class Side:
    """One of the two caches, for one thread or task.

    ``cache`` is an instance of its own, which raises its failures, so that the migration sees them.
    ``hides_failures`` tells whether the settings of the alias hide them. It is None for a backend that has no
    such setting, as Django's own. ``fails_open`` tells whether the migration hides them.
    """

    def __init__(self, name: str, alias: str, migration: Migration) -> None:
        self.name = name
        self.alias = alias
        self.health: Health = migration.health[name]
        self.cache: Any = caches.create_connection(alias)
        self.hides_failures = _make_loud(self.cache)
        self.fails_open = bool(self.hides_failures)
        if name == NEW and isinstance(self.cache, MomentoCache):
            migration.watch_operations()

    def step(self, verb: str, *args: Any, is_essential: bool = False, **kwargs: Any) -> Step:
        """Return a call of a verb. An essential call is made even if the last calls failed."""
        return Step(self, verb, args, kwargs, is_essential)


class Step:
    """A call to one side, as a value: each policy yields steps, and both faces send them."""

    __slots__ = ("args", "is_essential", "kwargs", "side", "verb")

    def __init__(
        self, side: Side, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any], is_essential: bool
    ) -> None:
        self.side = side
        self.verb = verb
        self.args = args
        self.kwargs = kwargs
        self.is_essential = is_essential


class TellTime:
    """A question for the time that a value has left."""

    __slots__ = ("key", "side", "version")

    is_essential = False
    verb = "time_left"

    def __init__(self, side: Side, key: object, version: int | None) -> None:
        self.side = side
        self.key = key
        self.version = version


# A policy: it yields calls, receives their results or exceptions, and returns the result of a verb.
Plan = Generator[Step | TellTime, Any, T]


def run(plan: Plan[T], migration: Migration) -> T:
    """Run a plan with the sync methods of both sides."""

    def call(step: Step | TellTime) -> Any:
        if isinstance(step, TellTime):
            return time_left(step.side.cache, step.key, step.version)
        return getattr(step.side.cache, step.verb)(*step.args, **step.kwargs)

    try:
        step = next(plan)
        while True:
            started = _begin(step)
            try:
                if started is None:
                    raise SideRests
                result = call(step)
            except BaseException as error:
                if is_interruption(error):
                    plan.close()  # as if the call were cancelled
                    raise
                _end(migration, step, started, error)
                step = plan.throw(error)
            else:
                _end(migration, step, started, None)
                step = plan.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic


async def arun(plan: Plan[T], migration: Migration) -> T:
    """Run a plan with the async methods of both sides."""

    def call(step: Step | TellTime) -> Awaitable[Any]:
        if isinstance(step, TellTime):
            return atime_left(step.side.cache, step.key, step.version)
        method: Callable[..., Awaitable[Any]] = getattr(step.side.cache, f"a{step.verb}")
        return method(*step.args, **step.kwargs)

    try:
        step = next(plan)
        while True:
            started = _begin(step)
            try:
                if started is None:
                    raise SideRests
                result = await call(step)
            except BaseException as error:
                if is_interruption(error):
                    plan.close()  # as if the call were cancelled
                    raise
                _end(migration, step, started, error)
                step = plan.throw(error)
            else:
                _end(migration, step, started, None)
                step = plan.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic


async def phase_of(migration: Migration) -> str:
    """Return the phase. Run a callable of the site in a thread, because it may use the database."""
    if migration.phase.must_leave_the_loop:
        return await sync_to_async(migration.phase.get)()
    return migration.phase.get()


def _begin(step: Step | TellTime) -> float | None:
    """Return the time, or None if the side should not be called now."""
    if not step.is_essential and step.side.health.rests:
        return None
    return monotonic()


def _end(
    migration: Migration, step: Step | TellTime, started: float | None, error: BaseException | None
) -> None:
    if started is None or (error is not None and not isinstance(error, Exception)):
        return
    failed = error is not None and is_outage(error)
    if (error is None or is_unreachable(error)) and step.side.health.note(failed=error is not None):
        migration.ledger.doubt(step.side.name)
    migration.figures.add_call(step.side.name, step.verb, monotonic() - started, failed)
    if failed and error is not None:
        migration.record_failure(step.side.name, step.verb, error)


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that a side cannot serve, and not that the call is wrong."""
    return isinstance(error, Exception) and not isinstance(error, MISTAKES)


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error says that there is no connection, so that further calls would fail too."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(part in name for name in names for part in _UNREACHABLE)


def shorten(timeout: Any, default_timeout: float | None, elapsed: float) -> Any:
    """Return a timeout for the second side, where the value arrives ``elapsed`` seconds late."""
    from django.core.cache.backends.base import DEFAULT_TIMEOUT

    if elapsed < MIN_ELAPSED:
        return timeout
    seconds = default_timeout if timeout is DEFAULT_TIMEOUT else timeout
    if seconds is None:
        return None
    # A Momento cache takes a timedelta too.
    return (seconds.total_seconds() if hasattr(seconds, "total_seconds") else seconds) - elapsed


def _make_loud(cache: Any) -> bool | None:
    """Let an instance raise the failures that its settings hide; return whether they do, or None."""
    if isinstance(cache, MomentoCache):
        fails_open = cache.options.ignore_exceptions
        cache.options = replace(cache.options, ignore_exceptions=False)
        return fails_open
    # django-redis and its like have no public way to switch it off.
    ignores = getattr(cache, "_ignore_exceptions", None)
    if not isinstance(ignores, bool):
        return None
    cache._ignore_exceptions = False  # noqa: SLF001 - django-redis's switch
    return ignores
