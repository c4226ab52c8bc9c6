"""The verbs that a cache of Momento has beyond Django's, and ``get_or_set``, which does more than Django's.

Each is a feature of its own in ``policies``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from .client import operations
from .conf.foreign import refuse_foreign_arguments
from .events import events
from .exceptions import MomentoCacheError
from .execution import OperationCache
from .items import Key, Value
from .policies.timeouts import (
    Timeout,
    show_default_timeout,
    to_blocking,
    to_duration,
    to_wait,
    to_whole_seconds,
)

if TYPE_CHECKING:
    from .policies.actions import Actions
    from .policies.limits import Hit, Limit, OnOutage
    from .policies.locks import AsyncLock, Lock, LockOptions


class ExtendedCache(OperationCache):
    """A cache with the verbs beyond Django's, which import their feature when they are first called."""

    def get_or_set(
        self,
        key: Key,
        default: Value | Callable[[], Value],
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        stale: float | timedelta = 0,
        lease: float | timedelta = 0,
        wait: float | timedelta = 5,
        tags: Iterable[str] = (),
    ) -> Value:
        """Return the value. If there is none, store and return ``default``, or its result if it is callable.

        One thread or task of this process runs ``default`` for a key at a time. The others wait for it up to
        ``wait`` seconds, and then run it themselves. They do not wait if SINGLE_FLIGHT is off. If it raises,
        its own caller gets the exception, and the next one runs it.

        After ``timeout`` the value can be kept for ``stale`` more seconds. One caller recomputes it then, and
        the others get the old value at once. With ``lease``, one process of all runs ``default``, as long as
        Momento responds and ``default`` takes less than ``lease`` seconds.

        ``tags`` are names with which invalidate_tags() forgets the value, also while ``default`` runs. A
        value that cannot be read back is replaced. If another caller has stored a value meanwhile, return
        that value.
        """
        from .policies import actions, freshness

        call = freshness.GetOrSet(
            *(self, key, default, timeout, version),
            is_async=False,
            stale=stale,
            lease=lease,
            wait=wait,
            tags=tags,
        )
        return actions.run(self, call.actions())

    async def aget_or_set(
        self,
        key: Key,
        default: Value | Callable[[], Value],
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        stale: float | timedelta = 0,
        lease: float | timedelta = 0,
        wait: float | timedelta = 5,
        tags: Iterable[str] = (),
    ) -> Value:
        """See get_or_set(). If ``default`` returns an awaitable, it is awaited."""
        from .policies import actions, freshness

        call = freshness.GetOrSet(
            *(self, key, default, timeout, version),
            is_async=True,
            stale=stale,
            lease=lease,
            wait=wait,
            tags=tags,
        )
        return await actions.arun(self, call.actions())

    def ttl(self, key: Key, version: int | None = None) -> int | None:
        """Return the seconds that a key has left, or None if it is missing.

        Part of a second counts as a whole one, so a key that exists has at least 1 second left.
        """
        remaining = self._run("ttl", (key,), operations.ttl(self._momento_key(key, version)), None)
        return None if remaining is None else to_whole_seconds(remaining)

    async def attl(self, key: Key, version: int | None = None) -> int | None:
        """See ttl()."""
        remaining = await self._arun("ttl", (key,), operations.ttl(self._momento_key(key, version)), None)
        return None if remaining is None else to_whole_seconds(remaining)

    def expire(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Call touch(), which Redis calls expire."""
        return self.touch(key, timeout, version)  # type: ignore[arg-type]  # MomentoCache's takes a timedelta

    async def aexpire(self, key: Key, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See expire()."""
        return await self.atouch(key, timeout, version)  # type: ignore[arg-type]  # as in expire()

    def rate_limit(
        self,
        key: Key,
        limit: int,
        window: float | timedelta,
        *,
        cost: int = 1,
        version: int | None = None,
        on_outage: OnOutage = "allow",
    ) -> Limit:
        """Count a hit, and return whether at most ``limit`` were counted in this window of seconds.

        The first hit begins the window, and no later one prolongs it. A denied hit counts too. A hit of
        cost 0 returns the count and whether a hit of cost 1 would be allowed. delete() ends the window.

        If Momento cannot count, ``on_outage`` decides. Raises TypeError if the key holds a value of another
        kind, and ValueError if the window is longer than MAX_TTL.
        """
        hit = self._hit(key, limit, window, cost, version, on_outage)
        try:
            return self._run_loudly("rate_limit", (key,), hit.count(self._place))
        except MomentoCacheError as error:
            return self._decide(hit, error)

    async def arate_limit(
        self,
        key: Key,
        limit: int,
        window: float | timedelta,
        *,
        cost: int = 1,
        version: int | None = None,
        on_outage: OnOutage = "allow",
    ) -> Limit:
        """See rate_limit()."""
        hit = self._hit(key, limit, window, cost, version, on_outage)
        try:
            return await self._arun_loudly("rate_limit", (key,), hit.count(self._place))
        except MomentoCacheError as error:
            return self._decide(hit, error)

    def _hit(
        self,
        key: Key,
        limit: int,
        window: float | timedelta,
        cost: int,
        version: int | None,
        on_outage: OnOutage,
    ) -> Hit:
        from .policies.limits import Hit

        return Hit(self._momento_key(key, version), limit, window, self.options.max_ttl, cost, on_outage)

    def _decide(self, hit: Hit, error: MomentoCacheError) -> Limit:
        limit = hit.decide(error)
        self._record_ignored(error)
        return limit

    def lock(
        self,
        key: Key,
        timeout: float | timedelta,
        *,
        blocking: bool = True,
        blocking_timeout: float | timedelta | None = None,
        sleep: float | timedelta = 0.25,
        version: int | None = None,
        **foreign: NoReturn,
    ) -> Lock:
        """Return a lock, as a context manager, that ends by itself after ``timeout`` seconds.

        If another holder has it, wait up to ``blocking_timeout`` seconds, or for as long as it takes, and ask
        again after pauses that begin with ``sleep`` seconds. Entering raises LockError without the lock.

        The lock keeps work from being done twice. It does not protect data.
        """
        from .policies.locks import Lock

        refuse_foreign_arguments("lock", foreign)
        options = self._lock_options(key, timeout, blocking, blocking_timeout, sleep, version)
        return Lock(
            options, lambda verb, operation: self._run_loudly(verb, (key,), operation), self._record_lost_lock
        )

    def alock(
        self,
        key: Key,
        timeout: float | timedelta,
        *,
        blocking: bool = True,
        blocking_timeout: float | timedelta | None = None,
        sleep: float | timedelta = 0.25,
        version: int | None = None,
        **foreign: NoReturn,
    ) -> AsyncLock:
        """Return a lock as an async context manager. See lock()."""
        from .policies.locks import AsyncLock

        refuse_foreign_arguments("alock", foreign)
        options = self._lock_options(key, timeout, blocking, blocking_timeout, sleep, version)
        return AsyncLock(
            options,
            lambda verb, operation: self._arun_loudly(verb, (key,), operation),
            self._record_lost_lock,
        )

    def _lock_options(
        self,
        key: Key,
        timeout: float | timedelta,
        blocking: bool,
        blocking_timeout: float | timedelta | None,
        sleep: float | timedelta,
        version: int | None,
    ) -> LockOptions:
        from .policies.locks import SUFFIX, LockOptions

        return LockOptions(
            str(key),
            self._momento_key(key, version) + SUFFIX,
            self._place,
            to_duration("timeout", timeout, self.options.max_ttl),
            self.options.max_ttl,
            to_blocking(blocking),
            to_wait(blocking_timeout),
            to_duration("sleep", sleep, self.options.max_ttl) / 1000,
        )

    def _record_lost_lock(self, cause: str) -> None:
        events.record(self.options.alias, "lost_locks", "after its block a lock was not released: %s", cause)

    def run_once(self, key: Key, every: float | timedelta, version: int | None = None) -> bool:
        """Return True to one caller in ``every`` seconds, on all machines, as for a scheduled job.

        The time begins with that call. If the cache fails open and cannot be asked, return False. delete() of
        the key lets the next caller run. Give each job a key that holds no value.
        """
        from .policies import actions

        is_first: bool = actions.run(self, self._claim_once(key, every, version))
        return is_first

    async def arun_once(self, key: Key, every: float | timedelta, version: int | None = None) -> bool:
        """See run_once()."""
        from .policies import actions

        return await actions.arun(self, self._claim_once(key, every, version))

    def _claim_once(self, key: Key, every: float | timedelta, version: int | None) -> Actions[bool]:
        from .policies.once import run_once

        return run_once(key, self._momento_key(key, version), every, self.options.max_ttl)

    @property
    def _place(self) -> tuple[object, str]:
        """The cache at Momento, as a key that tells it from other caches of this process."""
        return self.options.connection, self.options.cache_name

    def invalidate_tags(self, *tags: str, on_commit: bool = False, using: str | None = None) -> None:
        """Forget all values with one of the tags, for one operation a tag.

        This process sees it at once, and others within TAG_SECONDS and the lag of Momento's replicas. If
        ``on_commit``, wait until the transaction on the database ``using`` is committed. If it is rolled
        back, do nothing. If there is none, do it at once. Raises TypeError or ValueError for a wrong tag, and
        MomentoCacheError if it is not certain that Momento has forgotten the values.
        """
        names = self._check_tag_names(tags, on_commit, using)
        if names and not (on_commit and self._wait_to_invalidate(names, using)):
            self._run("invalidate_tags", names, self._tags.invalidate(names), None)

    async def ainvalidate_tags(self, *tags: str, on_commit: bool = False, using: str | None = None) -> None:
        """See invalidate_tags(). A transaction is one of Django's thread for sync code."""
        names = self._check_tag_names(tags, on_commit, using)
        if names and not (on_commit and await sync_to_async(self._wait_to_invalidate)(names, using)):
            await self._arun("invalidate_tags", names, self._tags.invalidate(names), None)

    def _check_tag_names(
        self, tags: tuple[object, ...], on_commit: bool, using: str | None
    ) -> tuple[str, ...]:
        from .policies.tags import check_names

        if using is not None and not on_commit:
            raise TypeError(f"using={using!r} needs on_commit=True. Give both, or leave both out.")
        return tuple(dict.fromkeys(check_names(tags, self.validate_key)))

    def _wait_to_invalidate(self, names: tuple[str, ...], using: str | None) -> bool:
        from .policies.commits import wait_for_commit

        owner = "invalidate_tags", self
        return wait_for_commit(self.options.alias, using, owner, self.invalidate_tags, names)

    def delete_on_commit(self, *keys: Key, version: int | None = None, using: str | None = None) -> None:
        """Delete keys when the transaction on the database ``using`` is committed, with one call.

        If it is rolled back, do nothing. If there is none, delete the keys at once.
        """
        if keys and not self._wait_to_delete(keys, version, using):
            self.delete_many(keys, version=version)

    async def adelete_on_commit(
        self, *keys: Key, version: int | None = None, using: str | None = None
    ) -> None:
        """See delete_on_commit(). A transaction is one of Django's thread for sync code."""
        if keys and not await sync_to_async(self._wait_to_delete)(keys, version, using):
            await self.adelete_many(keys, version=version)

    def _wait_to_delete(self, keys: tuple[Any, ...], version: int | None, using: str | None) -> bool:
        from .policies.commits import wait_for_commit

        def delete(*names: Key) -> None:
            self.delete_many(names, version=version)

        owner = "delete_on_commit", self, version
        return wait_for_commit(self.options.alias, using, owner, delete, keys)

    def memo(self) -> AbstractContextManager[None]:
        """Return a context that keeps the values read and written in it, in memory, until it ends.

        A key that was read is not asked for again. Works in both faces, and needs no option.
        """
        from .policies.memo import memo

        return memo(self.options)


show_default_timeout(ExtendedCache, DEFAULT_TIMEOUT)
