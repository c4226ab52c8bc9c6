"""Our own gRPC channels, for the calls that the SDK lacks, for several at once, and for async.

Made at their first call, from the same values as the SDK's: endpoint, deadline, keepalive, certificates. The
API key comes with each call, so a new one needs no new connection. A call that fails raises
``grpc.RpcError``, which ``client`` turns into ours.
"""

from __future__ import annotations

import json
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

from ..credentials.credential import Credential
from ..endpoint import TLS_PORT, Endpoint
from .calls import CALLS, MAX_MESSAGE_BYTES, Call
from .line import Line

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]

# gRPC's own pause between attempts to connect grows to two minutes: too long for a cache that is back.
_LONGEST_RECONNECT_PAUSE_MS = 2000

# Momento's SDKs repeat what ended so, and nothing else.
RETRYABLE_STATUSES = ["UNAVAILABLE", "INTERNAL"]

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
    retryable = [{"service": CACHE.name, "method": call.rpc} for call in CALLS if call.retryable]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": RETRYABLE_STATUSES,
    }
    return json.dumps({"methodConfig": [{"name": retryable, "retryPolicy": policy}]})


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

    def __init__(self, service: Service, credential: Credential, configuration: GrpcConfiguration) -> None:
        self._service = service
        self._host = credential.control_host if service is CONTROL else credential.cache_host
        self._port = credential.port
        self._configuration = configuration
        self._timeout = configuration.get_deadline().total_seconds()
        self._line: Line[Any] = Line()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="momento-reader")

    def ask(self, metadata: Metadata, call: Call[T], timeout: float | None = None) -> T:
        """Send a call and wait for its answer on this thread. Raises ``grpc.RpcError``.

        ``timeout`` is in seconds, and the configuration's if there is none.
        """
        pb = self._service.pb
        method = getattr(self._line.opened(self._stub), call.rpc)
        return call.answer(method(call.request(pb), metadata=metadata, timeout=timeout or self._timeout), pb)

    def send(self, metadata: Metadata, call: Call[Any]) -> Future:
        """Send a call; answer the future of what ``read`` makes its answer of."""
        started = self.start(metadata, call)
        future: Future = _Reading(started, self._readers) if call.streamed else started
        return future

    def start(self, metadata: Metadata, call: Call[Any]) -> Any:
        """Send a call without waiting; ``settled`` waits for what this answers."""
        method = getattr(self._line.opened(self._stub), call.rpc)
        if not call.streamed:
            method = method.future
        return method(call.request(self._service.pb), metadata=metadata, timeout=self._timeout)

    def settled(self, call: Call[Any], started: Any) -> Any:
        """Wait on this thread for what ``read`` makes an answer of. Raises ``grpc.RpcError``."""
        return list(started) if call.streamed else started.result()

    def read(self, call: Call[T], response: Any) -> T:
        """Make a call's answer of the result of its future."""
        return call.answer(response, self._service.pb)

    def close(self) -> None:
        """Let go of the connection, which closes with the last call on it; further calls are refused."""
        self._line.close()
        self._readers.shutdown(wait=False)

    def _stub(self, generation: int) -> Any:
        return self._service.stub(self._open(generation))

    def _open(self, generation: int) -> grpc.Channel:
        options = self._options(generation)
        if self._port != TLS_PORT:
            return grpc.insecure_channel(str(Endpoint(self._host, self._port)), options)
        certificates = self._configuration.get_root_certificates_pem()
        return grpc.secure_channel(self._host, grpc.ssl_channel_credentials(certificates), options)

    def _options(self, generation: int) -> list[tuple[str, Any]]:
        return [
            ("django_momento.generation", generation),
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
