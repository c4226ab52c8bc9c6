"""Find the fix for a server that cannot be reached, by gRPC's text for the cause.

gRPC has one status for every cause, and its texts may change. Any other text gets the general fix.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ..endpoint import Endpoint
from .proxies import PROXIES

_GENERAL = "Check ENDPOINT, that the server runs if it is a local one, and outbound access to its port."

_NO_TLS = (
    "The server there does not speak TLS. To reach a local server in plaintext, leave ROOT_CERTIFICATES and "
    "the https:// of ENDPOINT out."
)
_OTHER_NAME = "The server's certificate is for another name. Write that name in ENDPOINT."
_NOT_TRUSTED = (
    "The server's certificate is not trusted here. Name a PEM file with its root in ROOT_CERTIFICATES, and "
    "check the clock of this machine."
)
_NO_SUCH_HOST = "Check the spelling of ENDPOINT, and the DNS of this machine."

# The first text that occurs decides.
_FIXES = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "Hostname Verification Check failed": _OTHER_NAME,
    "is not in peer certificate": _OTHER_NAME,
    "CERTIFICATE_VERIFY_FAILED": _NOT_TRUSTED,
    "lookup failed": _NO_SUCH_HOST,
    "errors resolving": _NO_SUCH_HOST,
    "DNS resolution failed": _NO_SUCH_HOST,
    "Name or service not known": _NO_SUCH_HOST,
}
_NOT_STARTED = (
    "Start the local server with `manage.py momento_local`, or correct ENDPOINT if it listens elsewhere."
)
# A server that speaks TLS closes a connection in plaintext.
_CLOSED = ("Socket closed", "Connection reset by peer")
_CLOSED_FIX = (
    "Check that the server runs. If it speaks TLS, give ROOT_CERTIFICATES, or write https:// before ENDPOINT."
)


def find_fix(endpoint: str, details: str) -> str:
    """Return the fix for an endpoint that cannot be reached, in a sentence or two."""
    if (variable := _proxy_in_the_way(endpoint, details)) is not None:
        host, _, port = endpoint.rpartition(":") if ":" in endpoint else (endpoint, "", "443")
        return (
            f"The proxy of the environment variable {variable} is in the way. Let it allow CONNECT to "
            f"{host}:{port}, or add {host} to no_proxy."
        )
    for text, fix in _FIXES.items():
        if text in details:
            return fix
    if ":" in endpoint and any(text in details for text in _CLOSED):
        return _CLOSED_FIX
    if "Connection refused" in details and Endpoint(endpoint.rpartition(":")[0].strip("[]")).is_loopback:
        return _NOT_STARTED
    return _GENERAL


def _proxy_in_the_way(endpoint: str, details: str) -> str | None:
    """Return the environment variable of the proxy that the connection failed at, or None."""
    variable = next((name for name in PROXIES if os.environ.get(name)), None)
    if variable is None or "HTTP proxy returned" in details:
        return variable
    try:
        port = urlsplit(os.environ[variable]).port
    except ValueError:
        return None
    # gRPC names the address that it tried.
    failed_there = f":{port}: Failed to connect" in details or f":{port}: connection attempt" in details
    return variable if failed_there and not endpoint.endswith(f":{port}") else None
