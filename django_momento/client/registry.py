"""The process-wide clients: one for each distinct configuration, shared by every alias, thread and request.

A client is made at the first cache call, by one thread, while all others that want it wait for that one
attempt and share its outcome. A forked child forgets the clients it inherited and makes its own. Knows
nothing of Django.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from .. import forking
from ..conf.options import ConnectionOptions
from ..credentials import credential
from ..exceptions import CredentialError
from .fork_gate import gate
from .futures import wait_for

if TYPE_CHECKING:
    from .client import Client


class Connection:
    """The place of one client: ``client`` is the client, or None until it is first wanted."""

    def __init__(self, options: ConnectionOptions) -> None:
        self.client: Client | None = None
        self._options = options
        self._lock = threading.Lock()
        self._attempt: Future[Client] | None = None
        # The thread that makes it, which must not wait for itself.
        self._maker: int | None = None

    def connected(self) -> Client:
        """Answer the client, made if there is none.

        Raises CredentialError if no API key can be had; the next call then tries again.
        """
        attempt, is_ours = self._joined()
        if is_ours:
            self._make(attempt)
        elif self._maker == threading.get_ident() and not attempt.done():
            raise CredentialError(
                "The API key is being fetched by something that uses this very cache, which has no key yet.",
                "Use another cache, or none, in the callable that CREDENTIALS names.",
            )
        return attempt.result()

    async def aconnected(self) -> Client:
        """See connected(). While a secret is fetched, the event loop goes on."""
        attempt, is_ours = self._joined()
        if is_ours:
            # A thread of its own: an executor of the loop's would end with the loop, and others may wait.
            maker = threading.Thread(target=self._make, args=(attempt,), name="momento-connect")
            try:
                maker.start()
            except RuntimeError as error:  # the process may have no more threads, or be about to end
                self._give_up(attempt, error)
        if not attempt.done():
            await wait_for((attempt,), shared=True)
        return attempt.result()

    def close(self) -> None:
        """Close the client; the next call makes a new one."""
        with self._lock:
            attempt, self._attempt, self.client = self._attempt, None, None
        if attempt is not None and attempt.done():
            attempt.result().close()

    def forget(self) -> None:
        """Drop the client without closing it: in a forked child the connections are the parent's."""
        self.__init__(self._options)  # type: ignore[misc]  # this very class: nothing subclasses it

    def _joined(self) -> tuple[Future[Client], bool]:
        """Answer the attempt at a client that all share, and whether it is the caller's to make."""
        with self._lock:
            if self._attempt is not None:
                return self._attempt, False
            self._attempt = Future()
            return self._attempt, True

    def _make(self, attempt: Future[Client]) -> None:
        self._maker = threading.get_ident()
        try:
            # Not during a fork: the child would wait for ever on the locks of imports that are half done.
            with gate.enter():
                # Imported here: the SDK and grpc cost a fifth of a second that no import should pay.
                from .client import Client

                watch = credential.watched(self._options)
                seen = watch() if watch is not None else None
                client = Client(
                    credential.fetch(self._options),
                    self._options,
                    fetch=partial(credential.fetch, self._options, refresh=True),
                    watch=watch,
                    seen=seen,
                )
        except BaseException as error:  # noqa: BLE001 - the threads that wait must hear of whatever it is
            self._give_up(attempt, error)
        else:
            with self._lock:
                if self._attempt is attempt:  # and it was not closed meanwhile
                    self.client = client
            attempt.set_result(client)

    def _give_up(self, attempt: Future[Client], error: BaseException) -> None:
        # Forgotten before it is told, so that whoever hears of the failure can try again.
        with self._lock:
            if self._attempt is attempt:
                self._attempt = None
        attempt.set_exception(error)


class ClientRegistry:
    """Every connection of the process, by its options."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[ConnectionOptions, Connection] = {}

    def of(self, options: ConnectionOptions) -> Connection:
        """Answer the connection for these options, which is the same one for as long as the process lives."""
        connection = self._connections.get(options)
        if connection is None:
            with self._lock:
                connection = self._connections.setdefault(options, Connection(options))
        return connection

    def client(self, options: ConnectionOptions) -> Client:
        """Answer the client for these options; see Connection.connected()."""
        return self.of(options).connected()

    def close(self) -> None:
        """Close every client; the next call makes a new one. For tests and for orderly shutdowns."""
        for connection in list(self._connections.values()):
            connection.close()

    def forget(self) -> None:
        """Drop every client without closing it, in a forked child."""
        self._lock = threading.Lock()
        for connection in self._connections.values():
            connection.forget()


connections = ClientRegistry()
forking.register(after_in_child=connections.forget)
