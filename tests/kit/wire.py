"""The generated stubs as a bare client: every RPC by its name, with the usual metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from momento_wire_types import (
    cacheclient_pb2_grpc,
    cachepubsub_pb2_grpc,
    common_pb2,
    controlclient_pb2_grpc,
    token_pb2_grpc,
)

from tests.kit.waiting import HANG_GUARD

"""Seconds after which a call has hung; no test depends on anything being faster."""


class Wire:
    """``wire.Get(request, cache="other")`` calls the RPC; a stream comes back as a list."""

    def __init__(self, target: str, options: tuple[tuple[str, Any], ...] = ()) -> None:
        # gRPC's default of 4 MiB is less than one item may have; the SDKs raise it too.
        unlimited = ("grpc.max_receive_message_length", -1)
        self.channel = grpc.insecure_channel(target, options=(unlimited, *options))
        self._stubs = [
            cacheclient_pb2_grpc.ScsStub(self.channel),
            controlclient_pb2_grpc.ScsControlStub(self.channel),
            cachepubsub_pb2_grpc.PubsubStub(self.channel),
            token_pb2_grpc.TokenStub(self.channel),
        ]

    def __getattr__(self, rpc: str) -> Callable[..., Any]:
        stub = next(stub for stub in self._stubs if hasattr(stub, rpc))

        def call(request: Any, **metadata: str) -> Any:
            sent = {"cache": "cache", "authorization": "", **metadata}
            answer = getattr(stub, rpc)(request, metadata=tuple(sent.items()), timeout=HANG_GUARD)
            return list(answer) if isinstance(answer, grpc.Call) else answer

        return call

    def ping(self) -> Any:
        call = self.channel.unary_unary(
            "/cache_client.Ping/Ping",
            request_serializer=common_pb2._Empty.SerializeToString,
            response_deserializer=common_pb2._Empty.FromString,
        )
        return call(common_pb2._Empty(), timeout=HANG_GUARD)


def refusal(call: Callable[..., Any], request: Any, **metadata: str) -> Any:
    """Return the error a call ends with: its code(), details() and trailing_metadata()."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **metadata)
    return caught.value


def status(call: Callable[..., Any], request: Any, **metadata: str) -> grpc.StatusCode:
    code = refusal(call, request, **metadata).code()
    assert isinstance(code, grpc.StatusCode)
    return code
