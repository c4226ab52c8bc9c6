"""Our own gRPC channels, for the calls that the SDK lacks, for several at once, and for async.

Made at their first call, from the same values as the SDK's: endpoint, key, deadline, keepalive, certificates.
A call that fails raises ``grpc.RpcError``, which ``client`` turns into ours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc
import grpc.experimental
from momento.config.transport.grpc_configuration import GrpcConfiguration
from momento_wire_types import (
    cacheclient_pb2,
    cacheclient_pb2_grpc,
    controlclient_pb2,
    controlclient_pb2_grpc,
)

from .credentials import Credential
from .endpoint import TLS_PORT, Endpoint
from .wire import CALLS, MAX_MESSAGE_BYTES, Call

T = TypeVar("T")

# gRPC's own pause between attempts to connect grows to two minutes: too long for a cache that is back.
_LONGEST_RECONNECT_PAUSE_MS = 2000

# Threads that read answers which are streams, for async calls only; started as they are needed.
_READERS = 32


class Service(NamedTuple):
    """One of Momento's services: its full name, its messages, its stub."""

    name: str
    pb: Any
    stub: Any


CACHE = Service("cache_client.Scs", cacheclient_pb2, cacheclient_pb2_grpc.ScsStub)
CONTROL = Service("control_client.ScsControl", controlclient_pb2, controlclient_pb2_grpc.ScsControlStub)


def _retry_policy() -> str:
    """Repeat what the SDK repeats, when it does: never a call that counts, never one refused for a limit."""
    repeatable = [{"service": CACHE.name, "method": call.rpc} for call in CALLS if call.repeatable]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "INTERNAL"],
    }
    return json.dumps({"methodConfig": [{"name": repeatable, "retryPolicy": policy}]})


class Future(Protocol):
    """What a call that was sent is: a ``grpc.Future``, or a ``_Reading`` of an answer that is a stream."""

    def result(self) -> Any: ...
    def cancel(self) -> object: ...
    def add_done_callback(self, callback: Callable[[Any], object], /) -> object: ...


class _Reading:
    """A stream that a thread reads, as a future of the list of its messages."""

    def __init__(self, stream: Any, readers: ThreadPoolExecutor) -> None:
        self._stream = stream
        self._messages = readers.submit(list, stream)
        self.result = self._messages.result
        self.add_done_callback = self._messages.add_done_callback

    def cancel(self) -> None:
        self._stream.cancel()


class Channel:
    """One connection to one of Momento's services, for any number of threads, event loops and caches."""

    def __init__(
        self,
        service: Service,
        host: str,
        credential: Credential,
        configuration: GrpcConfiguration,
        read_concern: str,
    ) -> None:
        self._service = service
        self._host = host
        self._credential = credential
        self._configuration = configuration
        self._read_concern = read_concern
        self._timeout = configuration.get_deadline().total_seconds()
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._stub: Any = None
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="momento-reader")

    def ask(self, cache: str, call: Call[T]) -> T:
        """Send a call and wait for its answer on this thread. Raises ``grpc.RpcError``."""
        answer = self._method(call)(
            call.request(self._service.pb), metadata=self._metadata(cache), timeout=self._timeout
        )
        return call.answer(answer, self._service.pb)

    def send(self, cache: str, call: Call[Any]) -> Future:
        """Send a call; answer the future of what ``read`` makes its answer of."""
        started = self.start(cache, call)
        future: Future = _Reading(started, self._readers) if call.streamed else started
        return future

    def start(self, cache: str, call: Call[Any]) -> Any:
        """Send a call without waiting; ``settled`` waits for what this answers."""
        method = self._method(call) if call.streamed else self._method(call).future
        return method(call.request(self._service.pb), metadata=self._metadata(cache), timeout=self._timeout)

    def settled(self, call: Call[Any], started: Any) -> Any:
        """Wait on this thread for what ``read`` makes an answer of. Raises ``grpc.RpcError``."""
        return list(started) if call.streamed else started.result()

    def read(self, call: Call[T], response: Any) -> T:
        """Make a call's answer of the result of its future."""
        return call.answer(response, self._service.pb)

    def close(self) -> None:
        """Close the connection; calls in flight fail."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
        self._readers.shutdown(wait=False)

    def _metadata(self, cache: str) -> tuple[tuple[str, str], ...]:
        return (
            ("cache", cache),
            ("authorization", self._credential.api_key),
            ("read-concern", self._read_concern),
        )

    def _method(self, call: Call[Any]) -> Any:
        return getattr(self._stub or self._connect(), call.rpc)

    def _connect(self) -> Any:
        with self._lock:
            if self._stub is None:
                self._channel = self._open()
                self._stub = self._service.stub(self._channel)
            return self._stub

    def _open(self) -> grpc.Channel:
        port = self._credential.port
        if port != TLS_PORT:
            return grpc.insecure_channel(str(Endpoint(self._host, port)), self._options())
        certificates = self._configuration.get_root_certificates_pem()
        return grpc.secure_channel(self._host, grpc.ssl_channel_credentials(certificates), self._options())

    def _options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.service_config", _retry_policy()),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_PAUSE_MS),
            # Answers that are streams are read on the caller's own thread, at a fifth less of CPU.
            (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
            *self._keepalive(),
        ]

    def _keepalive(self) -> list[tuple[str, Any]]:
        if self._service is CONTROL:
            return []  # As the SDK does: the control plane is seldom used, and pinging it for ever is abuse.
        configuration = self._configuration
        settings = {
            "grpc.keepalive_permit_without_calls": configuration.get_keepalive_permit_without_calls(),
            "grpc.keepalive_time_ms": _milliseconds(configuration.get_keepalive_time()),
            "grpc.keepalive_timeout_ms": _milliseconds(configuration.get_keepalive_timeout()),
        }
        return [(name, value) for name, value in settings.items() if value is not None]


def _milliseconds(duration: Any) -> int | None:
    return None if duration is None else int(duration.total_seconds() * 1000)
