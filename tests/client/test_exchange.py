"""The client exchanges what it sends over while it is used: for another key or endpoint, and after idling."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from django_momento.client import channel, operations, rotation
from django_momento.client.channel import MAX_IDLE
from django_momento.client.metering import Tally
from django_momento.client.transport import Transport
from django_momento.exceptions import AuthenticationFailed, CredentialError
from django_momento.local import LocalServer
from django_momento.local.dispatch import Dispatcher
from django_momento.local.errors import InjectedFault
from tests.kit import sites as fixtures
from tests.kit.clock import Clock
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
from tests.kit.waiting import HANG_GUARD

run, server, site = fixtures.run, fixtures.server, fixtures.site


@pytest.mark.parametrize("verb", VERBS)
def test_a_call_whose_key_is_refused_is_answered_with_the_new_one(
    server: LocalServer, site: Site, run: Run, verb: str
) -> None:
    """Whichever way it was sent, over the same connections, after one look at where the key is kept."""
    use(site, run_sync)
    use(site, run_async)
    before = accepted(server)
    site.move(server, "new")
    server.accept_only("new")
    run(site.client, VERBS[verb]())
    use(site, run)
    assert (1, before) == (site.fetches, accepted(server))
    assert {"circuit_openings": 0, "keys_replaced": 1}.items() <= site.client.counts.items()
    assert site.client.credential is site.credential


@pytest.mark.parametrize("verb", VERBS)
def test_a_call_that_is_held_up_until_its_transport_is_closed_goes_over_the_next_one(
    server: LocalServer, site: Site, run: Run, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread may pause, and its event loop be busy, between the choice of a transport and the sending."""
    use(site, run)
    server.reset_calls()
    with LocalServer(caches=["tests"], api_keys=["new"]) as other:

        def move() -> None:
            site.move(other, "new")
            site.client.refresh("tests").run()
            eventually(lambda: not any(thread.name == "momento-close" for thread in threading.enumerate()))
            other.reset_calls()

        hold_up(monkeypatch, site.client.transport, move)
        tally = Tally()
        run(site.client, VERBS[verb](), tally)
        assert {} == server.calls
        assert tally.requests == other.calls.total() > 0
    assert {"circuit_openings": 0, "keys_replaced": 1}.items() <= site.client.counts.items()


def hold_up(monkeypatch: pytest.MonkeyPatch, transport: Transport, act: Callable[[], None]) -> None:
    """Do something before each call over a transport."""
    for name in ("call", "acall"):
        original = getattr(Transport, name)

        def call(ours: Transport, *args: Any, original: Any = original) -> Any:
            if ours is transport:
                act()
            return original(ours, *args)

        monkeypatch.setattr(Transport, name, call)


