"""A deadline that passes far too early, because the clock of the process was set during a call."""

from __future__ import annotations

import pytest

from django_momento.client import deadlines, operations
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.clock import Clock
from tests.kit.sites import Run, Site, use
from tests.kit.tables import table

run, server, site = fixtures.run, fixtures.server, fixtures.site


@pytest.mark.parametrize("verb", ["get", "has_key"])
def test_a_call_that_times_out_far_too_early_is_sent_again(
    server: LocalServer,
    site: Site,
    run: Run,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is no sign of an outage: the breaker stays shut, and one warning says that the clock was set."""
    use(site, run)
    early = [True, True]

    def timeout_for_grpc(seconds: float) -> float:
        return -1.0 if early and early.pop() else seconds

    # As if the time were frozen after the real one was compared with it.
    monkeypatch.setattr("django_momento.client.channel.timeout_for_grpc", timeout_for_grpc)
    monkeypatch.setattr("django_momento.client.transport.grpc_clock", lambda: 0.0)
    run(site.client, getattr(operations, verb)(b"k"))
    assert [] == early
    assert 0 == site.client.counts["circuit_openings"]
    assert 1 == caplog.text.count("timed out far too early")


@table("offset", [-1e9, -1.0, 0.0, 1.0, 1e9], afresh=True)
def test_a_timeout_is_in_real_seconds(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gRPC takes for the time."""
    clock = Clock()
    monkeypatch.setattr(deadlines, "wall", clock)
    monkeypatch.setattr(deadlines, "grpc_clock", lambda: clock.now + offset)
    assert pytest.approx(5.0 - offset, abs=0.1) == deadlines.timeout_for_grpc(5.0)
