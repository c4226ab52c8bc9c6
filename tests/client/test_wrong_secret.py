"""A secret that names a wrong endpoint, at the start or after a rotation, and is corrected later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from django_momento.client import operations, rotation
from django_momento.exceptions import MomentoCacheError, NotPermitted
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.clock import Clock
from tests.kit.ports import free_port
from tests.kit.sites import Run, Site, eventually, run_sync, use
from tests.kit.timeouts import impatient_transports, short_timeouts
from tests.kit.waiting import patience

run, server = fixtures.run, fixtures.server


def dead(stack: ExitStack) -> LocalServer:
    gone = stack.enter_context(LocalServer(caches=["tests"], port=free_port()))
    gone.stop()
    return gone


def silent(stack: ExitStack) -> LocalServer:
    server = stack.enter_context(LocalServer(caches=["tests"]))
    server.delay(60_000)
    return server


def without_the_cache(stack: ExitStack) -> LocalServer:
    return stack.enter_context(LocalServer(caches=["another"]))


def refusing(stack: ExitStack) -> LocalServer:
    return stack.enter_context(LocalServer(caches=["tests"], api_keys=["another"]))


WRONG: dict[str, Callable[[ExitStack], LocalServer]] = {
    "dead": dead,
    "silent": silent,
    "without the cache": without_the_cache,
    "refusing": refusing,
}


@pytest.fixture(params=WRONG.values(), ids=[*WRONG])
def wrong(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with ExitStack() as stack:
        yield request.param(stack)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "INITIAL_BACKOFF", 0.05)
    monkeypatch.setattr(rotation, "MAX_BACKOFF", 0.2)


def outcome(site: Site, run: Run) -> str:
    try:
        run(site.client, operations.get(b"k"))
    except MomentoCacheError as error:
        return type(error).__name__
    return "answered"


def fetch_again(site: Site) -> None:
    """Have the key fetched again as after a refusal, once the pause after the last fetch is over."""
    before = site.fetches
    for _ in patience():
        site.client.refresh("tests").run()
        if site.fetches > before:
            return
    pytest.fail("the key is not fetched again")


def test_a_wrong_endpoint_is_not_put_to_use_while_the_old_one_works(
    server: LocalServer, wrong: LocalServer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """No call fails, no breaker opens, and the log says why the old key stays."""
    site = Site(server)
    use(site, run)
    site.move(wrong, "old")
    for _ in range(3):
        with impatient_transports(0.5):
            fetch_again(site)
        use(site, run)
    assert {"circuit_openings": 0, "keys_replaced": 0}.items() <= site.client.counts.items()
    credential = site.client.credential
    assert credential is not None
    assert server.address == credential.endpoint
    assert "the old one stays: Momento at " in caplog.text
    with LocalServer(caches=["tests"], api_keys=["old"]) as right:
        site.move(right, "old")
        fetch_again(site)
        server.stop()
        use(site, run)
    assert 1 == site.client.counts["keys_replaced"]


def test_a_wrong_endpoint_at_the_start_is_left_when_the_secret_is_corrected(
    server: LocalServer, wrong: LocalServer, run: Run
) -> None:
    """The secret is read again while calls fail, and no process needs to be started anew."""
    with impatient_transports(0.5):
        site = Site(wrong)
        assert "answered" not in {outcome(site, run) for _ in range(20)}
    site.move(server, "old")
    eventually(lambda: outcome(site, run) == "answered")
    use(site, run)


def test_a_secret_that_stays_wrong_is_read_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """As after a refused key: secrets cost money, and Secrets Manager has limits."""
    clock = Clock()
    monkeypatch.setattr(rotation, "monotonic", clock)
    monkeypatch.setattr(rotation, "INITIAL_BACKOFF", 0.2)
    monkeypatch.setattr(rotation, "MAX_BACKOFF", 60.0)
    with LocalServer(caches=["another"]) as server:
        site = Site(server)
        for _ in range(30):
            assert "CacheNotFound" == outcome(site, run)
            eventually(lambda: not site.client.is_fetching_key)
            clock.advance(0.05)
        assert 1 <= site.fetches <= 5


def test_a_key_that_is_not_permitted_is_fetched_again(server: LocalServer, run: Run) -> None:
    """The key of another account, say, which the secret has lost to the right one."""
    site = Site(server)
    server.fail("permission-denied")
    with pytest.raises(NotPermitted):
        run(site.client, operations.get(b"k"))
    eventually(lambda: site.fetches == 1)


def test_a_key_that_is_refused_after_an_outage_is_fetched_at_once(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses of fetches in an outage are not those after a refused key."""
    monkeypatch.setattr(rotation, "INITIAL_BACKOFF", 1000.0)
    monkeypatch.setattr(rotation, "MAX_BACKOFF", 1000.0)
    site = Site(server)
    use(site, run_sync)
    server.delay(60_000)
    with short_timeouts(site.client, 0.3):
        eventually(lambda: outcome(site, run_sync) == "CircuitOpen" and site.fetches == 1)
    server.delay()
    eventually(lambda: outcome(site, run_sync) == "answered")
    site.move(server, "new")
    server.accept_only("new")
    use(site, run_sync)
    assert 2 == site.fetches