def test_calls_together_are_answered_with_the_new_key_if_some_were_refused(
    server: LocalServer, site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were answered before the server changed its mind are not sent again."""
    run(site.client, operations.set(b"k", b"v", 60_000))
    site.move(server, "new")
    keys: list[str] = []
    authenticate = Dispatcher.authenticate

    def change_its_mind(dispatcher: Dispatcher, metadata: dict[str, str]) -> None:
        keys.append(metadata["authorization"])
        if len(keys) == 2:
            server.accept_only("new")
        authenticate(dispatcher, metadata)

    monkeypatch.setattr(Dispatcher, "authenticate", change_its_mind)
    asked = [b"k", *(b"%d" % number for number in range(3000))]
    assert {b"k": b"v"} == run(site.client, operations.get_many(asked))
    # Four chunks of which one was answered, the first use of the new key, and the three others again.
    assert ["old"] * 4 + ["new"] * 4 == keys
    assert 1 == site.fetches


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_without_a_successor_is_refused_at_the_price_of_one_fetch(
    server: LocalServer, site: Site, run: Run, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error stands, and Secrets Manager is left alone while the cool-down lasts."""
    monkeypatch.setattr(rotation, "monotonic", Clock())  # however long the calls take
    server.accept_only("new")
    for _ in range(20):
        with pytest.raises(AuthenticationFailed, match="refused the API key"):
            run(site.client, VERBS[verb]())
    assert (1, 0) == (site.fetches, site.client.counts["keys_replaced"])


def test_a_new_key_that_is_refused_too_is_not_put_to_use(
    server: LocalServer, site: Site, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The secret may be ahead of the server; the old key may still do elsewhere, and no key is shown."""
    site.move(server, "newest-key")
    server.accept_only("new")
    with pytest.raises(AuthenticationFailed):
        run(site.client, operations.get(b"k"))
    assert "old" == site.client.credential.api_key
    # Written after the fetch has ended, because a handler of log lines may use the cache.
    eventually(lambda: "the old one stays: Momento at" in caplog.text)
    assert "newest-key" not in caplog.text


def test_a_key_that_cannot_be_fetched_leaves_the_error_that_there_was(
    server: LocalServer, site: Site, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns that the key was refused, and the log why there is no other."""
    server.accept_only("new")
    site.error = CredentialError("ThrottlingException.", "Wait.")
    with pytest.raises(AuthenticationFailed):
        run(site.client, operations.get(b"k"))
    eventually(lambda: "the old one stays: ThrottlingException. Wait." in caplog.text)


def test_a_changed_endpoint_moves_all_calls_and_closes_the_old_connections(
    server: LocalServer, site: Site, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """No call fails, and nothing is left at the old place."""
    caplog.set_level(logging.INFO, "django_momento")
    use(site, run)
    assert connected(server) > 0
    with LocalServer(caches=["tests"], api_keys=["new"], admin_port=0) as other:
        site.move(other, "new")
        server.accept_only("new")
        use(site, run)
        server.reset_calls()
        use(site, run)
        assert ({}, other.address) == (server.calls, site.client.credential.endpoint)
        # The SDK leaves a call that was refused to it, and with it the connection.
        eventually(lambda: gc.collect() >= 0 and connected(server) == 0)
        # Written after the fetch has ended, which may be on a thread of its own.
        eventually(lambda: "was replaced" in caplog.text)
        assert ["The API key of Momento was replaced: the test."] == [
            record.getMessage() for record in caplog.records if record.levelno == logging.INFO
        ]


def test_an_idle_thread_keeps_no_connection_to_the_old_endpoint(server: LocalServer, site: Site) -> None:
    """A thread that once called an async verb, as a WSGI worker with an async view, may never call again."""
    use(site, run_sync)
    go_on = threading.Event()
    with ThreadPoolExecutor(4) as pool, LocalServer(caches=["tests"], api_keys=["new"]) as other:
        used = threading.Barrier(5)

        def use_and_idle() -> None:
            use(site, run_async)
            used.wait(HANG_GUARD)
            go_on.wait(HANG_GUARD)

        for _ in range(4):
            pool.submit(use_and_idle)
        used.wait(HANG_GUARD)
        site.move(other, "new")
        server.accept_only("new")
        use(site, run_sync)
        eventually(lambda: connected(server) == 0)
        go_on.set()


@pytest.mark.parametrize("verb", ["get", "has_key", "get_many"])
def test_a_call_with_the_new_key_is_retried_like_any_other(
    server: LocalServer, site: Site, run: Run, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both faces send it again after UNAVAILABLE too, and a list of calls call by call."""
    use(site, run)
    site.move(server, "new")
    server.accept_only("new")
    authenticate = Dispatcher.authenticate
    failures = [InjectedFault(grpc.StatusCode.UNAVAILABLE)]

    def refuse_once(dispatcher: Dispatcher, metadata: dict[str, str]) -> None:
        authenticate(dispatcher, metadata)
        if failures and site.client.counts["keys_replaced"]:
            raise failures.pop()

    monkeypatch.setattr(Dispatcher, "authenticate", refuse_once)
    run(site.client, VERBS[verb]())
    assert ([], 1) == (failures, site.fetches)


def test_a_fetch_that_ends_after_close_puts_nothing_to_use(server: LocalServer, site: Site, run: Run) -> None:
    """A fetch that began before the end connects to nothing; the next call fetches for itself."""
    use(site, run)
    refresh = site.client.refresh("tests")
    site.client.close()
    site.move(server, "new")
    refresh.run()
    assert 1 == site.fetches
    assert site.client.credential is None
    gc.collect()
    eventually(lambda: connected(server) == 0)
    server.accept_only("new")
    use(site, run)
    assert site.client.credential is site.credential


@pytest.mark.parametrize("verb", VERBS)
def test_a_container_that_was_frozen_calls_over_a_new_connection(
    server: LocalServer, site: Site, run: Run, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load balancer has dropped the old: no call may find that out by its deadline."""
    clock = Clock()
    monkeypatch.setattr(channel, "wall", clock)
    for _ in range(2):
        run(site.client, VERBS[verb]())
    before = accepted(server)
    clock.advance(MAX_IDLE + 1)
    run(site.client, VERBS[verb]())
    assert 2 * before == accepted(server)
    eventually(lambda: connected(server) == before)
    run(site.client, VERBS[verb]())
    assert 2 * before == accepted(server)
