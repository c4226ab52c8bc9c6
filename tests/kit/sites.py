"""A client of Momento without Django, and where its key is kept, which a test may move."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_momento.client import operations
from django_momento.client.calls import Operation
from django_momento.client.client import Client
from django_momento.client.metering import Tally
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import credential as credential_module
from django_momento.credentials.credential import Credential
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.admin import command
from tests.kit.ports import free_ports
from tests.kit.waiting import eventually  # noqa: F401 - for the tests of the client
from tests.processes.sockets import established

_numbers = itertools.count()

Run = Callable[..., Any]


def run_sync(client: Client, steps: Operation[Any], tally: Tally | None = None) -> Any:
    return client.run("tests", steps, tally)


def run_async(client: Client, steps: Operation[Any], tally: Tally | None = None) -> Any:
    return asyncio.run(client.arun("tests", steps, tally))


# One call through the SDK and one of our own, a stream, and several calls together.
VERBS: dict[str, Callable[[], Operation[Any]]] = {
    "get": lambda: operations.get(b"k"),
    "has_key": lambda: operations.has_key(b"k"),
    "get_many": lambda: operations.get_many([b"j", b"k"]),
    "delete_many": lambda: operations.delete_many([b"j", b"k"]),
    "incr": lambda: operations.incr(b"k", 1),
}


class Site:
    """A client, and where its key is kept: ``credential``, or ``error`` if it cannot be had."""

    def __init__(self, server: LocalServer, **options: Any) -> None:
        self.error: CredentialError | None = None
        self.move(server, "old")
        source = f"site {next(_numbers)}"
        credential_module.SOURCES[source] = lambda options, refresh: self._fetch()
        options = {"client_timeout": 30.0, "configuration": "laptop", **options}
        self.client = Client(ConnectionOptions(source, **options))
        self.fetches = 0
        self.client.get_credential()
        self.fetches = 0

    def move(self, server: LocalServer, key: str) -> None:
        self.credential = Credential(
            SecretStr(key), "opaque", "the test", "127.0.0.1", "127.0.0.1", server.port
        )

    def _fetch(self) -> Credential:
        self.fetches += 1
        if self.error is not None:
            raise self.error
        return self.credential


def use(site: Site, run: Run) -> None:
    for verb in VERBS.values():
        run(site.client, verb())


def accepted(server: LocalServer) -> int:
    return int(command(server.admin_port, "/connections")["accepted"])


def connected(server: LocalServer) -> int:
    return established(os.getpid(), server.address)


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both drivers must do the same."""
    return request.param


@pytest.fixture
def server() -> Iterator[LocalServer]:
    port, admin_port = itertools.islice(free_ports(), 2)  # A test may stop it and start it again.
    with LocalServer(port=port, caches=["tests"], api_keys=["old"], admin_port=admin_port) as server:
        yield server


@pytest.fixture
def site(server: LocalServer) -> Site:
    return Site(server)
