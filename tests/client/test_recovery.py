"""How calls come back after an outage: by a probe, over a connection that had the time to be made."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_momento.client import breaker, operations, transport
from django_momento.client.breaker import MAX_BACKOFF
from django_momento.exceptions import CallTimedOut, MomentoCacheError, ServerUnavailable
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.sites import Run, Site, accepted, connected, eventually, run_async, run_sync, use
from tests.kit.tcp_proxy import TcpProxy
from tests.kit.timeouts import patient_probes, short_timeouts, wait_for_probes

run, server = fixtures.run, fixtures.server


class Proxied(Site):
    """A site whose calls go through a proxy."""

    def __init__(self, server: LocalServer, proxy: TcpProxy) -> None:
        self.port = proxy.port
        super().__init__(server)

    def move(self, server: LocalServer, key: str) -> None:
        super().move(server, key)
        self.credential = self.credential.__class__(
            self.credential.api_key, "opaque", "the test", "127.0.0.1", "127.0.0.1", self.port
        )


@pytest.fixture
def proxy(server: LocalServer) -> Iterator[TcpProxy]:
    with TcpProxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def site(server: LocalServer, proxy: TcpProxy) -> Iterator[Site]:
    site = Proxied(server, proxy)
    yield site
    site.client.close()


def outcome(site: Site, run: Run) -> str:
    try:
        run(site.client, operations.get(b"k"))
    except MomentoCacheError as error:
        return type(error).__name__
    return "answered"


def go_silent(site: Site, proxy: TcpProxy, run: Run) -> None:
    use(site, run)
    proxy.is_silent = True
    with short_timeouts(site.client, 0.5):
        assert "CallTimedOut" in {outcome(site, run) for _ in range(3)}
    assert "CircuitOpen" == outcome(site, run)


def test_the_first_call_of_a_quiet_process_after_an_outage_is_answered(
    site: Site, proxy: TcpProxy, run: Run
) -> None:
    """It sends the probe itself: a process that is frozen between calls has no background to do it in."""
    go_silent(site, proxy, run)
    wait_for_probes()
    proxy.is_silent = False
    time.sleep(2 * MAX_BACKOFF)
    with patient_probes():
        assert "answered" == outcome(site, run)


def test_a_process_without_threads_to_spare_recovers(
    site: Site, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No probe in the background can be begun: one caller after the other sends it."""
    go_silent(site, proxy, run_sync)
    proxy.is_silent = False

    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "momento-probe":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    eventually(lambda: outcome(site, run_sync) == "answered")


@pytest.mark.parametrize("connect_seconds", [0.4, 2.5], ids=["two probes", "many probes"])
def test_a_connection_that_takes_longer_than_a_probe_is_kept_for_the_next(
    connect_seconds: float, site: Site, proxy: TcpProxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the breaker would never close where connecting takes longer."""
    monkeypatch.setattr(transport, "PROBE_TIMEOUT", 0.2)
    go_silent(site, proxy, run)
    proxy.connect_seconds = connect_seconds
    proxy.is_silent = False
    proxy.reset()
    eventually(lambda: outcome(site, run) == "answered")


def test_a_probe_that_dies_of_anything_is_sent_again(
    site: Site, proxy: TcpProxy, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of certificates may be gone, or an answer odd; the log says so, and shows where."""
    reconnected = transport.Transport.reconnected
    died: list[Any] = []

    def die(link: transport.Transport) -> transport.Transport:
        if len(died) < 2:
            died.append(link)
            raise FileNotFoundError("roots.pem")
        return reconnected(link)

    # Before the outage: a probe that began in it may succeed as soon as it ends.
    monkeypatch.setattr(transport.Transport, "reconnected", die)
    go_silent(site, proxy, run)
    proxy.is_silent = False
    eventually(lambda: outcome(site, run) == "answered")
    assert 2 == len(died)
    assert caplog.text.count("FileNotFoundError: roots.pem") == 2


def test_an_outage_leaves_no_connection_behind(server: LocalServer, site: Site, proxy: TcpProxy) -> None:
    """Connections that were made for probes close when another was put to use, or with the client."""
    use(site, run_sync)
    use(site, run_async)
    before = connected(server)
    for run in (run_sync, run_async):
        go_silent(site, proxy, run)
        time.sleep(2 * breaker.PROBE_LEASE)
        assert "CircuitOpen" == outcome(site, run)
        proxy.is_silent = False
        eventually(lambda: outcome(site, run) == "answered")  # noqa: B023 - it is called at once
        use(site, run_sync)
        use(site, run_async)
    eventually(lambda: connected(server) <= before)
    seen = proxy.connections
    proxy.is_silent = True
    with short_timeouts(site.client, 0.5):
        with pytest.raises(CallTimedOut):
            site.client.run("tests", operations.has_key(b"k"))
        eventually(lambda: outcome(site, run_sync) == "CircuitOpen" and proxy.connections > seen)
    site.client.close()
    proxy.is_silent = False
    proxy.reset()
    eventually(lambda: connected(server) == 0)
    assert accepted(server) > before


def test_flushes_that_fail_refuse_no_other_call(server: LocalServer, site: Site, run: Run) -> None:
    """The control plane is another service: its state proves nothing of gets and sets."""
    use(site, run)
    server.stop()
    for _ in range(breaker.FAILURE_THRESHOLD + 1):
        with pytest.raises(ServerUnavailable):
            run(site.client, operations.clear("tests"))
    assert 0 == site.client.counts["circuit_openings"]
    assert "ServerUnavailable" == outcome(site, run)
