"""Keep the connections to this machine out of the way of HTTP proxies.

gRPC sends every connection through the proxy of ``grpc_proxy``, ``https_proxy`` or ``http_proxy``, one to
127.0.0.1 included. The proxy would connect to itself.
"""

from __future__ import annotations

import os

from ..credentials.credential import Credential
from ..endpoint import TLS_PORT, Endpoint

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
# gRPC reads "no_proxy" only if this one is not set.
EXCEPTIONS = "no_grpc_proxy"


def bypass_proxies(credential: Credential) -> None:
    """Let gRPC connect directly to the credential's host if the host is this machine and a proxy is set.

    gRPC reads the environment when it makes a channel. The SDK has no setting of its own for that, so an
    exception is added to ``no_grpc_proxy``, which only gRPC reads.
    """
    host = credential.cache_host
    if credential.port == TLS_PORT and ":" in host:
        host = host.rpartition(":")[0].strip("[]")
    if not Endpoint(host).is_loopback or not any(os.environ.get(name) for name in PROXIES):
        return
    exceptions = os.environ.get(EXCEPTIONS, os.environ.get("no_proxy", ""))
    if host not in [each.strip() for each in exceptions.split(",")]:
        os.environ[EXCEPTIONS] = f"{exceptions},{host}".lstrip(",")
