"""One client of Momento: drives an operation's steps, sends each call, and maps what fails to our exceptions.

A call goes through the SDK's ``CacheClient`` where that has it, and over our own channel otherwise. Knows
neither Django nor AWS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from momento.errors import InvalidArgumentException, SdkException

from . import sdk
from .channel import Channel
from .credentials import Credential
from .exceptions import InvalidArgument, MomentoCacheError, ServerError
from .failures import Sent
from .options import ConnectionOptions
from .wire import Asked, Call, Steps

T = TypeVar("T")


class MomentoClient:
    """Momento at one endpoint with one API key, for any number of caches and threads.

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
        self._channel = Channel(credential, grpc_configuration, options.read_concern)

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
            return done.value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections: calls in flight fail, and later ones are refused."""
        if not self._closed:
            self._closed = True
            self._sdk.__exit__(None, None, None)
            self._channel.close()

    def _send(self, cache: str, asked: Asked) -> Any:
        if self._closed:
            # grpc does not only fail a call on a closed channel, it may crash the process.
            raise ServerError("This client of Momento is closed.")
        if isinstance(asked, list):
            return self._send_together(cache, asked)
        through_sdk = sdk.CALLS.get(type(asked))
        if through_sdk is not None:
            return self._answered(cache, asked, lambda: through_sdk(self._sdk, cache, asked))
        assert isinstance(asked, Call)  # noqa: S101 - control calls are all the SDK's
        return self._answered(cache, asked, self._channel.start(cache, asked))

    def _send_together(self, cache: str, calls: list[Call[Any]]) -> list[Any]:
        waits = [self._channel.start(cache, call) for call in calls]
        return [self._outcome(cache, call, wait) for call, wait in zip(calls, waits, strict=True)]

    def _outcome(self, cache: str, call: Call[Any], wait: Callable[[], Any]) -> Any:
        try:
            return self._answered(cache, call, wait)
        except MomentoCacheError as error:
            return error

    def _answered(self, cache: str, asked: Any, wait: Callable[[], Any]) -> Any:
        try:
            return wait()
        except SdkException as error:
            raise self._sdk_failure(cache, asked, error) from error
        except grpc.RpcError as error:
            raise self._failure(
                cache, asked, error.code(), error.details(), error.trailing_metadata()
            ) from error

    def _sdk_failure(self, cache: str, asked: Any, error: SdkException) -> MomentoCacheError:
        if error.transport_details is None:
            # It failed inside the SDK, before anything was sent.
            kind = InvalidArgument if isinstance(error, InvalidArgumentException) else ServerError
            return kind(f"Momento's SDK refused the call: {error.message}.")
        details = error.transport_details.grpc
        return self._failure(cache, asked, details.code, details.details, details.metadata)

    def _failure(
        self, cache: str, asked: Any, status: grpc.StatusCode, details: str | None, metadata: Any
    ) -> MomentoCacheError:
        sent = Sent(
            rpc=getattr(asked, "rpc", type(asked).__name__),
            cache=cache,
            endpoint=self.credential.endpoint,
            source=self.credential.source,
            timeout=self.timeout,
        )
        return sent.failed(status.name, details or "", dict(metadata or ()).get("err"))
