"""A Momento server in front of a real one, which may keep the responses of calls that took effect."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import grpc
from momento_wire_types import cacheclient_pb2_grpc as services

from django_momento.local import LocalServer
from tests.kit.waiting import HANG_GUARD


class SwallowingServer(services.ScsServicer):
    """Forwards SetIf and KeysExist, and keeps as many responses of SetIf as it is told."""

    def __init__(self, target: LocalServer) -> None:
        self._stub = services.ScsStub(grpc.insecure_channel(target.address))
        self._lock = Lock()
        self._left = 0
        self.swallowed = Event()

    def swallow(self, count: int) -> None:
        """Keep so many responses from now on, until their clients give up."""
        self.swallowed.clear()
        self._left = count

    def SetIf(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        response = self._forward("SetIf", request, context)
        with self._lock:
            is_swallowed = self._left > 0
            self._left -= is_swallowed
        if is_swallowed:
            given_up = Event()
            if not context.add_callback(given_up.set):
                given_up.set()
            self.swallowed.set()
            given_up.wait(HANG_GUARD)
        return response

    def KeysExist(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - a name of Momento's protocol
        return self._forward("KeysExist", request, context)

    def _forward(self, rpc: str, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = [(key, value) for key, value in context.invocation_metadata() if key == "cache"]
        return getattr(self._stub, rpc)(request, metadata=metadata)


@contextmanager
def swallowing(target: LocalServer) -> Iterator[tuple[SwallowingServer, str]]:
    """Serve in front of a server. Yield the servicer and its address."""
    servicer = SwallowingServer(target)
    server = grpc.server(ThreadPoolExecutor(20))
    services.add_ScsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(HANG_GUARD)
