"""The address to listen on: format it, tell whether it is loopback, check that it is free."""

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
    """Raise an OSError that names the address if a server cannot listen on it.

    gRPC cannot be asked: it writes lines of its own to stderr, takes a port above 65535 for another one, and
    is content if any address of a name is free (``localhost`` often has two).
    """
    address = format_address(host, port)
    if not 0 <= port <= 65535:
        raise OSError(f"Cannot listen on {address}: the port must be between 0 and 65535")
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(f"Cannot listen on {address}: {error.strerror}") from error
    failures = [failure for candidate in candidates if (failure := _bind_failure(*candidate))]
    in_use = [failure for failure in failures if failure.errno == errno.EADDRINUSE]
    # A name may have an address that this machine does not use, such as ::1 without IPv6. One address is
    # enough.
    if in_use or len(failures) == len(candidates):
        failure = (in_use or failures)[0]
        raise OSError(failure.errno, f"Cannot listen on {address}: {failure.strerror}") from failure


def _bind_failure(
    family: int, kind: int, protocol: int, _canonical_name: str, sockaddr: tuple[object, ...]
) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                # As gRPC does: a port in TIME_WAIT is free. On Windows the option would allow to steal one.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(sockaddr)
    except OSError as error:
        return error
    return None
