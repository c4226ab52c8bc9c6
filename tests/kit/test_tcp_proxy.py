"""The tests' own TCP proxy leaves no connection behind."""

from __future__ import annotations

import contextlib
import gc
import socket
import warnings

from tests.kit.tcp_proxy import TcpProxy
from tests.kit.waiting import eventually


def test_a_connection_with_bytes_left_to_send_is_closed_with_the_proxy() -> None:
    """Its other end reads nothing, so that closing it waits."""
    with warnings.catch_warnings(record=True) as caught, socket.create_server(("127.0.0.1", 0)) as deaf:
        warnings.simplefilter("always")
        with (
            TcpProxy(f"127.0.0.1:{deaf.getsockname()[1]}") as proxy,
            socket.create_connection(("127.0.0.1", proxy.port)) as client,
        ):
            back, _ = deaf.accept()
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                while True:
                    client.sendall(b"x" * 65536)
            back.shutdown(socket.SHUT_WR)
            client.settimeout(None)
            eventually(lambda: _is_closed(client))
        back.close()
        gc.collect()
    assert [] == [str(each.message) for each in caught if "transport" in str(each.message)]


def _is_closed(client: socket.socket) -> bool:
    """Return whether the proxy has given the connection up."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True
