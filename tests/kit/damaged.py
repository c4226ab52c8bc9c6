"""A gRPC server that gives wrong responses for the keys that ask for them, alone or in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from momento_wire_types import cacheclient_pb2 as pb


def _response(key: bytes) -> bytes:
    if key == b"no result":
        return pb._GetResponse(result=pb.Invalid, message="damaged").SerializeToString()
    return b"no message" if key == b"unreadable" else pb._GetResponse(result=pb.Miss).SerializeToString()


class Damaged(grpc.GenericRpcHandler):
    """A key that names a status in capitals is refused with it. ``short`` ends a batch without a status.

    ``no result`` gets a response that is neither a hit nor a miss, and ``unreadable`` is no message at all.
    """

    def service(self, details: Any) -> Any:
        def get(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._respond(pb._GetRequest.FromString(request).cache_key, context)

        def get_batch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            for item in pb._GetBatchRequest.FromString(request).items:
                if item.cache_key == b"short":
                    return
                yield self._respond(item.cache_key, context)

        if details.method.endswith("/GetBatch"):
            return grpc.unary_stream_rpc_method_handler(get_batch)
        return grpc.unary_unary_rpc_method_handler(get)

    def _respond(self, key: bytes, context: grpc.ServicerContext) -> bytes:
        if key.isupper():
            context.abort(grpc.StatusCode[key.decode()], "because of one key")
        return _response(key)


class Refusing(grpc.GenericRpcHandler):
    """Refuses every call with the same details."""

    def __init__(self, details: str) -> None:
        self._details = details

    def service(self, details: Any) -> Any:
        def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self._details)
            return b""

        return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def damaged_server() -> Iterator[int]:
    """Run a server that damages responses, and yield its port."""
    with _serving(Damaged()) as port:
        yield port


@contextmanager
def refusing(details: str) -> Iterator[int]:
    """Run a server that refuses calls with these details, and yield its port."""
    with _serving(Refusing(details)) as port:
        yield port


@contextmanager
def _serving(handler: grpc.GenericRpcHandler) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
