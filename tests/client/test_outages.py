"""The client in an outage: one call waits, others are refused at once, and all is well when it is over."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from django_momento.client import breaker, operations
from django_momento.client.breaker import FAILURE_THRESHOLD
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

run, server, site = fixtures.run, fixtures.server, fixtures.site


@pytest.fixture
def impatient(server: LocalServer) -> Iterator[Site]:
    """A site whose calls wait for no more than a moment."""
    yield Site(server, client_timeout=0.3)
    server.delay()


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
    """Return whether each verb succeeds. On a busy machine a call may take longer than the site waits."""
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
    impatient = Site(server, client_timeout=0.3)
    use(impatient, run)
    server.delay(60_000)
    server.reset_calls()
    with pytest.raises(CallTimedOut):
        run(impatient.client, VERBS[verb]())
    sent = server.calls.total()
    for _ in range(999):
        with pytest.raises(
            CircuitOpen, match=r"because of: Momento at \S+ did not respond to .* within 0.3 s"
        ):
            run_sync(impatient.client, VERBS[verb]())
    assert sent == server.calls.total() <= 2
    assert 1 == impatient.client.counts["circuit_openings"]


def test_a_server_that_speaks_again_is_used_over_new_connections(
    server: LocalServer, impatient: Site, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The old ones may have died; they are closed. The log has one line for each turn of events."""
    use(impatient, run)
    before = accepted(server)
    server.delay(60_000)
    assert "CallTimedOut" in failures(impatient, run, 10)
    server.delay()
    eventually(lambda: answered(impatient, run))
    assert 1 == impatient.client.counts["circuit_openings"]
    use(impatient, run)
    assert accepted(server) > before
    gc.collect()
    eventually(lambda: connected(server) <= before)
    ours = [record.getMessage() for record in caplog.records if record.name == "django_momento"]
    assert 2 == len(ours)
    assert "is not asked until it answers a probe" in ours[0]
    assert f"Momento at {server.address} responds again." == ours[1]


def test_outages_leave_nothing_behind(server: LocalServer, impatient: Site) -> None:
    """Connections and threads are as many after several outages as before the first."""
    client = impatient.client
    eventually(partial(is_usable, impatient, run_sync))
    eventually(partial(is_usable, impatient, run_async))
    before = connected(server), threading.active_count()
    for _ in range(5):
        server.delay(60_000)
        for run in (run_sync, run_async):
            assert set(failures(impatient, run, 5)) <= {"CallTimedOut", "CircuitOpen"}
        server.delay()
        eventually(partial(is_usable, impatient, run_sync))
        eventually(partial(is_usable, impatient, run_async))
    assert client.counts["circuit_openings"] >= 5
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


def test_an_error_that_momento_answers_closes_the_breaker(
    server: LocalServer, impatient: Site, run: Run
) -> None:
    """A probe that is refused for its key, or for a cache that is missing, has found Momento."""
    use(impatient, run)
    server.delay(60_000)
    assert "CallTimedOut" in failures(impatient, run, 10)
    server.accept_only("new")
    server.delay()
    eventually(lambda: failures(impatient, run, 1) == ["AuthenticationFailed"])
    assert failures(impatient, run, 1) == ["AuthenticationFailed"]


def test_a_key_that_changed_during_an_outage_is_found_after_it(
    server: LocalServer, impatient: Site, run: Run
) -> None:
    """Rotations do not wait for outages to end."""
    use(impatient, run)
    server.delay(60_000)
    assert "CallTimedOut" in failures(impatient, run, 10)
    before = impatient.fetches  # A probe without a response has the secret read as well.
    impatient.move(server, "new")
    server.accept_only("new")
    server.delay()
    eventually(lambda: answered(impatient, run))
    assert (1, 1) == (impatient.fetches - before, impatient.client.counts["keys_replaced"])


def test_closing_while_the_breaker_is_open_ends_the_probes(
    server: LocalServer, impatient: Site, run: Run
) -> None:
    """A client that is given up during an outage makes no connection after it."""
    use(impatient, run)
    server.delay(60_000)
    assert "CallTimedOut" in failures(impatient, run, 10)
    impatient.client.close()
    server.delay()
    gc.collect()
    eventually(lambda: connected(server) == 0)
