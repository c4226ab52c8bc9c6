"""The embedded server: a real one inside the process, which Momento's own client can use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from momento import CacheClient, Configurations, CredentialProvider
from momento.responses import CacheGet, CacheSet

from django_momento.conf.loading import parse
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import embedded
from django_momento.credentials.credential import fetch
from django_momento.local.process import ServerProcess
from tests.kit.tables import table


@pytest.fixture(name="embedded")
def _embedded(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionOptions]:
    """An embedded server of this test's own, which ends with it."""
    fresh = embedded.EmbeddedServer()
    monkeypatch.setattr(embedded, "server", fresh)
    yield parse("default", "my-cache", {"OPTIONS": {"CREDENTIALS": "embedded"}}).connection
    fresh.stop()


def test_the_embedded_server_serves_momento_s_own_client(embedded: ConnectionOptions) -> None:
    """What is embedded is a real server: the SDK uses any cache, and no other key is let in."""
    credential = fetch(embedded)

    def answers(key: str) -> tuple[Any, Any]:
        host = credential.cache_host
        provider = CredentialProvider(key, credential.control_host, host, host, credential.port)
        with CacheClient(Configurations.Laptop.latest(), provider, timedelta(minutes=1)) as client:
            return client.set("any-cache", "key", "value"), client.get("any-cache", "key")

    stored, read = answers(credential.api_key)
    refused, _ = answers("a guess")

    assert (CacheSet.Success, CacheGet.Hit) == (type(stored), type(read))
    assert "value" == read.value_string
    assert isinstance(refused, CacheSet.Error)


def test_a_process_has_one_embedded_server(embedded: ConnectionOptions) -> None:
    """However many threads ask at once, they all get the same server and key."""
    with ThreadPoolExecutor(8) as threads:
        credentials_ = set(threads.map(lambda _: fetch(embedded), range(16)))

    assert 1 == len(credentials_)
    assert {fetch(embedded)} == credentials_


FORKS = """
import os, sys, warnings
from datetime import timedelta
from momento import CacheClient, Configurations, CredentialProvider
from django_momento.credentials.credential import fetch
from django_momento.conf.options import ConnectionOptions

def serves(credential):
    host = credential.cache_host
    provider = CredentialProvider(credential.api_key, host, host, host, credential.port)
    client = CacheClient(Configurations.Laptop.latest(), provider, timedelta(minutes=1))
    known = type(client.get("any-cache", "key")).__name__
    return known, type(client.set("any-cache", "key", "value")).__name__

# The parent, its child, and the child of that child.
seen = []
for generation in range(3):
    seen.append(fetch(ConnectionOptions("embedded")))
    assert seen[-1] == fetch(ConnectionOptions("embedded"))
    assert serves(seen[-1]) == ("Miss", "Success"), generation
    assert len({credential.port for credential in seen}) == len({credential.api_key for credential in seen})
    assert len({credential.port for credential in seen}) == generation + 1
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        # A child leaves its parent's server as it was.
        assert serves(seen[-1]) == ("Hit", "Success")
        sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_a_server_of_its_own() -> None:
    """With a key of its own, for its children too, and each process ends without a warning."""
    # Python 3.12 and newer warn of any fork beside threads, and the program is about one.
    command = [sys.executable, "-X", "dev", "-W", "ignore:This process:DeprecationWarning", "-c", FORKS]
    forked = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert (0, "") == (forked.returncode, forked.stdout), forked.stderr
    assert "Warning" not in forked.stderr


ENDS = """
import os, signal, sys, time
from django_momento.credentials.credential import fetch
from django_momento.conf.options import ConnectionOptions

fetch(ConnectionOptions("embedded"))
child = os.fork()
if not child:
    print(fetch(ConnectionOptions("embedded")).port, flush=True)
    {end}
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@table("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "sys.exit()"])
def test_the_server_of_a_forked_child_ends_with_it(end: str) -> None:
    """However the child ends, nothing listens on the port for long."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDS.format(end=end)], capture_output=True, text=True, timeout=100, check=True
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(ended.stdout)), 60).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_process_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is named, for somebody to run it and see."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        OSError, match=r"did not start: /bin/false -m django_momento\.local ended with status"
    ):
        ServerProcess("key").start()
