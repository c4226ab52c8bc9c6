"""One client of Momento: runs operations, over a transport that it replaces while calls are in flight.

The transport is replaced by one with another key or endpoint after a rotation, and by one with new
connections after an outage. How a request is sent again after a failure is the policy in ``retry``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..clock import monotonic, wall
from ..conf.options import ConnectionOptions
from ..credentials import credential as credentials
from ..credentials.credential import Credential
from ..exceptions import (
    AuthenticationFailed,
    CacheNotFound,
    MomentoCacheError,
    NotPermitted,
    ServerError,
    TransportError,
)
from ..interruption import hidden_interruption
from .breaker import Breakers
from .calls import WARM_UP, Operation, Request, Wait
from .connecting import connect
from .fork_gate import gate
from .interrupts import release_interrupted_locks
from .loading import load_transport
from .metering import BackgroundRequests, Tally
from .recovery import Recovery
from .retry import Effect, PartialFailure, Policy, Sent, arun_policy, recover, run_policy
from .rotation import Rotation
from .shared_lock import shared_lock

if TYPE_CHECKING:
    from momento import CacheClient, CredentialProvider

    from .transport import Transport

T = TypeVar("T")

# Errors of an API key that is good for another endpoint, another account or other caches. So are those of a
# dead endpoint: see ``Recovery``.
_SUSPICIOUS = (CacheNotFound, NotPermitted)

logger = logging.getLogger("django_momento")


class Client:
    """Momento for any number of caches, threads and event loops, with the API key that the options name.

    It fetches the key and connects at its first call.
    """

    # The memory beside this client, which ``policies.near`` puts here when an alias or a memo needs one.
    memory: Any = None

    def __init__(self, options: ConnectionOptions) -> None:
        self._options = options
        self._transport: Transport | None = None
        self._breakers = Breakers()
        self._background = BackgroundRequests()
        # Tells a fetch that began before a close() that its key is not wanted any more.
        self._epoch = object()
        self._rotation = Rotation(
            lambda refresh: credentials.fetch(options, refresh),
            partial(self._use_credential, self._epoch),
            credentials.version_reader(options),
            f"CREDENTIALS={options.credentials!r}",
        )
        self._recovery = Recovery(
            self._breakers,
            lambda: self.transport,
            self._replace_transport,
            self._rotation.refresh_in_background,
            self._background,
        )
        self._replacing = threading.RLock()

    def __repr__(self) -> str:
        where = "not connected" if self._transport is None else f"to {self._transport.credential.endpoint}"
        return f"<Client {where}, key from {self._options.credentials}>"

    @property
    def transport(self) -> Transport:
        """The transport in use. Raises ServerError if the client was closed while a call was made."""
        transport = self._transport
        if transport is None:
            raise ServerError("This client of Momento was closed during the call.", "Repeat the call.")
        return transport

    @property
    def current(self) -> Transport | None:
        """The transport in use, or None before the first call and after close()."""
        return self._transport

    @property
    def credential(self) -> Credential | None:
        """The credential in use, or None before the first fetch. It says where the key came from."""
        return None if self._transport is None else self._transport.credential

    @property
    def timeout(self) -> float:
        """The deadline of a call, in seconds. There is none before the first call."""
        return self.transport.timeout

    @property
    def counts(self) -> dict[str, int]:
        """How often the breaker opened and the key was replaced, and the requests that no cache call made."""
        return {
            "circuit_openings": self._breakers.openings,
            "keys_replaced": self._rotation.replaced,
            "background_requests": self._background.requests,
            "background_operations": self._background.operations,
        }

    @property
    def is_fetching_key(self) -> bool:
        """Whether a fetch of the API key is going on."""
        return self._rotation.is_fetching

    @property
    def is_circuit_open(self) -> bool:
        """Whether the circuit breaker of one of the connections is open."""
        return self._breakers.is_open

    def get_credential(self) -> Credential:
        """Return the credential in use, fetched if there is none.

        Raises CredentialError. An earlier fetch that failed is not waited for: the key is fetched at once.
        """
        if self._transport is None:
            self._rotation.refresh("", is_first=True, is_urgent=True)
        return self.transport.credential

    async def aget_credential(self) -> Credential:
        """See get_credential()."""
        if self._transport is None:
            await self._rotation.arefresh("", is_first=True, is_urgent=True)
        return self.transport.credential

    def run(self, cache: str, operation: Operation[T], tally: Tally | None = None) -> T:
        """Run an operation on the cache of that name and return its result.

        Adds the cost of each request to the tally, if there is one.
        Raises MomentoCacheError, or whatever the operation makes of one.
        """
        if shared_lock.is_owned():  # by this thread, whose call of gRPC the handler of a signal interrupted
            with shared_lock.given_away():
                return self.run(cache, operation, tally)
        try:
            request = next(operation)
            while True:
                try:
                    if isinstance(request, Wait):
                        response = request.run()
                    else:
                        transport = self._transport
                        if (
                            transport is None
                            or self._breakers.is_open
                            or wall() >= self._rotation.due_at
                            or not getattr(request, "retryable", True)
                        ):
                            transport = run_policy(self._prepare(cache, request))
                        started = monotonic()
                        try:
                            response = transport.call(cache, request, tally)
                        except (MomentoCacheError, PartialFailure) as failure:
                            sent = Sent(transport, started, failure, tally)
                            response = run_policy(recover(self, cache, request, sent))
                except MomentoCacheError as error:
                    request = operation.throw(error)
                else:
                    if tally is not None:
                        tally.record_lookup(request, response)
                    request = operation.send(response)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        except _SUSPICIOUS:
            self._rotation.refresh_in_background(cache)
            raise
        except BaseException as error:
            # From a signal's handler, perhaps, which interrupted a lock of any library.
            release_interrupted_locks(error)
            operation.close()  # Not with the last reference: whoever keeps the traceback has one.
            if (interruption := hidden_interruption(error)) is not None:
                raise interruption from None
            raise

    async def arun(self, cache: str, operation: Operation[T], tally: Tally | None = None) -> T:
        """See run(). Works on any number of event loops; cancelling the task cancels its calls in flight."""
        try:
            request = next(operation)
            while True:
                try:
                    if isinstance(request, Wait):
                        response = await request.arun()
                    else:
                        transport = self._transport
                        if (
                            transport is None
                            or self._breakers.is_open
                            or wall() >= self._rotation.due_at
                            or not getattr(request, "retryable", True)
                        ):
                            transport = await arun_policy(self._prepare(cache, request))
                        started = monotonic()
                        try:
                            response = await transport.acall(cache, request, tally)
                        except (MomentoCacheError, PartialFailure) as failure:
                            sent = Sent(transport, started, failure, tally)
                            response = await arun_policy(recover(self, cache, request, sent))
                except MomentoCacheError as error:
                    request = operation.throw(error)
                else:
                    if tally is not None:
                        tally.record_lookup(request, response)
                    request = operation.send(response)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        except _SUSPICIOUS:
            self._rotation.refresh_in_background(cache)
            raise
        except BaseException:
            operation.close()
            raise

    def run_in_background(self, cache: str, operation: Operation[T]) -> T:
        """See run(). The requests belong to no cache call, and are counted apart."""
        tally = Tally()
        try:
            return self.run(cache, operation, tally)
        finally:
            self._background.add(tally)

    def refresh(self, cache: str) -> Effect:
        """Return the effect that fetches the API key again, for one that Momento refused."""
        return _Refresh(self._rotation, cache)

    def get_cache_client(self, cache: str) -> CacheClient:
        """Return the SDK's client in use. Fetch the API key if there is none, or if it is due.

        ``cache`` is the name of a cache that the key is for. Raises CredentialError.
        """
        return self._get_transport(cache).cache_client

    def get_credential_provider(self, cache: str) -> CredentialProvider:
        """Return the SDK's form of the API key in use. See get_cache_client()."""
        return self._get_transport(cache).credential_provider

    def _get_transport(self, cache: str) -> Transport:
        if self._transport is None:
            self._rotation.refresh(cache, is_first=True, is_urgent=True)
        if wall() >= self._rotation.due_at:
            self._rotation.refresh_if_due(cache)
        return self.transport

    def close(self, wait: bool = False) -> None:
        """Close the connections after the last call on them. A later call connects anew.

        If ``wait``, return when they are closed.
        """
        with self._replacing:
            transport = self._transport
            recovery = self._recovery
            self.forget()
        recovery.close()
        closer = None if transport is None else transport.close()
        if wait and closer is not None:
            closer.join()

    def forget(self) -> None:
        """Start anew without closing anything: in a forked child the connections are the parent's."""
        self.__init__(self._options)  # type: ignore[misc]  # this very class: nothing subclasses it

    def _prepare(self, cache: str, request: Request) -> Policy:
        """Return a transport to send over, with a key. Raises CredentialError or CircuitOpen."""
        if self._transport is None:
            yield _Refresh(self._rotation, cache, is_first=True)
        if wall() >= self._rotation.due_at:
            self._rotation.refresh_if_due(cache)
        if self._breakers.is_open:
            yield _CheckBreaker(self._recovery, self.transport, cache, request)
        if not getattr(request, "retryable", True):
            yield from connect(self, self.transport, cache, request, self._background)
        return self.transport

    def _use_credential(self, epoch: object, credential: Credential, cache: str) -> bool:
        """Put a credential that was fetched to use; return whether it replaced another key."""
        # Loaded here: the SDK and gRPC cost a fifth of a second that no import should pay.
        transport_class = load_transport()
        with gate.enter():
            old = self._transport
            if epoch is not self._epoch:
                return False
            if old is None:
                self._transport = transport_class(credential, self._options, self._breakers)
                return False
            is_same_place = credential.same_place(old.credential)
            if is_same_place and credential.same_key(old.credential):
                old.credential = credential
                return False
            if is_same_place:
                fresh = old.with_credential(credential)
            else:
                fresh = transport_class(credential, self._options, self._breakers)
            # Its first call is made here, while the old one still holds the connection that they may share.
            try:
                self._warm_up(fresh, cache)
            except (*_SUSPICIOUS, AuthenticationFailed, TransportError) as error:
                # An outage of the endpoint in use says nothing of the new key.
                if not (is_same_place and isinstance(error, TransportError)):
                    fresh.close(old)
                    raise
            except MomentoCacheError as error:
                failure = str(error)
                self._log_afterwards(logger.debug, "The first call with the new API key failed: %s", failure)
            else:
                self._breakers.close(monotonic())
        self._replace_transport(old, fresh)
        self._log_afterwards(logger.info, "The API key of Momento was replaced: %s.", credential.source)
        return True

    def _warm_up(self, transport: Transport, cache: str) -> None:
        """Use a new API key once, and count the request. Raises MomentoCacheError."""
        self._background.record_sent()
        failure: BaseException | None = None
        try:
            transport.warm_up(cache)
        except BaseException as error:
            failure = error
            raise
        finally:
            self._background.record_end(WARM_UP, failure, transport.read_concern)

    def _log_afterwards(self, log: Callable[..., None], *message: str) -> None:
        self._rotation.log_afterwards(lambda: log(*message))

    def _replace_transport(self, old: Transport, fresh: Transport) -> None:
        with self._replacing:
            is_in_use = self._transport is old
            if is_in_use:
                self._transport = fresh
        (old if is_in_use else fresh).close(fresh if is_in_use else old)


class _CheckBreaker:
    """Raises CircuitOpen if the connection that a request goes over has failed."""

    def __init__(self, recovery: Recovery, transport: Transport, cache: str, request: Request) -> None:
        self._recovery = recovery
        self._transport = transport
        self._cache = cache
        self._request = request

    def run(self) -> None:
        self._recovery.check(self._transport.breaker_of(self._request), self._cache)

    async def arun(self) -> None:
        await self._recovery.acheck(self._transport.async_breaker_of(self._request), self._cache)


class _Refresh:
    """Fetches the API key for the first time, or again."""

    def __init__(self, rotation: Rotation, cache: str, is_first: bool = False) -> None:
        self._rotation = rotation
        self._cache = cache
        self._is_first = is_first

    def run(self) -> None:
        self._rotation.refresh(self._cache, is_first=self._is_first)

    async def arun(self) -> None:
        await self._rotation.arefresh(self._cache, is_first=self._is_first)
