"""The requests that a client makes of its own accord are counted apart from those of cache calls."""

from __future__ import annotations

import pytest

from django_momento.client import operations
from django_momento.client.metering import Tally
from django_momento.exceptions import CircuitOpen, MomentoCacheError, ServerUnavailable
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.sites import Run, Site, eventually, use
from tests.kit.timeouts import wait_for_probes

run, server, site = fixtures.run, fixtures.server, fixtures.site


def background(site: Site) -> tuple[int, int]:
    counts = site.client.counts
    return counts["background_requests"], counts["background_operations"]


def test_the_first_request_with_a_new_key_is_counted(server: LocalServer, site: Site, run: Run) -> None:
    """With the requests of calls they are all that the server has seen."""
    use(site, run)
    assert (0, 0) == background(site)
    server.accept_only("new")
    site.move(server, "new")
    server.reset_calls()
    tally = Tally()
    run(site.client, operations.get(b"k"), tally)

    assert 1 == site.client.counts["keys_replaced"]
    assert (1, 1) == background(site)
    assert server.calls.total() == tally.requests + 1
    assert server.operations.total() == tally.operations + 1


def test_probes_are_counted_and_cost_nothing_while_the_server_fails(
    server: LocalServer, site: Site, run: Run
) -> None:
    """The one that ends the outage costs an operation."""
    use(site, run)
    server.reset_calls()
    server.fail("unavailable")
    tally = Tally()
    while not site.client.is_circuit_open:
        with pytest.raises((ServerUnavailable, CircuitOpen)):
            run(site.client, operations.get(b"k"), tally)

    def has_probed_in_vain() -> bool:
        with pytest.raises(MomentoCacheError):
            run(site.client, operations.get(b"k"), tally)
        return background(site)[0] > 0

    eventually(has_probed_in_vain)
    assert 0 == background(site)[1]
    server.fail()

    def works() -> bool:
        try:
            run(site.client, operations.get(b"k"), tally)
        except MomentoCacheError:
            return False
        return True

    eventually(works)
    wait_for_probes()
    requests, charged = background(site)
    assert charged >= 1
    # The server has not seen a probe that was cancelled because another connection responded before it.
    assert tally.requests < server.calls.total() <= tally.requests + requests


def test_an_operation_in_the_background_is_counted_with_its_retries(server: LocalServer, site: Site) -> None:
    """Also one that fails."""
    site.client.run_in_background("tests", operations.get(b"k"))
    server.fail("internal")
    with pytest.raises(MomentoCacheError):
        site.client.run_in_background("tests", operations.get(b"k"))
    server.fail()

    assert server.calls.total() > 2
    assert (server.calls.total(), server.operations.total()) == background(site)
