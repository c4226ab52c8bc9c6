"""All connections to Momento with one API key: the SDK's client, and channels of our own.

Which call goes which way is decided here, and what fails is turned from the SDK's or gRPC's exceptions into
ours. Nothing here is repeated, and nothing is decided about what fails.
"""

from __future__ import annotations

from typing import Any

import grpc
from momento import CacheClient
from momento.errors import InvalidArgumentException, SdkException

from ..conf.options import ConnectionOptions
from ..credentials.credential import Credential
from ..exceptions import InvalidArgument, MomentoCacheError, ServerError
from . import sdk
from .calls import Call, Get, KeysExist
from .channel import CACHE, CONTROL, Channel, Future, Metadata
from .errors import Sent
from .line import Line

# What a call can fail with, whichever way it was sent.
FAILURES = (SdkException, grpc.RpcError, grpc.FutureCancelledError)

# Seconds that a probe may take: it is to find out soon, and to hold up no fork and no end of the process.
PROBE_TIMEOUT = 1.0

_PROBE_KEY = b"\x00django-momento-probe"


class Link:
    """Momento at one endpoint with one API key; connects at its first call.

    ``generation`` and ``channels`` are those of a link to the same place whose connections this one shares.
    """

    def __init__(
        self,
        credential: Credential,
        options: ConnectionOptions,
        generation: int | None = None,
        channels: tuple[Channel, Channel] | None = None,
    ) -> None:
        self.credential = credential
        self._options = options
        self._metadata: dict[str, Metadata] = {}
        grpc_configuration = sdk.configuration(options).get_transport_strategy().get_grpc_configuration()
        self.timeout = grpc_configuration.get_deadline().total_seconds()
        self._sdk: Line[CacheClient] = Line(generation)
        self._cache, self._control = channels or (
            Channel(CACHE, credential, grpc_configuration),
            Channel(CONTROL, credential, grpc_configuration),
        )

    def rekeyed(self, credential: Credential) -> Link:
        """Answer a link to the same place with another key, which goes on over these connections.

        Only if there is no TLS, as with a local server, can the SDK's new client share the connection of the
        old, and only while that is there: see ``introduce``.
        """
        return Link(credential, self._options, self._sdk.generation, (self._cache, self._control))

    def renewed(self) -> Link:
        """Answer a link to the same place with the same key and new connections."""
        return Link(self.credential, self._options)

    def ask(self, cache: str, call: Any) -> Any:
        """Send a call and wait for its answer on this thread. Raises one of FAILURES, or ServerError."""
        through_sdk = sdk.CALLS.get(type(call))
        if through_sdk is not None:
            return through_sdk(self._sdk.opened(self._cache_client), cache, call)
        return self._channel(call).ask(self._metadata_of(cache), call)

    def start(self, cache: str, call: Call[Any]) -> Any:
        """Send a call without waiting; ``settled`` waits for what this answers."""
        return self._channel(call).start(self._metadata_of(cache), call)

    def settled(self, call: Call[Any], started: Any) -> Any:
        """Wait on this thread for a call that was started; answer what ``outcome`` reads, or its failure."""
        try:
            return self._channel(call).settled(call, started)
        except FAILURES as error:
            return error

    def send(self, cache: str, call: Call[Any]) -> Future:
        """Send a call; answer the future of what ``read`` makes its answer of."""
        return self._channel(call).send(self._metadata_of(cache), call)

    def read(self, call: Call[Any], future: Future) -> Any:
        """Make a call's answer of its future, which is done. Raises one of FAILURES."""
        return self._channel(call).read(call, future.result())

    def outcome(self, cache: str, call: Call[Any], result: Any) -> Any:
        """Answer what a call that was sent with others came to: its answer, or the error it met."""
        if isinstance(result, FAILURES):
            failure = self.explained(cache, call, result)
            failure.__cause__ = result
            return failure
        try:
            return self._channel(call).read(call, result)
        except MomentoCacheError as error:
            return error

    def introduce(self, cache: str) -> None:
        """Make the SDK's client connect and use its key once. Raises one of FAILURES."""
        self.ask(cache, Get(_PROBE_KEY))

    def probe(self, cache: str) -> None:
        """Ask Momento, on a connection of our own, something that any key may ask. Raises one of FAILURES."""
        timeout = min(self.timeout, PROBE_TIMEOUT)
        self._cache.ask(self._metadata_of(cache), KeysExist((_PROBE_KEY,)), timeout)

    def close(self) -> None:
        """Let go of the connections, which close with the last call on them; further calls are refused."""
        self._sdk.close()
        self._cache.close()
        self._control.close()

    def is_repeated_by_grpc(self, call: Any) -> bool:
        """Answer whether gRPC itself repeats the call, as it does on our own channels."""
        return type(call) not in sdk.CALLS

    def explained(self, cache: str, asked: Any, error: Exception) -> MomentoCacheError:
        """Answer our exception for one of FAILURES, which loses its traceback.

        The frames of the SDK and of gRPC that it names keep the error itself, and with it the connection,
        until the next garbage collection.
        """
        error.__traceback__ = None
        if isinstance(error, grpc.FutureCancelledError):
            return self._status(cache, asked, "CANCELLED", "the connection was closed", None)
        if isinstance(error, grpc.RpcError):
            return self._status(cache, asked, error.code().name, error.details(), error.trailing_metadata())
        assert isinstance(error, SdkException)  # noqa: S101 - for mypy: the third of FAILURES
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

    def _cache_client(self, generation: int) -> CacheClient:
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
