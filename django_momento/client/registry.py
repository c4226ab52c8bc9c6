"""The process-wide clients: one for each distinct configuration, shared by every alias, thread and request.

A forked child forgets the connections that it inherited, and its clients connect anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import forking
from ..conf.options import ConnectionOptions
from .client import Client


class ClientRegistry:
    """Every client of the process, by its options."""

    def __init__(self) -> None:
        self._clients: dict[ConnectionOptions, Client] = {}

    def __repr__(self) -> str:
        return f"<ClientRegistry of {[*self._clients.values()]}>"

    def __iter__(self) -> Iterator[Client]:
        """Iterate over the clients that there are."""
        return iter([*self._clients.values()])

    def get(self, options: ConnectionOptions) -> Client:
        """Return the client for these options: the same one for as long as the process lives."""
        client = self._clients.get(options)
        if client is None:
            client = self._clients.setdefault(options, Client(options))
        return client

    def peek(self, options: ConnectionOptions) -> Client | None:
        """Return the client for these options, or None if there is none yet."""
        return self._clients.get(options)

    def close(self, wait: bool = False) -> None:
        """Close the connections of every client; later calls connect anew.

        If ``wait``, return when they are closed.
        """
        for client in list(self._clients.values()):
            client.close(wait)

    def forget(self) -> None:
        """Drop every connection without closing it, in a forked child."""
        for client in self._clients.values():
            client.forget()


clients = ClientRegistry()
forking.register(after_in_child=clients.forget)
