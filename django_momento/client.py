"""One client of Momento: drives an operation's steps, sends each call, and maps what fails to our exceptions.

A sync call goes through the SDK's ``CacheClient`` where that has it; every other, and all of async, over our
own channels. Knows neither Django nor AWS.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import grpc
from momento.errors import InvalidArgumentException, SdkException

from . import sdk
from .bridge import awaited
from .channel import CACHE, CONTROL, Channel, Future
from .credentials import Credential
from .exceptions import InvalidArgument, MomentoCacheError, ServerError
from .failures import Sent
from .fork_gate import gate
from .options import ConnectionOptions
from .wire import Asked, Call, CreateCache, Steps

T = TypeVar("T")

# What a call can fail with, whichever way it was sent.
_FAILURES = (SdkException, grpc.RpcError, grpc.FutureCancelledError)


class MomentoClient:
    """Momento at one endpoint with one API key, for any number of caches, threads and event loops.

    It connects at its first call. ``credential`` says where the key came from; ``timeout`` is the deadline
    of a call in seconds.
    """

    def __init__(self, credential: Credential, options: ConnectionOptions) -> None:
        configuration = sdk.configuration(options)
        grpc_configuration = configuration.get_transport_strategy().get_grpc_configuration()
        self.credential = credential
        self.timeout = grpc_configuration.get_deadline().total_seconds()
        self._closed = False
        self._sdk = sdk.cache_client(credential, configuration)
        common = (credential, grpc_configuration, options.read_concern)
        self._cache_channel = Channel(CACHE, credential.cache_host, *common)
        self._control_channel = Channel(CONTROL, credential.control_host, *common)

    def run(self, cache: str, steps: Steps[T]) -> T:
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

    async def arun(self, cache: str, steps: Steps[T]) -> T:
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
        """Close the connections: calls in flight fail, and later ones are refused."""
        if not self._closed:
            self._closed = True
            self._sdk.__exit__(None, None, None)
            self._cache_channel.close()
            self._control_channel.close()

    def _send(self, cache: str, asked: Asked) -> Any:
        self._refuse_if_closed()
        with gate:
            if not isinstance(asked, list):
                return self._ask(cache, asked)
            started = [self._channel(call).start(cache, call) for call in asked]
            settled = [self._settled(call, sent) for call, sent in zip(asked, started, strict=True)]
        return [self._outcome(cache, call, result) for call, result in zip(asked, settled, strict=True)]

    def _settled(self, call: Call[Any], started: Any) -> Any:
        try:
            return self._channel(call).settled(call, started)
        except _FAILURES as error:
            return error

    def _ask(self, cache: str, asked: Call[Any] | CreateCache) -> Any:
        through_sdk = sdk.CALLS.get(type(asked))
        try:
            if through_sdk is not None:
                return through_sdk(self._sdk, cache, asked)
            assert isinstance(asked, Call)  # noqa: S101 - for mypy: the SDK has the others
            return self._channel(asked).ask(cache, asked)
        except _FAILURES as error:
            raise self._failure(cache, asked, error) from error

    async def _asend(self, cache: str, asked: Asked) -> Any:
        self._refuse_if_closed()
        if isinstance(asked, list):
            waiters = [awaited(self._started(cache, call)) for call in asked]
            settled = await asyncio.gather(*waiters, return_exceptions=True)
            return [self._outcome(cache, call, result) for call, result in zip(asked, settled, strict=True)]
        assert isinstance(asked, Call)  # noqa: S101 - for mypy: no async verb creates a cache
        try:
            response = await awaited(self._started(cache, asked))
        except _FAILURES as error:
            raise self._failure(cache, asked, error) from error
        return self._channel(asked).read(asked, response)

    def _started(self, cache: str, call: Call[Any]) -> Future:
        # In flight until its future is done, on whichever thread that is: the task that waits for it may run
        # on the very thread that wants to fork.
        gate.enter()
        try:
            future = self._channel(call).send(cache, call)
        except BaseException:
            gate.leave()
            raise
        future.add_done_callback(gate.leave)
        return future

    def _outcome(self, cache: str, call: Call[Any], result: Any) -> Any:
        """Answer what a call that was sent with others came to: its answer, or the error it met."""
        if isinstance(result, _FAILURES):
            failure = self._failure(cache, call, result)
            failure.__cause__ = result
            return failure
        try:
            return self._channel(call).read(call, result)
        except MomentoCacheError as error:
            return error

    def _channel(self, call: Call[Any]) -> Channel:
        return self._control_channel if call.control else self._cache_channel

    def _refuse_if_closed(self) -> None:
        if self._closed:
            # grpc does not only fail a call on a closed channel: it may crash the process.
            raise ServerError("This client of Momento is closed.")

    def _failure(self, cache: str, asked: Any, error: Exception) -> MomentoCacheError:
        if isinstance(error, grpc.FutureCancelledError):
            return self._status(cache, asked, "CANCELLED", "the connection was closed", None)
        if isinstance(error, grpc.RpcError):
            return self._status(cache, asked, error.code().name, error.details(), error.trailing_metadata())
        assert isinstance(error, SdkException)  # noqa: S101 - for mypy: the third of _FAILURES
        if error.transport_details is None:
            # It failed inside the SDK, before anything was sent.
            kind = InvalidArgument if isinstance(error, InvalidArgumentException) else ServerError
            return kind(f"Momento's SDK refused the call: {error.message}.")
        details = error.transport_details.grpc
        return self._status(cache, asked, details.code.name, details.details, details.metadata)

    def _status(
        self, cache: str, asked: Any, status: str, details: str | None, metadata: Any
    ) -> MomentoCacheError:
        sent = Sent(
            rpc=getattr(asked, "rpc", type(asked).__name__),
            cache=cache,
            endpoint=self.credential.endpoint,
            source=self.credential.source,
            timeout=self.timeout,
        )
        return sent.failed(status, details or "", dict(metadata or ()).get("err"))
