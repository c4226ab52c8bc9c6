"""The client in an outage: one call waits, others are refused at once, and all is well when it is over."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from django_momento.client import breaker, operations
from django_momento.client.breaker import FAILURE_THRESHOLD
from django_momento.client.metering import Tally
from django_momento.clock import monotonic
from django_momento.exceptions import CallTimedOut, CircuitOpen, LimitExceeded, MomentoCacheError
from django_momento.local import LocalServer
from django_momento.local.limits import NO_LIMITS
from tests.kit import sites as fixtures
from tests.kit.sites import (
    VERBS,
    Run,
    Site,
    accepted,
    connected,
    eventually,
    run_async,
    run_sync,
    use,
)
from tests.kit.timeouts import patient_probes, short_timeouts
from tests.kit.waiting import HANG_GUARD

run, server, site = fixtures.run, fixtures.server, fixtures.site


@contextmanager
def silence(server: LocalServer, site: Site) -> Iterator[None]:
    """Let the server be silent, and the calls of a site wait for no more than a moment."""
    server.delay(60_000)
    try:
        with short_timeouts(site.client, 0.3):
            yield
    finally:
        server.delay()


def fall_silent(server: LocalServer, site: Site, run: Run) -> None:
    """Let the server be silent, and a call find out."""
    server.delay(60_000)
    with short_timeouts(site.client, 0.3):
        assert "CallTimedOut" in failures(site, run, 10)


def failures(site: Site, run: Run, calls: int) -> list[str]:
    """Return how each of so many calls failed, by the names of their errors."""
    failed = []
    for _ in range(calls):
        try:
            run(site.client, operations.get(b"k"))
        except MomentoCacheError as error:
            failed.append(type(error).__name__)
    return failed


def answered(site: Site, run: Run) -> bool:
    return not failures(site, run, 1)


def is_usable(site: Site, run: Run) -> bool:
    """Return whether each verb succeeds."""
    try:
        use(site, run)
    except MomentoCacheError:
        return False
    return True


@pytest.mark.parametrize("verb", VERBS)
def test_of_a_thousand_calls_to_a_silent_server_one_waits(
    server: LocalServer, run: Run, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are refused at once, and say why."""
    monkeypatch.setattr(breaker, "INITIAL_BACKOFF", 1000.0)  # No probe is sent.
    site, refused = Site(server), Tally()
    use(site, run)
    server.reset_calls()
    with silence(server, site), pytest.raises(CallTimedOut):
        run(site.client, VERBS[verb]())
    for _ in range(999):
        with pytest.raises(
            CircuitOpen, match=r"because of: Momento at \S+ did not respond to .* within 0.3 s"
        ):
            run_sync(site.client, VERBS[verb](), refused)
    assert 0 == refused.requests
    assert server.calls.total() <= 2
    assert 1 == site.client.counts["circuit_openings"]


def test_a_server_that_speaks_again_is_used_over_new_connections(
    server: LocalServer,
    site: Site,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old ones may have died; they are closed. The log has one line for each turn of events."""
    monkeypatch.setattr(breaker, "PROBE_LEASE", HANG_GUARD)  # Two probes at once may both succeed.
    use(site, run)
    before = accepted(server)
    fall_silent(server, site, run)
    server.delay()
    eventually(lambda: answered(site, run))
    assert 1 == site.client.counts["circuit_openings"]
    use(site, run)
    assert accepted(server) > before
    eventually(lambda: gc.collect() >= 0 and connected(server) <= before)
    ours = [record.getMessage() for record in caplog.records if record.name == "django_momento"]
    assert 2 == len(ours)
    assert "is not asked until it answers a probe" in ours[0]
    assert f"Momento at {server.address} responds again." == ours[1]


def test_outages_leave_nothing_behind(server: LocalServer, site: Site) -> None:
    """Connections and threads are as many after several outages as before the first."""
    use(site, run_sync)
    use(site, run_async)
    before = connected(server), threading.active_count()
    for _ in range(5):
        with silence(server, site):
            for run in (run_sync, run_async):
                assert set(failures(site, run, 5)) <= {"CallTimedOut", "CircuitOpen"}
        eventually(partial(is_usable, site, run_sync))
        eventually(partial(is_usable, site, run_async))
    assert site.client.counts["circuit_openings"] >= 5
    gc.collect()
    eventually(lambda: connected(server) <= before[0] and threading.active_count() <= before[1])


def test_a_server_that_refuses_connections_is_asked_a_few_times_only(
    server: LocalServer, site: Site, run: Run
) -> None:
    """A dead server costs a few calls that fail at once, and is used again when it is back."""
    use(site, run)
    server.stop()
    kinds = failures(site, run, 100)
    assert {"ServerUnavailable", "CircuitOpen"} == set(kinds)
    assert kinds.count("ServerUnavailable") <= FAILURE_THRESHOLD
    server.start()
    eventually(lambda: answered(site, run))
    use(site, run)


def test_a_throttled_service_is_never_given_up(run: Run) -> None:
    """A limit that was hit is an answer: no breaker opens, nothing is repeated, nothing is connected anew."""
    limits = NO_LIMITS._replace(operations_per_second=5)
    with LocalServer(caches=["tests"], limits=limits, admin_port=0) as server:
        site = Site(server)
        kinds = failures(site, run, 200)
        assert {"LimitExceeded"} == set(kinds)
        assert (200, 1) == (server.calls["Get"], accepted(server))
        assert 0 == site.client.counts["circuit_openings"]
        with pytest.raises(LimitExceeded):
            run(site.client, operations.delete_many([b"%d" % number for number in range(20)]))
        assert 0 == site.client.counts["circuit_openings"]


def test_an_error_that_momento_answers_closes_the_breaker(server: LocalServer, site: Site, run: Run) -> None:
    """A probe that is refused for its key, or for a cache that is missing, has found Momento."""
    use(site, run)
    fall_silent(server, site, run)
    server.accept_only("new")
    server.delay()
    eventually(lambda: failures(site, run, 1) == ["AuthenticationFailed"])
    assert failures(site, run, 1) == ["AuthenticationFailed"]


def test_a_key_that_changed_during_an_outage_is_found_after_it(
    server: LocalServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotations do not wait for outages to end."""
    late = 0.0
    monkeypatch.setattr(breaker, "INITIAL_BACKOFF", 1000.0)  # A probe without a response has the key fetched.
    monkeypatch.setattr(breaker, "monotonic", lambda: monotonic() + late)
    site = Site(server)
    use(site, run)
    fall_silent(server, site, run)
    assert 0 == site.fetches
    site.move(server, "new")
    server.accept_only("new")
    server.delay()
    late = 3000.0
    with patient_probes():
        eventually(lambda: answered(site, run))
    assert (1, 1) == (site.fetches, site.client.counts["keys_replaced"])


def test_closing_while_the_breaker_is_open_ends_the_probes(server: LocalServer, site: Site, run: Run) -> None:
    """A client that is given up during an outage makes no connection after it."""
    use(site, run)
    fall_silent(server, site, run)
    site.client.close()
    server.delay()
    eventually(lambda: gc.collect() >= 0 and connected(server) == 0)
