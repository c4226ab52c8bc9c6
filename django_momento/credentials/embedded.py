"""Start the Momento server inside this process: one, at the first use, with a key of its own.

A forked child has a server of its own too, so that workers cannot clear each other's keys. gRPC cannot serve
in the child of a process that served, it hangs. So the server of such a child is another process, which ends
with it.
"""

from __future__ import annotations

import atexit
import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from .. import forking
from ..local.process import ServerProcess
from ..redaction import SecretStr

if TYPE_CHECKING:
    from ..local import LocalServer


class EmbeddedAddress(NamedTuple):
    """The address of the server and its one key. Without the key, other users of the machine could use it."""

    host: str
    port: int
    api_key: SecretStr


class EmbeddedServer:
    """At most one server."""

    def __init__(self) -> None:
        # A handler of a signal may use the cache while its thread starts the server.
        self._lock = threading.RLock()
        self._server: LocalServer | ServerProcess | None = None
        self._inherited: list[LocalServer | ServerProcess] = []
        self._api_key = SecretStr("")

    def start(self) -> EmbeddedAddress:
        """Return the address of the server, and start the server if it is not running."""
        with self._lock:
            if not self._is_running():
                api_key = SecretStr(secrets.token_urlsafe(32))
                server = self._start(api_key)
                if not self._is_running():
                    self._api_key, self._server = api_key, server
                else:
                    server.stop()
            assert self._server is not None  # noqa: S101 - for mypy
            return EmbeddedAddress(self._server.host, self._server.port, self._api_key)

    def _is_running(self) -> bool:
        return self._server is not None

    def stop(self) -> None:
        """Stop the server if it is running."""
        with self._lock:
            if self._server is not None:
                self._server.stop()
                self._server = None

    def forget(self) -> None:
        """Leave the server to the parent, in a forked child. The child starts another one."""
        self._lock = threading.RLock()
        server, self._server = self._server, None
        if isinstance(server, ServerProcess):
            server.release()
        if server is not None:
            # The child cannot use or stop the server. It is kept, because gRPC must not be taken apart here.
            self._inherited.append(server)

    def _start(self, api_key: SecretStr) -> LocalServer | ServerProcess:
        if self._inherited:
            # The server ends with this process in any case. Stopped at exit, it leads to no warning of
            # Python's.
            atexit.register(self.stop)
            return ServerProcess(api_key).start()

        from ..local import LocalServer

        return LocalServer(api_keys=[api_key], create_missing_caches=True).start()


server = EmbeddedServer()


def _forget() -> None:
    server.forget()


forking.register(after_in_child=_forget)
