"""Everything for one API key: the SDK's client, and channels of our own to the same endpoint.

The transport decides which way a call goes. It is the only place that catches the SDK's and gRPC's errors,
and ``errors`` maps them. It sends nothing twice: ``retry`` decides that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable
from typing import Any

import grpc
from momento import CacheClient
from momento.errors import InvalidArgumentException, SdkException

from ..clock import monotonic
from ..conf.options import ConnectionOptions
from ..credentials.credential import Credential
from ..exceptions import InvalidArgument, MomentoCacheError, ServerError
from . import sdk
from .batching import GetBatchers
from .breaker import CircuitBreaker
from .calls import Call, Get, KeysExist, Request
from .channel import CACHE, CONTROL, Channel, Metadata, PendingCall, Recycled
from .errors import Sent
from .fork_gate import gate
from .futures import wait_for
from .retry import PartialFailure

# The errors of a call, whichever way it was sent.
TRANSPORT_ERRORS = (SdkException, grpc.RpcError, grpc.FutureCancelledError)

# Seconds that a probe may take: it is to find out soon, and to hold up no fork and no end of the process.
PROBE_TIMEOUT = 1.0

# Seconds between two looks whether the last call over a transport that is to close has ended.
_CLOSING_POLL = 0.05

_PROBE_KEY = b"\x00django-momento-probe"


class Transport:
    """Momento at one endpoint with one API key; connects at its first call.

    ``generation`` and ``channels`` are those of a transport to the same endpoint that shares its connections.
    """

    def __init__(
        self,
        credential: Credential,
        options: ConnectionOptions,
        breaker: CircuitBreaker,
        generation: int | None = None,
        channels: tuple[Channel, Channel] | None = None,
    ) -> None:
        self.credential = credential
        self._options = options
        self._breaker = breaker
        self._metadata: dict[str, Metadata] = {}
        grpc_configuration = sdk.configuration(options).get_transport_strategy().get_grpc_configuration()
        self.timeout = grpc_configuration.get_deadline().total_seconds()
        self._sdk: Recycled[CacheClient] = Recycled(self._open_cache_client, sdk.close, generation)
        self._cache, self._control = channels or (
            Channel(CACHE, credential, grpc_configuration),
            Channel(CONTROL, credential, grpc_configuration),
        )
        self._batchers = GetBatchers()

    def __repr__(self) -> str:
        return f"<Transport to {self.credential.endpoint}>"

    def with_credential(self, credential: Credential) -> Transport:
        """Return a transport to the same endpoint with another API key, over the same connections.

        Over TLS the SDK's new client makes a connection of its own. In plaintext, as to a local server, it
        shares the old client's, for as long as that lasts: see ``warm_up``.
        """
        return Transport(
            credential, self._options, self._breaker, self._sdk.generation, (self._cache, self._control)
        )

    def reconnected(self) -> Transport:
        """Return a transport to the same endpoint with the same API key and new connections."""
        return Transport(self.credential, self._options, self._breaker)

    def call(self, cache: str, request: Request) -> Any:
        """Send a request and wait for its response on this thread.

        Raises MomentoCacheError, or PartialFailure if some of a list of calls failed.
        """
        if type(request) is list:
            return self._call_all(cache, request)
        passage = gate.enter(self)
        started = monotonic()
        try:
            through_sdk = sdk.CALLS.get(type(request))
            if through_sdk is not None:
                response = through_sdk(self._sdk.get(), cache, request)
            else:
                assert isinstance(request, Call)  # noqa: S101 - for mypy
                response = self._channel(request).call(self._metadata_of(cache), request)
        except TRANSPORT_ERRORS as error:
            passage.leave()
            raise self._map_error(cache, request, error, started) from error
        except BaseException:
            passage.leave()
            raise
        # On the way of a success the passage ends with this frame.
        self._breaker.last_success = started
        return response

    def acall(self, cache: str, request: Request) -> Awaitable[Any]:
        """Return an awaitable of what call() returns, on any event loop.

        Cancelling it cancels the calls in flight.
        """
        if type(request) is Get:
            return self._batchers.get(self, cache).get(request)
        if type(request) is list:
            return self._acall_all(cache, request)
        assert isinstance(request, Call)  # noqa: S101 - for mypy
        return self._acall_one(cache, request)

    async def _acall_one(self, cache: str, request: Call[Any]) -> Any:
        started = monotonic()
        pending = self.start(cache, request)
        await wait_for((pending,))
        return self.finish(cache, request, pending, started)

    def start(self, cache: str, call: Call[Any]) -> PendingCall:
        """Send a call without waiting; ``finish`` returns its result once it is done.

        The call is in flight until then, on whichever thread: the task that waits for it may run on the very
        thread that wants to fork. Raises MomentoCacheError if it cannot be sent.
        """
        passage = gate.enter(self)
        started = monotonic()
        try:
            channel = self._control if call.control else self._cache
            metadata = self._metadata.get(cache) or self._metadata_of(cache)
            pending = channel.start_async(metadata, call)
        except TRANSPORT_ERRORS as error:
            passage.leave()
            raise self._map_error(cache, call, error, started) from error
        except BaseException:
            passage.leave()
            raise
        pending.add_done_callback(passage.leave)
        return pending

    def finish(self, cache: str, call: Call[Any], pending: Any, started: float) -> Any:
        """Return the result of a call that was sent; blocks if it is not done. Raises MomentoCacheError.

        ``started`` is the time when it was sent, by ``clock.monotonic``.
        """
        try:
            result = call.answer(pending.result(), (self._control if call.control else self._cache).pb)
        except TRANSPORT_ERRORS as error:
            raise self._map_error(cache, call, error, started) from error
        self._breaker.last_success = started
        return result

    def warm_up(self, cache: str) -> None:
        """Make the SDK's client connect and use its API key once. Raises MomentoCacheError."""
        self.call(cache, Get(_PROBE_KEY))

    def probe(self, cache: str) -> None:
        """Ask Momento, over a channel of our own, for what any API key may ask. Raises MomentoCacheError."""
        timeout = min(self.timeout, PROBE_TIMEOUT)
        call = KeysExist((_PROBE_KEY,))
        with gate.enter(self):
            try:
                self._cache.call(self._metadata_of(cache), call, timeout)
            except TRANSPORT_ERRORS as error:
                raise self._error_for(cache, call, error) from error

    def close(self, successor: Transport | None = None) -> None:
        """Close the connections after the last call over them, except those that a successor shares."""
        closer = threading.Thread(
            target=self._close_when_idle, args=(successor,), name="momento-close", daemon=True
        )
        try:
            closer.start()
        except RuntimeError:  # the process may have no more threads, or be about to end
            self._close(successor)

    def _close_when_idle(self, successor: Transport | None) -> None:
        # A call ends within its timeout, streams and the SDK's own time included within twice that.
        until = monotonic() + 2 * self.timeout
        time.sleep(_CLOSING_POLL)  # For a call that has this transport already and is not sent yet.
        while gate.has_calls_of(self) and monotonic() < until:
            time.sleep(_CLOSING_POLL)
        self._close(successor)

    def _close(self, successor: Transport | None) -> None:
        self._sdk.close()
        if successor is None or successor._cache is not self._cache:  # noqa: SLF001
            self._cache.close()
            self._control.close()

    def _call_all(self, cache: str, calls: list[Call[Any]]) -> list[Any]:
        outcomes = []
        with gate.enter(self):
            started = monotonic()
            sent = [self._start_for_this_thread(cache, call) for call in calls]
            for call, pending in zip(calls, sent, strict=True):
                outcomes.append(self._outcome(cache, call, pending, started))
        return _all_or_partial_failure(outcomes)

    async def _acall_all(self, cache: str, calls: list[Call[Any]]) -> list[Any]:
        started = monotonic()
        sent: list[Any] = []
        for call in calls:
            try:
                sent.append(self.start(cache, call))
            except MomentoCacheError as error:
                sent.append(error)
        await wait_for([pending for pending in sent if not isinstance(pending, MomentoCacheError)])
        outcomes = [
            self._outcome(cache, call, pending, started) for call, pending in zip(calls, sent, strict=True)
        ]
        return _all_or_partial_failure(outcomes)

    def _start_for_this_thread(self, cache: str, call: Call[Any]) -> Any:
        """Return a call that was sent, or the error that it could not be sent for."""
        started = monotonic()
        try:
            return self._channel(call).start(self._metadata_of(cache), call)
        except TRANSPORT_ERRORS as error:
            failure = self._map_error(cache, call, error, started)
            failure.__cause__ = error
            return failure

    def _outcome(self, cache: str, call: Call[Any], pending: Any, started: float) -> Any:
        """Return the result of a call that was sent with others, or its error."""
        if isinstance(pending, MomentoCacheError):
            return pending
        try:
            return self.finish(cache, call, pending, started)
        except MomentoCacheError as error:
            return error

    def _map_error(self, cache: str, request: Any, error: Exception, started: float) -> MomentoCacheError:
        """Return our exception for one of TRANSPORT_ERRORS, after the breaker heard of it."""
        failure = self._error_for(cache, request, error)
        self._breaker.record_failure(failure, started)
        return failure

    def _error_for(self, cache: str, request: Any, error: Exception) -> MomentoCacheError:
        # Without its traceback: the frames of the SDK and of gRPC that it names keep the error itself, and
        # with it the connection, until the next garbage collection.
        error.__traceback__ = None
        if isinstance(error, grpc.FutureCancelledError):
            return self._error_for_status(cache, request, "CANCELLED", "the connection was closed", None)
        if isinstance(error, grpc.RpcError):
            return self._error_for_status(
                cache, request, error.code().name, error.details(), error.trailing_metadata()
            )
        assert isinstance(error, SdkException)  # noqa: S101 - for mypy: the third of TRANSPORT_ERRORS
        if error.transport_details is None:
            # It failed inside the SDK, before anything was sent.
            kind = InvalidArgument if isinstance(error, InvalidArgumentException) else ServerError
            return kind(f"Momento's SDK refused the call: {error.message}.")
        details = error.transport_details.grpc
        return self._error_for_status(cache, request, details.code.name, details.details, details.metadata)

    def _error_for_status(
        self, cache: str, request: Any, status: str, details: str | None, metadata: Any
    ) -> MomentoCacheError:
        sent = Sent(
            rpc=getattr(request, "rpc", type(request).__name__),
            cache=cache,
            endpoint=self.credential.endpoint,
            source=self.credential.source,
            timeout=self.timeout,
        )
        return sent.failed(status, details or "", dict(metadata or ()).get("err"))

    def _open_cache_client(self, generation: int) -> CacheClient:
        return sdk.cache_client(self.credential, sdk.configuration(self._options, generation))

    def _channel(self, call: Call[Any]) -> Channel:
        return self._control if call.control else self._cache

    def _metadata_of(self, cache: str) -> Metadata:
        metadata = self._metadata.get(cache)
        if metadata is None:
            metadata = self._metadata[cache] = (
                ("cache", cache),
                ("authorization", self.credential.api_key),
                ("read-concern", self._options.read_concern),
            )
        return metadata


def _all_or_partial_failure(outcomes: list[Any]) -> list[Any]:
    if any(isinstance(outcome, MomentoCacheError) for outcome in outcomes):
        raise PartialFailure(outcomes)
    return outcomes
