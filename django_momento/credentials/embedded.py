"""The Momento server inside this process: one, started when it is first asked for, with a key of its own.

A forked child goes on with its parent's: gRPC cannot serve in a child of a process that served, it hangs.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from django_momento.redaction import SecretStr

if TYPE_CHECKING:
    from django_momento.local import LocalServer


class Embedded(NamedTuple):
    """Where the server listens, and its one key: other users of the machine can reach the port."""

    host: str
    port: int
    api_key: SecretStr


class EmbeddedServer:
    """At most one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: LocalServer | None = None
        self._api_key = SecretStr("")

    def started(self) -> Embedded:
        """Answer the server, started if it is not running."""
        with self._lock:
            if self._server is None:
                from django_momento.local import LocalServer

                self._api_key = SecretStr(secrets.token_urlsafe(32))
                self._server = LocalServer(api_keys=[self._api_key], create_missing_caches=True).start()
            return Embedded(self._server.host, self._server.port, self._api_key)

    def stop(self) -> None:
        """Stop the server if it is running."""
        with self._lock:
            if self._server is not None:
                self._server.stop()
                self._server = None


server = EmbeddedServer()
