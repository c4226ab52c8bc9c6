"""When a request is sent again: after a refused API key, and after failures that pass by themselves.

The policy is written once, as a generator of effects. ``Client`` runs them on the caller's thread, or awaits
them on its event loop. A request that succeeds at once never comes here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import monotonic
from ..exceptions import AuthenticationFailed, CallTimedOut, MomentoCacheError
from .calls import Call, Request
from .timers import sleep_until

if TYPE_CHECKING:
    from .metering import Tally
    from .transport import Transport

# Momento's SDKs send a call again if it ended with one of these, and after nothing else.
RETRYABLE_STATUSES = ("UNAVAILABLE", "INTERNAL")

# Seconds before each further attempt.
RETRY_BACKOFF = (0.01, 0.02, 0.04)

# Part of the timeout after which nothing is sent again: the last attempt ends before twice the timeout.
MAX_ELAPSED = 0.5


class Backoff:
    """Pauses between attempts: each about twice the last, up to a longest one.

    Every pause is drawn between half of it and the whole. Otherwise the processes of a fleet, which meet an
    outage together, would all come back together.
    """

    def __init__(self, initial: float, maximum: float) -> None:
        self._initial = initial
        self._maximum = maximum
        self._next = initial

    def next(self) -> float:
        """Return the next pause, in seconds."""
        pause, self._next = self._next, min(self._next * 2, self._maximum)
        return jitter(pause)

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next = self._initial


def jitter(pause: float) -> float:
    """Return a random part of a pause, at least half of it."""
    return pause * random.uniform(0.5, 1)  # noqa: S311 - nothing secret about it


def share_pause(error: MomentoCacheError) -> None:
    """Let all who get a copy of the error pause alike, and go on in the same turn of their event loop."""
    vars(error)["pause"] = {"jitter": jitter(1.0)}


class PartialFailure(Exception):
    """Some of the calls that were sent together failed. ``outcomes`` holds an error in the place of each."""

    def __init__(self, outcomes: list[Any]) -> None:
        super().__init__()
        self.outcomes = outcomes


class Effect(Protocol):
    """One thing that a policy wants done, by a thread that blocks or by a task that awaits."""

    def run(self) -> Any: ...
    async def arun(self) -> Any: ...


class Pause:
    """Waits for some seconds. Tasks that ``shared`` the failure of one call go on together."""

    def __init__(self, seconds: float, shared: dict[str, float]) -> None:
        self._seconds = seconds
        self._shared = shared

    def run(self) -> None:
        time.sleep(self._seconds)

    async def arun(self) -> None:
        # Not asyncio.sleep(): tasks that begin to sleep one after another also wake in different turns of the
        # loop, and would send a call each.
        now = asyncio.get_running_loop().time()
        await sleep_until(self._shared.setdefault("until", now + self._seconds))


class Send:
    """Sends a request over one transport. Raises MomentoCacheError or PartialFailure."""

    def __init__(self, transport: Transport, cache: str, request: Request, tally: Tally | None) -> None:
        self._transport = transport
        self._cache = cache
        self._request = request
        self._tally = tally

    def run(self) -> Any:
        return self._transport.call(self._cache, self._request, self._tally)

    async def arun(self) -> Any:
        return await self._transport.acall(self._cache, self._request, self._tally)


Policy = Generator[Effect, Any, Any]


def run_policy(policy: Policy) -> Any:
    """Run a policy's effects on this thread; return its result."""
    try:
        effect = next(policy)
        while True:
            try:
                result = effect.run()
            except (MomentoCacheError, PartialFailure) as error:
                effect = policy.throw(error)
            else:
                effect = policy.send(result)
    except StopIteration as done:
        return done.value


async def arun_policy(policy: Policy) -> Any:
    """See run_policy(). The effects are awaited."""
    try:
        effect = next(policy)
        while True:
            try:
                result = await effect.arun()
            except (MomentoCacheError, PartialFailure) as error:
                effect = policy.throw(error)
            else:
                effect = policy.send(result)
    except StopIteration as done:
        return done.value


class Connected(Protocol):
    """Has a transport to send over, and replaces it if its API key was refused."""

    @property
    def current(self) -> Transport | None: ...
    def refresh(self, cache: str) -> Effect: ...


def recover(client: Connected, cache: str, request: Request, sent: Sent) -> Policy:
    """Send the failed calls again if that may help; return the response, or raise the error that remains.

    A call whose transport was closed before the call was sent goes over the transport in use. A call whose
    key was refused is sent again with another key, if there is one. A retryable call that met one of
    RETRYABLE_STATUSES is sent again after a pause. One that timed out while the connection was being made is
    sent again until CONNECT_TIMEOUT has passed. Limits and other timeouts are never sent again.
    """
    attempts = _Attempts(request, sent.failure)
    transport = yield from _send_unsent(client, sent.transport, cache, attempts, sent.tally)
    while client.current is not None and (again := attempts.connecting()):
        transport = yield from _send_again(client, client.current, cache, attempts, again, sent.tally)
    for pause in RETRY_BACKOFF:
        refused = attempts.refused()
        if refused and client.current is transport:
            yield client.refresh(cache)
        current = client.current
        if current is None:
            break  # The client was closed during the call.
        again = refused if current is not transport else []
        if not again:
            if monotonic() - sent.started > transport.timeout * MAX_ELAPSED:
                break
            again = attempts.retryable()
            if not again:
                break
            yield attempts.pause(pause)
        transport = yield from _send_again(
            client, client.current or current, cache, attempts, again, sent.tally
        )
    return attempts.result()


