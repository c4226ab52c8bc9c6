"""The address to listen on: how it is written, whether other machines reach it, whether it is free.

Plain sockets only; the listening itself is gRPC's.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_free(host: str, port: int) -> None:
    """Raise an OSError that names the address unless a server can listen on it.

    Asked of gRPC, the answer would be lines of its own on stderr, a port above 65535 taken for another
    one, and content with whichever of a name's addresses (``localhost`` often has two) is free.
    """
    address = format_address(host, port)
    if not 0 <= port <= 65535:
        raise OSError(f"Cannot listen on {address}: the port must be between 0 and 65535")
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(f"Cannot listen on {address}: {error.strerror}") from error
    failures = [failure for candidate in candidates if (failure := _bind_failure(*candidate))]
    taken = [failure for failure in failures if failure.errno == errno.EADDRINUSE]
    # A name may have an address this machine does not use, such as ::1 without IPv6; one is enough.
    if taken or len(failures) == len(candidates):
        failure = (taken or failures)[0]
        raise OSError(failure.errno, f"Cannot listen on {address}: {failure.strerror}") from failure


def _bind_failure(
    family: int, kind: int, protocol: int, _canonical_name: str, sockaddr: tuple[object, ...]
) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                # As gRPC does: a port in TIME_WAIT is free. On Windows the option would allow stealing one.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(sockaddr)
    except OSError as error:
        return error
    return None
