"""A gRPC server that answers every call alike and keeps the metadata that came with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from momento_wire_types import cacheclient_pb2 as pb

ANSWERS = {"Get": pb._GetResponse(result=pb.Miss), "KeysExist": pb._KeysExistResponse(exists=[False])}


class Capture(grpc.GenericRpcHandler):
    """``seen`` has the metadata of each call, as a dict with the RPC's name under ``rpc``; ``sent`` as pairs.

    The first ``failures`` calls of each RPC are answered with UNAVAILABLE.
    """

    def __init__(self, failures: int = 0) -> None:
        self.seen: list[dict[str, Any]] = []
        self.sent: list[list[tuple[str, Any]]] = []
        self.port = 0
        self._failures = failures

    def service(self, handler_call_details: Any) -> Any:
        rpc = handler_call_details.method.rpartition("/")[2]

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            before = [seen for seen in self.seen if seen["rpc"] == rpc]
            metadata = [(each.key, each.value) for each in handler_call_details.invocation_metadata]
            self.seen.append({"rpc": rpc, **dict(metadata)})
            self.sent.append(metadata)
            if len(before) < self._failures:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
            return ANSWERS[rpc].SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def capturing(failures: int = 0) -> Iterator[Capture]:
    capture = Capture(failures)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[capture])
    capture.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield capture
    finally:
        server.stop(None).wait()
