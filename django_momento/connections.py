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
from .bridge import awaited
from .fork_gate import gate
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
        attempt, is_ours = self._attempt(options)
        if is_ours:
            self._make(options, attempt)
        return attempt.result()

    async def aclient(self, options: ConnectionOptions) -> MomentoClient:
        """See client(). While a secret is fetched, the event loop goes on."""
        attempt, is_ours = self._attempt(options)
        if is_ours:
            # A thread of its own: an executor of the loop's would end with the loop, and others may wait.
            maker = threading.Thread(target=self._make, args=(options, attempt), name="momento-connect")
            try:
                maker.start()
            except RuntimeError as error:  # the process may have no more threads, or be about to end
                self._give_up(options, attempt, error)
        if attempt.done():
            return attempt.result()
        client: MomentoClient = await awaited(attempt, shared=True)
        return client

    def _attempt(self, options: ConnectionOptions) -> tuple[Future[MomentoClient], bool]:
        """Answer the attempt at a client that all share, and whether it is the caller's to make."""
        attempt = self._clients.get(options)
        if attempt is not None:
            return attempt, False
        with self._lock:
            attempt = self._clients.get(options)
            if attempt is not None:
                return attempt, False
            attempt = self._clients[options] = Future()
            return attempt, True

    def _make(self, options: ConnectionOptions, attempt: Future[MomentoClient]) -> None:
        try:
            # Not during a fork: the child would wait for ever on the locks of imports that are half done.
            with gate:
                # Imported here: the SDK and grpc cost a fifth of a second that no import should pay.
                from .client import MomentoClient

                client = MomentoClient(credentials.fetch(options), options)
        except BaseException as error:  # noqa: BLE001 - the threads that wait must hear of whatever it is
            self._give_up(options, attempt, error)
        else:
            attempt.set_result(client)

    def _give_up(
        self, options: ConnectionOptions, attempt: Future[MomentoClient], error: BaseException
    ) -> None:
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
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it


connections = Connections()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=connections.forget)
