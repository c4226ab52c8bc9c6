"""Our own gRPC channel, for the calls that the SDK lacks and for sending several at once.

Made at its first call, from the same values as the SDK's: endpoint, key, deadline, keepalive, certificates.
A call that fails raises ``grpc.RpcError``, which ``client`` turns into ours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import grpc.experimental
from momento.config.transport.grpc_configuration import GrpcConfiguration
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cacheclient_pb2_grpc as pb_grpc

from .credentials import Credential
from .endpoint import TLS_PORT
from .wire import CALLS, MAX_MESSAGE_BYTES, Call

T = TypeVar("T")

_SERVICE = "cache_client.Scs"

# gRPC's own pause between attempts to connect grows to two minutes: too long for a cache that is back.
_LONGEST_RECONNECT_PAUSE_MS = 2000


def _retry_policy() -> str:
    """Repeat what the SDK repeats, when it does: never a call that counts, never one refused for a limit."""
    repeatable = [{"service": _SERVICE, "method": call.rpc} for call in CALLS if call.repeatable]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "INTERNAL"],
    }
    return json.dumps({"methodConfig": [{"name": repeatable, "retryPolicy": policy}]})


class Channel:
    """One connection to one endpoint, for any number of threads and caches."""

    def __init__(self, credential: Credential, configuration: GrpcConfiguration, read_concern: str) -> None:
        self._credential = credential
        self._configuration = configuration
        self._read_concern = read_concern
        self._timeout = configuration.get_deadline().total_seconds()
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._stub: Any = None

    def start(self, cache: str, call: Call[T]) -> Callable[[], T]:
        """Send a call; answer a function that waits for its answer, or raises ``grpc.RpcError``."""
        method = getattr(self._stub or self._connect(), call.rpc)
        request = call.request(pb)
        metadata = self._metadata(cache)
        if call.streamed:
            stream = method(request, metadata=metadata, timeout=self._timeout)
            return lambda: call.answer(stream, pb)
        future = method.future(request, metadata=metadata, timeout=self._timeout)
        return lambda: call.answer(future.result(), pb)

    def close(self) -> None:
        with self._lock:
            if self._channel is not None:
                self._channel.close()

    def _metadata(self, cache: str) -> tuple[tuple[str, str], ...]:
        return (
            ("cache", cache),
            ("authorization", self._credential.api_key),
            ("read-concern", self._read_concern),
        )

    def _connect(self) -> Any:
        with self._lock:
            if self._stub is None:
                self._channel = self._open()
                self._stub = pb_grpc.ScsStub(self._channel)  # type: ignore[no-untyped-call]
            return self._stub

    def _open(self) -> grpc.Channel:
        host, port = self._credential.cache_host, self._credential.port
        if port != TLS_PORT:
            return grpc.insecure_channel(self._credential.endpoint, self._options())
        certificates = self._configuration.get_root_certificates_pem()
        return grpc.secure_channel(host, grpc.ssl_channel_credentials(certificates), self._options())

    def _options(self) -> list[tuple[str, Any]]:
        configuration = self._configuration
        keepalive = {
            "grpc.keepalive_permit_without_calls": configuration.get_keepalive_permit_without_calls(),
            "grpc.keepalive_time_ms": _milliseconds(configuration.get_keepalive_time()),
            "grpc.keepalive_timeout_ms": _milliseconds(configuration.get_keepalive_timeout()),
        }
        return [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.service_config", _retry_policy()),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_PAUSE_MS),
            # Answers that are streams are read on the caller's own thread, at a fifth less of CPU.
            (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
            *((name, value) for name, value in keepalive.items() if value is not None),
        ]


def _milliseconds(duration: Any) -> int | None:
    return None if duration is None else int(duration.total_seconds() * 1000)
