"""One client of Momento: drives an operation's steps, sends each call, and maps what fails to our exceptions.

What it sends goes over one ``Link``, which it exchanges while calls are in flight: for one with another key
or endpoint after a rotation, for a new one after an outage. Knows neither Django nor AWS.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import uniform
from time import monotonic, sleep, time
from typing import Any, TypeVar

from ..conf.options import ConnectionOptions
from ..credentials.credential import Credential
from ..exceptions import AuthenticationFailed, MomentoCacheError, TransportError
from .batching import Gatherings
from .breaker import CircuitBreaker
from .calls import Call, Get, Operation, Request
from .channel import RETRYABLE_STATUSES, Future
from .fork_gate import gate
from .futures import wait_for
from .interrupts import release_interrupted_locks
from .rotation import Rotation
from .transport import FAILURES, Link

T = TypeVar("T")

logger = logging.getLogger("django_momento")

# Seconds before each further attempt at what goes through the SDK; gRPC does the like on our own channels.
_PAUSES = (0.01, 0.02, 0.04)


class Client:
    """Momento for any number of caches, threads and event loops. It connects at its first call.

    ``fetch`` answers the credential anew, when the one in use is refused or expires; ``watch`` answers a
    token that differs after the credential's source has changed, and ``seen`` is what it answered before.
    """

    def __init__(
        self,
        credential: Credential,
        options: ConnectionOptions,
        fetch: Callable[[], Credential] | None = None,
        watch: Callable[[], object] | None = None,
        seen: object = None,
    ) -> None:
        self._options = options
        self._link = Link(credential, options)
        self._breaker = CircuitBreaker()
        self._rotation = Rotation(credential, fetch or (lambda: credential), self._adopt, watch, seen)
        self._gatherings = Gatherings()
        self._exchanging = threading.Lock()
        self._closed = False
        # The cache last asked, for what is asked on no caller's behalf.
        self._cache = ""

    @property
    def credential(self) -> Credential:
        """The credential in use, which says where the key came from."""
        return self._link.credential

    @property
    def timeout(self) -> float:
        """The deadline of a call, in seconds."""
        return self._link.timeout

    @property
    def counts(self) -> dict[str, int]:
        """How often, since it was made, its breaker opened and its key was replaced."""
        return {"circuit_openings": self._breaker.openings, "keys_replaced": self._rotation.replaced}

    def run(self, cache: str, steps: Operation[T]) -> T:
        """Drive an operation on the cache of that name to its answer.

        Raises MomentoCacheError, or whatever the operation makes of one.
        """
        try:
            asked = next(steps)
            while True:
                try:
                    answer = self._send(cache, asked)
                except MomentoCacheError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        except BaseException as error:
            # From a signal's handler, perhaps, which interrupted gRPC between any two of its instructions.
            release_interrupted_locks(error.__traceback__)
            raise

    async def arun(self, cache: str, steps: Operation[T]) -> T:
        """See run(). Works on any number of event loops; cancelling the task cancels what is in flight."""
        try:
            asked = next(steps)
            while True:
                try:
                    answer = await self._asend(cache, asked)
                except MomentoCacheError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def close(self) -> None:
        """Let go of the connections: they close with the last call on them, and later calls are refused."""
        with self._exchanging:
            self._closed = True
            self._link.close()

    def _send(self, cache: str, asked: Request) -> Any:
        if self._breaker.is_open or time() >= self._rotation.due_at:
            self._look_after(cache)
        link, started = self._link, monotonic()
        try:
            if isinstance(asked, list):
                return self._noted(self._together(link, cache, asked), started)
            try:
                answer = self._ask(link, cache, asked)
            except MomentoCacheError as error:
                answer = self._again(link, cache, asked, started, error)
        except MomentoCacheError as error:
            self._failed(error, started)
            raise
        self._breaker.last_success = started
        return answer

    def _ask(self, link: Link, cache: str, asked: Any) -> Any:
        passage = gate.enter()
        try:
            return link.ask(cache, asked)
        except FAILURES as error:
            raise link.explained(cache, asked, error) from error
        finally:
            passage.leave()

    def _again(self, link: Link, cache: str, asked: Any, started: float, error: MomentoCacheError) -> Any:
        """Send a call again if that may help; raise what it failed with if not."""
        for pause in _PAUSES:
            if isinstance(error, AuthenticationFailed):
                refused, link = link, self._relinked(link, cache)
                if link is refused:
                    break
            elif link.is_repeated_by_grpc(asked) or not self._is_worth_it(asked, started, error):
                break
            else:
                sleep(pause * uniform(0.5, 1))  # noqa: S311 - nothing secret about it
            try:
                return self._ask(link, cache, asked)
            except MomentoCacheError as another:
                error = another
        try:
            raise error
        finally:
            del error  # Or it and this frame would keep each other, and the connections, until the next gc.

    def _is_worth_it(self, asked: Any, started: float, error: MomentoCacheError) -> bool:
        # Half the timeout, so that the last attempt ends well before twice the timeout.
        return (
            getattr(asked, "retryable", False)
            and error.status in RETRYABLE_STATUSES
            and monotonic() - started < self.timeout / 2
        )

    def _together(self, link: Link, cache: str, calls: list[Call[Any]]) -> list[Any]:
        outcomes = self._outcomes(link, cache, calls)
        if refused := _refused(outcomes):
            fresh = self._relinked(link, cache)
            if fresh is not link:
                again = self._outcomes(fresh, cache, [calls[number] for number in refused])
                outcomes = _with(outcomes, refused, again)
        return outcomes

    def _outcomes(self, link: Link, cache: str, calls: list[Call[Any]]) -> list[Any]:
        with gate.enter():
            started = [link.start(cache, call) for call in calls]
            settled = [link.settled(call, sent) for call, sent in zip(calls, started, strict=True)]
        return [link.outcome(cache, call, result) for call, result in zip(calls, settled, strict=True)]

    async def _asend(self, cache: str, asked: Request) -> Any:
        if self._breaker.is_open or time() >= self._rotation.due_at:
            self._look_after(cache)
        link, started = self._link, monotonic()
        try:
            if isinstance(asked, list):
                return self._noted(await self._atogether(link, cache, asked), started)
            try:
                answer = await self._aask(link, cache, asked)
            except AuthenticationFailed:
                fresh = await self._arelinked(link, cache)
                if fresh is link:
                    raise
                answer = await self._aask(fresh, cache, asked)
        except MomentoCacheError as error:
            self._failed(error, started)
            raise
        self._breaker.last_success = started
        return answer

    async def _aask(self, link: Link, cache: str, asked: Any) -> Any:
        if isinstance(asked, Get):
            return await self._gatherings.get(link, cache, asked.key)
        # In flight until its future is done, on whichever thread that is: the task that waits for it may run
        # on the very thread that wants to fork.
        passage = gate.enter()
        try:
            future = link.send(cache, asked)
        except BaseException:
            passage.leave()
            raise
        await wait_for((future,), each=passage.leave)
        try:
            return link.read(asked, future)
        except FAILURES as error:
            raise link.explained(cache, asked, error) from error

    async def _atogether(self, link: Link, cache: str, calls: list[Call[Any]]) -> list[Any]:
        outcomes = await self._aoutcomes(link, cache, calls)
        if refused := _refused(outcomes):
            fresh = await self._arelinked(link, cache)
            if fresh is not link:
                again = await self._aoutcomes(fresh, cache, [calls[number] for number in refused])
                outcomes = _with(outcomes, refused, again)
        return outcomes

    async def _aoutcomes(self, link: Link, cache: str, calls: list[Call[Any]]) -> list[Any]:
        futures = [self._started(link, cache, call) for call in calls]
        await wait_for(futures)
        settled = [_settled(future) for future in futures]
        return [link.outcome(cache, call, result) for call, result in zip(calls, settled, strict=True)]

    def _started(self, link: Link, cache: str, call: Call[Any]) -> Future:
        passage = gate.enter()
        try:
            future = link.send(cache, call)
        except BaseException:
            passage.leave()
            raise
        future.add_done_callback(passage.leave)
        return future

    def _relinked(self, link: Link, cache: str) -> Link:
        """Answer the link to use in place of one whose key was refused; the same if there is no other."""
        if self._link is link:
            self._cache = cache
            if flight := self._rotation.refreshed():
                flight.result()
        return self._link

    async def _arelinked(self, link: Link, cache: str) -> Link:
        if self._link is link:
            self._cache = cache
            if flight := self._rotation.arefreshed():
                await wait_for((flight,), shared=True)
        return self._link

    def _adopt(self, credential: Credential) -> bool:
        """Put a credential that was fetched again to use; answer whether it is another."""
        link = self._link
        in_use = link.credential
        is_same_place = credential.same_place(in_use)
        if is_same_place and credential.same_key(in_use):
            link.credential = credential
            return False
        fresh = link.rekeyed(credential) if is_same_place else Link(credential, self._options)
        # Its first call is made here, while the old link still holds the connection that they may share.
        with gate.enter():
            try:
                fresh.introduce(self._cache)
            except FAILURES as error:
                failure = fresh.explained(self._cache, None, error)
                if isinstance(failure, AuthenticationFailed):
                    raise failure from error
        with self._exchanging:
            self._exchange(fresh)
        logger.info("The API key of Momento was replaced: %s.", credential.source)
        return True

    def _exchange(self, fresh: Link) -> None:
        if self._closed:
            fresh.close()
        else:
            self._link = fresh

    def _look_after(self, cache: str) -> None:
        self._cache = cache
        if time() >= self._rotation.due_at:
            self._rotation.look()
        if self._breaker.is_open:
            if self._breaker.may_probe():
                self._probe_elsewhere()
            raise self._breaker.refusal()

    def _probe_elsewhere(self) -> None:
        try:
            threading.Thread(target=self._probe, name="momento-probe").start()
        except RuntimeError:  # the process may have no more threads, or be about to end
            self._breaker.probed(answered=False)

    def _probe(self) -> None:
        """Find out whether Momento is back, over new connections: the old may pause for long yet."""
        answered = False
        try:
            link = self._link
            fresh = link.renewed()
            with gate.enter():
                try:
                    fresh.probe(self._cache)
                    answered = True
                except FAILURES as error:
                    answered = not isinstance(fresh.explained(self._cache, None, error), TransportError)
            if answered:
                with self._exchanging:
                    if self._link is link:
                        self._exchange(fresh)
                logger.warning("Momento at %s answers again.", link.credential.endpoint)
        finally:
            self._breaker.probed(answered)

    def _noted(self, outcomes: list[Any], started: float) -> list[Any]:
        failures = [outcome for outcome in outcomes if isinstance(outcome, MomentoCacheError)]
        if len(failures) < len(outcomes):
            self._breaker.last_success = started
        for failure in failures:
            self._failed(failure, started)
        return outcomes

    def _failed(self, error: MomentoCacheError, started: float) -> None:
        if self._breaker.failed(error, started):
            logger.warning("Momento is not asked until it answers a probe: %s", error.cause)


def _settled(future: Future) -> Any:
    try:
        return future.result()
    except FAILURES as error:
        return error


def _refused(outcomes: list[Any]) -> list[int]:
    return [number for number, outcome in enumerate(outcomes) if isinstance(outcome, AuthenticationFailed)]


def _with(outcomes: list[Any], numbers: list[int], others: list[Any]) -> list[Any]:
    for number, other in zip(numbers, others, strict=True):
        outcomes[number] = other
    return outcomes
