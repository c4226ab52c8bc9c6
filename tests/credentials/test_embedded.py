"""The embedded server: a real one inside the process, which Momento's own client can use."""

from __future__ import annotations

import os
import subprocess
import sys
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
import os, sys
from datetime import timedelta
from momento import CacheClient, Configurations, CredentialProvider
from django_momento.credentials.credential import fetch
from django_momento.conf.options import ConnectionOptions

embedded = ConnectionOptions("embedded")
parents = fetch(embedded)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
own = fetch(embedded)
provider = CredentialProvider(own.api_key, own.cache_host, own.cache_host, own.cache_host, own.port)
client = CacheClient(Configurations.Laptop.latest(), provider, timedelta(minutes=1))
stored = client.set("any-cache", "key", "value")
os._exit(0 if own == parents and type(stored).__name__ == "Success" else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_uses_the_embedded_server_of_its_parent() -> None:
    """gRPC cannot serve again after a fork: a server of the child's own would never answer."""
    forked = subprocess.run([sys.executable, "-c", FORKS], timeout=60, check=False)

    assert 0 == forked.returncode
