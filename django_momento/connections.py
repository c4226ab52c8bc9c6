"""The process-wide clients: one for each distinct configuration, shared by every alias, thread and request.

A client is made at the first cache call, by one thread, while all others that want it wait for that one
attempt and share its outcome. A forked child forgets the clients it inherited and makes its own. Knows
nothing of Django.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from . import credentials
from .options import ConnectionOptions

if TYPE_CHECKING:
    from .client import MomentoClient


class Connections:
    """Clients by their options."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[ConnectionOptions, Future[MomentoClient]] = {}

    def client(self, options: ConnectionOptions) -> MomentoClient:
        """Answer the client for these options, made if there is none.

        Raises CredentialError if no API key can be had; the next call then tries again.
        """
        made = self._clients.get(options)
        if made is not None and made.done():
            return made.result()
        with self._lock:
            attempt = self._clients.get(options)
            is_ours = attempt is None
            if attempt is None:
                attempt = self._clients[options] = Future()
        if is_ours:
            self._make(options, attempt)
        return attempt.result()

    def _make(self, options: ConnectionOptions, attempt: Future[MomentoClient]) -> None:
        try:
            # Imported here: the SDK and grpc cost a fifth of a second that no import should pay.
            from .client import MomentoClient

            attempt.set_result(MomentoClient(credentials.fetch(options), options))
        except BaseException as error:  # noqa: BLE001 - the threads that wait must hear of whatever it is
            # Forgotten before it is told, so that whoever hears of the failure can try again.
            self._clients.pop(options, None)
            attempt.set_exception(error)

    def close(self) -> None:
        """Close every client; the next call makes a new one. For tests and for orderly shutdowns."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for attempt in clients.values():
            if attempt.done():
                attempt.result().close()

    def forget(self) -> None:
        """Drop every client without closing it: in a forked child the connections are the parent's."""
        self.__init__()  # type: ignore[misc]


connections = Connections()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=connections.forget)
