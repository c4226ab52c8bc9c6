"""Where Momento is: a host served over TLS, or a host and port on this machine in plaintext. Pure text."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

TLS_PORT = 443
DEFAULT_LOCAL_PORT = 8080

# A label of a host name has 63 characters at most, which also tells a host name from a pasted API key.
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


class Endpoint(NamedTuple):
    """Where Momento is: a cell's host, served over TLS, or a loopback host and port in plaintext."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def is_plaintext(self) -> bool:
        return self.port is not None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``"HOST"`` or, for a loopback host only, ``"HOST:PORT"``.

        Raises ValueError with what is wrong and what is allowed.
        """
        if "://" in text or "/" in text:
            raise ValueError("must be a bare host name, without a scheme or a path")
        if text.startswith(("cache.", "control.")):
            raise ValueError(f"must be the cell's endpoint itself: {text.split('.', 1)[1]!r}")
        host, port = _split_port(text)
        if not (_HOST_NAME.fullmatch(host) or _ip_address(host)):
            raise ValueError("must be a host name")
        if port is None or port == TLS_PORT:
            # Cell hosts are "cache." and "control." before this one, which no address can be.
            if _ip_address(host) or _is_loopback(host):
                raise ValueError("must be a host name, or a loopback address with the port of a local server")
            return cls(host)
        if not _is_loopback(host):
            raise ValueError(
                "names a port, which means plaintext: that is allowed to loopback addresses only, because "
                "it would send the API key in the clear; leave the port out to use TLS"
            )
        return cls(host, port)


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or rest[:1] not in ("", ":"):
            raise ValueError("must be a host name")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        return text, None
    if not port and not text.endswith(":"):
        return host, None
    if not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ValueError("has a port that is not a number from 1 to 65535")
    return host, int(port)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _ip_address(host)
    return address.is_loopback if address else host.lower() == "localhost"