def _send_unsent(
    client: Connected, transport: Transport, cache: str, attempts: _Attempts, tally: Tally | None
) -> Policy:
    """Send over the successor of a closed transport what was not sent. Return the last transport."""
    again, successor = attempts.unsent(), client.current
    if again and successor is not None and successor is not transport:
        transport = yield from _send_again(client, successor, cache, attempts, again, tally)
    return transport


def _send_again(
    client: Connected,
    transport: Transport,
    cache: str,
    attempts: _Attempts,
    again: list[_Attempt],
    tally: Tally | None,
) -> Policy:
    """Send calls over a transport, or over its successor if it was closed. Return the last transport."""
    try:
        response = yield Send(transport, cache, attempts.request_for(again), tally)
    except MomentoCacheError as error:
        again[0].outcome = error
    except PartialFailure as failure:
        attempts.record(again, failure.outcomes)
    else:
        attempts.record(again, response if attempts.is_list else [response])
    return (yield from _send_unsent(client, transport, cache, attempts, tally))


class Sent:
    """A request that failed: the transport it was sent over, when by ``clock.monotonic``, and the failure.

    ``tally`` receives the cost of each further attempt.
    """

    def __init__(
        self,
        transport: Transport,
        started: float,
        failure: MomentoCacheError | PartialFailure,
        tally: Tally | None = None,
    ) -> None:
        self.transport = transport
        self.started = started
        self.failure = failure
        self.tally = tally


class _Attempt:
    """One call, and the response or the error that it came to."""

    def __init__(self, call: Any, outcome: Any) -> None:
        self.call = call
        self.outcome = outcome


def _is_premature(error: MomentoCacheError) -> bool:
    return isinstance(error, CallTimedOut) and error.is_premature


class _Attempts:
    """The calls of one request."""

    def __init__(self, request: Request, failure: MomentoCacheError | PartialFailure) -> None:
        self.is_list = isinstance(failure, PartialFailure)
        if isinstance(failure, PartialFailure):
            assert isinstance(request, list)  # noqa: S101 - for mypy: only lists fail in part
            pairs = zip(request, failure.outcomes, strict=True)
            self._all = [_Attempt(call, outcome) for call, outcome in pairs]
        else:
            self._all = [_Attempt(request, failure)]

    def refused(self) -> list[_Attempt]:
        return [each for each in self._all if isinstance(each.outcome, AuthenticationFailed)]

    def unsent(self) -> list[_Attempt]:
        return [
            each
            for each in self._all
            if isinstance(each.outcome, MomentoCacheError) and each.outcome.is_unsent
        ]

    def pause(self, seconds: float) -> Pause:
        """Return the pause before the calls are sent again: at least half of ``seconds``."""
        errors = (each.outcome for each in self.retryable())
        shared: dict[str, float] = next(
            (vars(error)["pause"] for error in errors if "pause" in vars(error)), {}
        )
        return Pause(seconds * shared.get("jitter", jitter(1.0)), shared)

    def connecting(self) -> list[_Attempt]:
        return [
            each
            for each in self._all
            if isinstance(each.outcome, CallTimedOut)
            and each.outcome.is_connecting
            and getattr(each.call, "retryable", False)
        ]

    def retryable(self) -> list[_Attempt]:
        return [
            each
            for each in self._all
            if isinstance(each.outcome, MomentoCacheError)
            and (each.outcome.status in RETRYABLE_STATUSES or _is_premature(each.outcome))
            and getattr(each.call, "retryable", False)
        ]

    def request_for(self, attempts: list[_Attempt]) -> Request:
        calls: list[Call[Any]] = [each.call for each in attempts]
        return calls if self.is_list else calls[0]

    def record(self, attempts: list[_Attempt], outcomes: list[Any]) -> None:
        for each, outcome in zip(attempts, outcomes, strict=True):
            each.outcome = outcome

    def result(self) -> Any:
        """Return the response, or the list of outcomes. Raises the error of a request that is one call."""
        if self.is_list:
            return [each.outcome for each in self._all]
        (attempt,) = self._all
        if not isinstance(attempt.outcome, MomentoCacheError):
            return attempt.outcome
        try:
            raise attempt.outcome
        finally:
            # The error's traceback holds this frame: both would live until the next garbage collection.
            attempt.outcome = None
            self._all.clear()
