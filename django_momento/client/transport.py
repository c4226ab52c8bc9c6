"""Everything for one API key: the SDK's client, and channels of our own to the same endpoint.

The transport decides which way a call goes. It is the only place that catches the errors of the SDK and of
gRPC, and ``errors`` maps them. Every exception inside a call is mapped, but not an exception from outside the
call, such as that of a signal handler. The transport sends nothing twice, because ``retry`` decides that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Awaitable
from typing import Any

from momento import CacheClient, CredentialProvider

from ..clock import monotonic, wall
from ..conf.options import ConnectionOptions
from ..credentials.credential import Credential
from ..exceptions import CallTimedOut, MomentoCacheError
from ..interruption import raise_foreign
from . import headers, sdk
from .batching import GetBatchers
from .breaker import Breakers, CircuitBreaker
from .call_items import describe_item
from .calls import PROBE, WARM_UP, Call, Get, Request
from .channel import CACHE, CONTROL, Callbacks, Channel, Metadata, PendingCall, Recycled
from .deadlines import MAX_DIFFERENCE, grpc_clock
from .decoding import UnreadableResponse, check_readable
from .errors import Sent, is_to_pass, map_error
from .fork_gate import Passage, gate
from .futures import wait_for
from .interrupts import release_interrupted_locks
from .metering import Tally
from .proxies import bypass_proxies
from .readers import threads
from .together import acall_all, call_all

logger = logging.getLogger("django_momento")

# Seconds that a probe may take: it is to find out soon, and to hold up no fork and no end of the process.
PROBE_TIMEOUT = 1.0

# Seconds between two looks whether the last call over a transport that is to close has ended.
_CLOSING_POLL = 0.05

# Seconds after its deadline in which gRPC must deliver the end of a call. Its caller gets it within a second.
GRACE = 0.8

Started = tuple[PendingCall, Passage | None, int]
"""A call that was sent: its future, its own passage of the fork gate, and the number of its connection."""

# Part of the timeout before which no call times out by itself.
MIN_ELAPSED = 0.5

# Seconds: the start of a connection's first call comes less than this before the start of the connection.
CONNECTION_SETUP = 0.5


class Transport:
    """Momento at one endpoint with one API key; connects at its first call.

    ``generation`` and ``channels`` are those of a transport to the same endpoint that shares its connections.
    """

    def __init__(
        self,
        credential: Credential,
        options: ConnectionOptions,
        breakers: Breakers,
        generation: int | None = None,
        channels: tuple[Channel, Channel] | None = None,
    ) -> None:
        self.credential = credential
        self._options = options
        self._breakers = breakers
        self._has_warned_of_clock = False
        # Which connection a call goes over if its thread waits for it.
        self._breaker_of = {
            call: breakers.control if getattr(call, "control", True) else breakers.sdk for call in sdk.CALLS
        }
        self._metadata: dict[str, Metadata] = {}
        bypass_proxies(credential)
        grpc_configuration = sdk.configuration(options).get_transport_strategy().get_grpc_configuration()
        self.timeout = grpc_configuration.get_deadline().total_seconds()
        self._sdk: Recycled[CacheClient] = Recycled(self._open_cache_client, sdk.close, generation)
        self._cache, self._control = channels or (
            Channel(CACHE, credential, grpc_configuration),
            Channel(CONTROL, credential, grpc_configuration),
        )
        self._batchers = GetBatchers()
        self.read_concern = options.read_concern
        self.grace = GRACE

    def __repr__(self) -> str:
        return f"<Transport to {self.credential.endpoint}>"

    def with_credential(self, credential: Credential) -> Transport:
        """Return a transport to the same endpoint with another API key, over the same connections.

        Over TLS the SDK's new client makes a connection of its own. In plaintext, as to a local server, it
        shares the old client's, for as long as that lasts: see ``warm_up``.
        """
        return Transport(
            credential, self._options, self._breakers, self._sdk.generation, (self._cache, self._control)
        )

    def reconnected(self) -> Transport:
        """Return a transport to the same endpoint with the same API key and new connections."""
        return Transport(self.credential, self._options, self._breakers)

    def breaker_of(self, request: Request) -> CircuitBreaker:
        """Return the circuit breaker of the connection that call() uses for a request."""
        return self._breaker_of.get(type(request), self._breakers.own)

    def async_breaker_of(self, request: Request) -> CircuitBreaker:
        """Return the circuit breaker of the connection that acall() uses for a request."""
        return self._breakers.control if getattr(request, "control", False) else self._breakers.own

    def call(self, cache: str, request: Request, tally: Tally | None = None) -> Any:
        """Send a request and wait for its response on this thread. Add its cost to the tally, if any.

        Raises MomentoCacheError, or PartialFailure if some of a list of calls failed.
        """
        if type(request) is list:
            return call_all(self, cache, request, tally)
        passage = gate.enter(self)
        started = monotonic()
        if tally is not None:
            tally.record_sent(request)
        try:
            through_sdk = sdk.CALLS.get(type(request))
            if through_sdk is not None and (
                -MAX_DIFFERENCE < wall() - grpc_clock() < MAX_DIFFERENCE or not isinstance(request, Call)
            ):
                response = through_sdk(self._sdk.get(), cache, request)
            else:
                # The SDK's calls come here too under a frozen time, when the SDK's deadlines are wrong.
                assert isinstance(request, Call)  # noqa: S101 - for mypy
                response = self._channel(request).call(self._metadata_of(cache), request)
        except BaseException as error:
            release_interrupted_locks(error)
            passage.leave()
            passes = is_to_pass(error)
            breaker = self.breaker_of(request)
            failure = error if passes else self._map_error(cache, request, error, started, breaker)
            if tally is not None:
                tally.record_failure(request, failure)
            if passes:
                raise
            raise failure from failure.__cause__
        # On the way of a success the passage ends with this frame.
        self._breaker_of.get(type(request), self._breakers.own).last_success = started
        if tally is not None:
            tally.record_response(request, response, self.read_concern)
        return response

    def acall(self, cache: str, request: Request, tally: Tally | None = None) -> Awaitable[Any]:
        """Return an awaitable of the result of call(), on any event loop.

        Cancelling it cancels the calls in flight.
        """
        if type(request) is Get:
            return self._batchers.get(self, cache).get(request, tally)
        if type(request) is list:
            return acall_all(self, cache, request, tally)
        assert isinstance(request, Call)  # noqa: S101 - for mypy
        return self._acall_one(cache, request, tally)

    async def _acall_one(self, cache: str, request: Call[Any], tally: Tally | None) -> Any:
        started = monotonic()
        sent = self.start(cache, request, tally)
        if not await wait_for((sent[0],), timeout=self.bound(request)):
            raise self.abandon(cache, request, sent)
        return self.finish(cache, request, sent[0], started, tally)

    def bound(self, call: Call[Any]) -> float:
        """Return the seconds after which a call is given up: its deadline, and GRACE for its delivery."""
        return (self._control.timeout if call.control else self.timeout) + GRACE

    def abandon(self, cache: str, call: Call[Any], sent: Started) -> MomentoCacheError:
        """Give up a call whose end gRPC did not deliver; return its error.

        The breaker is not told, because the thread that delivers was missing, and not Momento.
        """
        pending, passage, generation = sent
        if passage is not None:
            passage.leave()
        # Not on this thread: gRPC's may hold the lock of the call, and wait for one that this thread holds.
        threads.try_to_run(pending.cancel)
        if not call.streamed:  # A stream is read by a thread of ours, which delivers its deadline.
            self._channel(call).discard(generation)
        return self._sent(cache, call).error_for_status("DEADLINE_EXCEEDED", "")

    def start(
        self, cache: str, call: Call[Any], tally: Tally | None = None, on_done: Callbacks = ()
    ) -> Started:
        """Send a call without waiting; ``finish`` returns its result once it is done.

        The call is in flight until then, on whichever thread: the task that waits for it may run on the very
        thread that wants to fork. ``on_done`` are told of its end. Raises MomentoCacheError.
        """
        passage = gate.enter(self)
        started = monotonic()
        try:
            channel = self._control if call.control else self._cache
            metadata = self._metadata.get(cache) or self._metadata_of(cache)
            pending = channel.start_async(metadata, call, None, (passage.leave, *on_done))
            generation = channel.connection.generation
        except BaseException as error:
            passage.leave()
            if is_to_pass(error):
                raise
            raise self._map_error(cache, call, error, started)  # noqa: B904 - it has its cause
        if tally is not None:
            tally.record_sent(call)
        passage.pending = pending
        return pending, passage, generation

    def finish(
        self, cache: str, call: Call[Any], pending: Any, started: float, tally: Tally | None = None
    ) -> Any:
        """Return the result of a call that was sent; blocks if it is not done. Raises MomentoCacheError.

        ``started`` is the time when it was sent, by ``clock.monotonic``.
        """
        try:
            if type(response := pending.result()) is UnreadableResponse or call.streamed:
                check_readable(response)
            result = call.parse(response, (self._control if call.control else self._cache).pb)
        except Exception as error:
            passes = is_to_pass(error)
            failure = error if passes else self._map_error(cache, call, error, started)
            if tally is not None:
                tally.record_failure(call, failure)
            if passes:
                raise
            raise failure from failure.__cause__
        (self._breakers.control if call.control else self._breakers.own).last_success = started
        if tally is not None:
            tally.record_response(call, result, self.read_concern)
        return result

    @property
    def cache_client(self) -> CacheClient:
        """The SDK's client with this API key."""
        return self._sdk.get()

    @property
    def credential_provider(self) -> CredentialProvider:
        """The SDK's form of this API key."""
        return sdk.credential_provider(self.credential)

    def warm_up(self, cache: str) -> None:
        """Make the SDK's client connect and use its API key once. Raises MomentoCacheError."""
        # Not by call(): the breakers judge the endpoint in use, which may be another.
        with gate.enter(self):
            try:
                if -MAX_DIFFERENCE < wall() - grpc_clock() < MAX_DIFFERENCE:
                    sdk.CALLS[Get](self._sdk.get(), cache, WARM_UP)
                else:
                    self._cache.call(self._metadata_of(cache), WARM_UP)
            except Exception as error:
                if is_to_pass(error):
                    raise
                raise self._error_for(cache, WARM_UP, error)  # noqa: B904 - it has its cause

    @property
    def probe_timeout(self) -> float:
        """Seconds that a probe may take."""
        return min(self.timeout, PROBE_TIMEOUT)

    def start_probe(self, cache: str) -> PendingCall:
        """Ask, over a channel of our own, for something that any API key may ask for."""
        return self._cache.start_async(self._metadata_of(cache), PROBE, self.probe_timeout)

    def probe_error(self, cache: str, pending: PendingCall) -> MomentoCacheError | None:
        """Return the error of a probe that is done, or None if it succeeded."""
        try:
            check_readable(pending.result())
        except Exception as error:
            if is_to_pass(error):
                raise
            return self._error_for(cache, PROBE, error)
        return None

    def close(self, successor: Transport | None = None) -> threading.Thread | None:
        """Close the connections after the last call over them, except those that a successor shares.

        Return the thread that does it, or None if they are closed already.
        """
        closer = threading.Thread(target=self._close_idle, args=(successor,), daemon=True)
        closer.name = "momento-close"
        try:
            closer.start()
        except Exception as error:  # noqa: BLE001 - threads fail to start in several ways
            raise_foreign(error)
            self._close_idle(successor, wait=False)
            return None
        return closer

    def _close_idle(self, successor: Transport | None, wait: bool = True) -> None:
        # A call ends within its timeout, streams and the SDK's own time included within twice that.
        until = monotonic() + (2 * self.timeout if wait else 0)
        if wait and successor is None:
            time.sleep(_CLOSING_POLL)  # For a call that is not sent yet, and can go over no other transport.
        is_shared = successor is not None and successor._cache is self._cache  # noqa: SLF001 - of this very class
        connections = (self._sdk, self._cache, self._control)
        closings = [each.retire() for each in (connections[:1] if is_shared else connections)]
        # A call that is not in flight yet finds no connection any more. The others have theirs.
        while gate.has_calls_of(self) and monotonic() < until:
            time.sleep(_CLOSING_POLL)
        for close in closings:
            close()

    def start_for_this_thread(self, cache: str, call: Call[Any], tally: Tally | None) -> Any:
        """Return a call that was sent, or the error that it could not be sent for."""
        started = monotonic()
        try:
            channel = self._channel(call)
            pending = channel.start(self._metadata_of(cache), call)
            if tally is not None:
                tally.record_sent(call)
            return pending, None, channel.connection.generation
        except MomentoCacheError as error:
            return error
        except Exception as error:
            if is_to_pass(error):
                raise
            return self._map_error(cache, call, error, started)

    def _map_error(
        self,
        cache: str,
        request: Any,
        error: BaseException,
        started: float,
        breaker: CircuitBreaker | None = None,
    ) -> MomentoCacheError:
        """Return our exception for an error of a call, after the breaker heard of it."""
        failure = self._error_for(cache, request, error)
        if isinstance(failure, CallTimedOut) and monotonic() - started < MIN_ELAPSED * self.timeout:
            # It proves nothing of Momento: the time was frozen, say, between the call and its deadline.
            failure.is_premature = True
            if not self._has_warned_of_clock:
                self._has_warned_of_clock = True
                logger.warning("A call to Momento timed out far too early: was this process's clock set?")
            return failure
        breaker = breaker or self.async_breaker_of(request)
        if isinstance(failure, CallTimedOut) and self.is_connecting(breaker):
            failure.is_connecting = True
            return failure
        self._breakers.record_failure(breaker, failure, started)
        return failure

    def connection_of(self, breaker: CircuitBreaker) -> Recycled[Any]:
        """Return the connection that a breaker judges."""
        return self._sdk if breaker is self._breakers.sdk else self._cache.connection

    def is_connecting(self, breaker: CircuitBreaker) -> bool:
        """Return whether the first connection that a breaker judges is being made, within CONNECT_TIMEOUT."""
        opened = self.connection_of(breaker).opened_at
        # A probe that closed the breakers has proved another connection than the SDK's.
        is_proved = breaker is not self._breakers.sdk or breaker.last_success != breaker.closed_with
        has_worked = is_proved and breaker.last_success > opened - CONNECTION_SETUP
        is_control = breaker is self._breakers.control
        return not (has_worked or is_control) and monotonic() - opened < self._options.connect_timeout

    def _error_for(self, cache: str, request: Any, error: BaseException) -> MomentoCacheError:
        return map_error(self._sent(cache, request), error)

    def _sent(self, cache: str, request: Any) -> Sent:
        is_control = getattr(request, "control", True)
        return Sent(
            rpc=getattr(request, "rpc", type(request).__name__),
            cache=cache,
            endpoint=self.credential.endpoint,
            source=self.credential.source,
            timeout=self._control.timeout if is_control else self.timeout,
            item=describe_item(request),
            secrets=(self.credential.api_key,),
            is_control=is_control,
        )

    def _open_cache_client(self, generation: int) -> CacheClient:
        return sdk.cache_client(self.credential, sdk.configuration(self._options, generation))

    def _channel(self, call: Call[Any]) -> Channel:
        return self._control if call.control else self._cache

    def _metadata_of(self, cache: str) -> Metadata:
        if (metadata := self._metadata.get(cache)) is not None:
            return metadata
        once = () if self._metadata else (("agent", headers.AGENT),)
        # Momento's default need not be sent.
        concern = () if self.read_concern == "balanced" else (("read-concern", self.read_concern),)
        authorization = ("authorization", self.credential.api_key)
        metadata = self._metadata[cache] = (("cache", cache), authorization, *concern)
        return metadata + once
