"""Momento's address: a cell's host, or the host and port of a local server."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

TLS_PORT = 443
DEFAULT_LOCAL_PORT = 8080

# A label of a host name has 63 characters at most, which also tells a host name from a pasted API key.
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
# Also the typographic ones that word processors put in their place, and the backquote.
_QUOTES = ("'", '"', "`", "\u2018", "\u2019", "\u201c", "\u201d")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")


class Endpoint(NamedTuple):
    """Momento's address: a cell's host, which TLS serves, or the host and port of a local server.

    ``secure`` says whether a server with a port is served by TLS. It means nothing without a port.
    """

    host: str
    port: int | None = None
    secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port is None:
            return host
        return f"https://{host}:{self.port}" if self.secure else f"{host}:{self.port}"

    @property
    def is_plaintext(self) -> bool:
        return self.port is not None and not self.secure

    @property
    def is_loopback(self) -> bool:
        address = _ip_address(self.host)
        return address.is_loopback if address else self.host.lower() == "localhost"

    def connect_to(self) -> tuple[str, str, int]:
        """Return the host for cache calls, the host for control calls, and the port, as the SDK takes them.

        The SDK uses TLS for port 443 alone, and then reads another port from the host.
        """
        if self.port is None:
            return f"cache.{self.host}", f"control.{self.host}", TLS_PORT
        if self.secure:
            target = str(self).removeprefix("https://")
            return target, target, TLS_PORT
        return self.host, self.host, self.port

    def check_carries_key(self) -> None:
        """Raise ValueError if an API key must not be sent here: in plaintext, to another machine."""
        if self.is_plaintext and not self.is_loopback:
            raise ValueError(
                "names a port, which means plaintext: with an API key that is allowed to loopback addresses "
                "only, because the key would be sent in the clear; leave the port out to reach Momento by "
                "TLS, or give ROOT_CERTIFICATES to reach another server by TLS"
            )

    @classmethod
    def parse(cls, text: str, *, carries_key: bool = True, secure: bool = False) -> Endpoint:
        """Return the endpoint of ``"HOST"`` or ``"HOST:PORT"``.

        White space around it, a byte order mark or ``https://`` before it, a slash after it and the port 443
        change nothing. With another port, ``https://`` or ``secure`` mean TLS. An endpoint that
        ``carries_key`` must not be in plaintext on another machine.

        Raises ValueError, which shows the right text if it can be told.
        """
        bare = text.strip().strip("\ufeff").strip()
        if bare[:1] in _QUOTES and bare[-1:] in _QUOTES:
            unquoted = _SCHEME.sub("", bare[1:-1]).rstrip("/")
            raise ValueError(f"must stand without quotes around it{_suggest(unquoted)}")
        scheme = _SCHEME.match(bare)
        rest = bare[scheme.end() :] if scheme else bare
        host_and_port, slash, path = rest.partition("/")
        if (scheme and scheme[1].lower() != "https") or path or (not host_and_port and (scheme or slash)):
            raise ValueError(f"must be a bare host name, without a scheme or a path{_suggest(host_and_port)}")
        if host_and_port.startswith(("cache.", "control.")):
            raise ValueError(f"must be the cell's endpoint itself: {_without_service(host_and_port)!r}")
        host, port = _split_port(host_and_port)
        if not (_HOST_NAME.fullmatch(host) or _ip_address(host)):
            raise ValueError("must be a host name")
        if port is None or port == TLS_PORT:
            endpoint = cls(host)
            # Cell hosts are "cache." and "control." before this one, which no address can be.
            if _ip_address(host) or endpoint.is_loopback:
                raise ValueError("must be a host name, or a loopback address with the port of a local server")
            return endpoint
        endpoint = cls(host, port, secure or bool(scheme))
        if carries_key:
            endpoint.check_carries_key()
        return endpoint


def _suggest(host_and_port: str) -> str:
    try:
        host, _ = _split_port(_without_service(host_and_port))
    except ValueError:
        return ""
    is_host = _HOST_NAME.fullmatch(host) or _ip_address(host)
    return f": {_without_service(host_and_port)!r}" if is_host else ""


def _without_service(host_and_port: str) -> str:
    return re.sub(r"^(cache|control)\.|:443$", "", host_and_port)


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
