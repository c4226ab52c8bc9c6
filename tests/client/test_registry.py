"""The process-wide clients: one per configuration, made once, forgotten by forked children."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.client import Client
from django_momento.client.registry import clients
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import credential
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit import aws as fixtures
from tests.kit.aws import FakeAws
from tests.kit.waiting import HANG_GUARD

# pytest finds fixtures by the names of a module.
aws_environment, fake_aws = fixtures.aws_environment, fixtures.fake_aws

EMBEDDED = ConnectionOptions("embedded")


def connected(options: ConnectionOptions) -> Client:
    """Return the client for these options, with a key."""
    client = clients.get(options)
    client.get_credential()
    return client


async def aconnected(options: ConnectionOptions) -> Client:
    client = clients.get(options)
    await client.aget_credential()
    return client


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[ConnectionOptions]:
    """What was fetched, by whichever thread."""
    fetched: list[ConnectionOptions] = []
    fetch = credential.fetch

    def counted(options: ConnectionOptions, refresh: bool = False) -> credential.Credential:
        fetched.append(options)
        return fetch(options, refresh)

    monkeypatch.setattr(credential, "fetch", counted)
    return fetched


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    """Run something in many threads, released together. Return their results and errors."""
    gate = threading.Barrier(count)

    def released() -> Any:
        gate.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(released) for _ in range(count)]]


def test_equal_options_share_a_client(fetches: list[ConnectionOptions]) -> None:
    """Two aliases of one Momento account use one connection."""
    client = connected(EMBEDDED)
    assert connected(ConnectionOptions("embedded")) is client
    assert connected(ConnectionOptions("embedded", client_timeout=3.0)) is not client
    assert len(fetches) == 2


def test_two_hundred_threads_cost_one_secret_and_one_client(
    momento: LocalServer, fake_aws: FakeAws, settings: Any
) -> None:
    """However many requests a cold process gets at once: one GetSecretValue, one CacheClient."""
    secret = {"api_key": "any", "endpoint": momento.address}
    fake_aws.body = json.dumps({"SecretString": json.dumps(secret)}).encode()
    options = {"SECRET_ID": "Momento_Auth_Token", "REGION": "us-west-2", "CLIENT_TIMEOUT": HANG_GUARD}
    settings.CACHES = {
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": CACHE_NAME,
            "OPTIONS": options,
        }
    }

    def use() -> Any:
        cache = caches["default"]
        assert isinstance(cache, MomentoCache)
        cache.set("key", "value")
        return connected(cache.options.connection), cache.get("key")

    answers = at_once(200, use)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert len({id(client) for client, _ in answers}) == 1
    assert {value for _, value in answers} == {"value"}
    assert fake_aws.requests == 1


def test_threads_share_a_failure_and_the_next_call_tries_again(
    fetches: list[ConnectionOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that cannot be had is asked for once by those who wait, and once more by who comes later."""
    options = ConnectionOptions("env")
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    with pytest.raises(CredentialError):
        connected(options)
    with pytest.raises(CredentialError):
        connected(options)
    assert len(fetches) == 2
    monkeypatch.setenv("MOMENTO_API_KEY", "any")
    monkeypatch.setenv("MOMENTO_ENDPOINT", "127.0.0.1:1")
    assert connected(options) is connected(options)


def test_waiting_threads_hear_of_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred threads do not ask a Secrets Manager that fails two hundred times, one after the other."""
    asked = []

    def fails(options: ConnectionOptions, refresh: bool) -> credential.Credential:
        asked.append(options)
        time.sleep(0.2)
        raise CredentialError("No.")

    monkeypatch.setattr(credential, "fetch", fails)
    errors = at_once(200, lambda: connected(EMBEDDED))
    assert {type(error) for error in errors} == {CredentialError}
    assert len({id(error) for error in errors}) == len(asked) < 200


def test_two_hundred_tasks_cost_one_client(fetches: list[ConnectionOptions]) -> None:
    """A cold process may get all of its first requests on one event loop."""

    async def main() -> list[Any]:
        return await asyncio.gather(*(aconnected(EMBEDDED) for _ in range(200)))

    assert len({id(client) for client in asyncio.run(main())}) == 1
    assert len(fetches) == 1


def test_tasks_and_threads_share_a_client(fetches: list[ConnectionOptions]) -> None:
    """Both faces of a cache use the same connection, whichever came first."""
    first = asyncio.run(aconnected(EMBEDDED))
    assert connected(EMBEDDED) is first
    assert asyncio.run(aconnected(EMBEDDED)) is first
    assert len(fetches) == 1


def test_a_task_hears_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the thread that fetches is the task's, and the next call tries again."""
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    for _ in range(2):
        with pytest.raises(CredentialError):
            asyncio.run(aconnected(ConnectionOptions("env")))


def test_an_event_loop_goes_on_while_a_key_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other requests do not wait for the first one's secret, and one that is gone takes nothing with it."""
    fetched, go_on = threading.Event(), threading.Event()
    fetch = credential.fetch

    def slow(options: ConnectionOptions, refresh: bool) -> credential.Credential:
        fetched.set()
        assert go_on.wait(60)
        return fetch(options, refresh)

    monkeypatch.setattr(credential, "fetch", slow)

    async def main() -> None:
        impatient = asyncio.ensure_future(aconnected(EMBEDDED))
        patient = asyncio.ensure_future(aconnected(EMBEDDED))
        await asyncio.to_thread(fetched.wait, 60)
        impatient.cancel()
        await asyncio.sleep(0)
        assert impatient.cancelled()
        go_on.set()
        assert await patient is connected(EMBEDDED)

    asyncio.run(main())


def test_close_makes_the_next_call_start_anew(make_cache: MakeCache) -> None:
    """Closing is for shutdowns, but a call after it still works."""
    cache = make_cache()
    cache.set("key", "value")
    first = clients.get(cache.options.connection)
    transport = first.current
    clients.close()
    assert first.credential is None
    assert cache.get("key") == "value"
    assert clients.get(cache.options.connection) is first
    assert first.current is not transport


def test_clients_of_different_servers_do_not_mix(momento: LocalServer) -> None:
    """The endpoint is part of what tells clients apart."""
    with LocalServer(caches=[CACHE_NAME]) as other:
        here = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento)})
        there = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(other)})
        here.set("key", "here")
        there.set("key", "there")
        assert [here.get("key"), there.get("key")] == ["here", "there"]


def key_from_the_cache() -> str:
    """A callable as CREDENTIALS may name one, which needs what it is there to provide."""
    nest[0](lambda: connected(SELF_SERVING).run("tests", operations.get(b"k")))
    return "unreachable"


def in_a_task(use: Callable[[], Any]) -> None:
    async def main() -> None:
        await clients.get(SELF_SERVING).arun("tests", operations.get(b"k"))

    asyncio.run(main())


def in_a_log_handler(use: Callable[[], Any]) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            use()

    logger, handler = logging.getLogger("tests.client.nested"), Handler()
    logger.addHandler(handler)
    try:
        logger.warning("a callable may write a log line")
    finally:
        logger.removeHandler(handler)


SELF_SERVING = ConnectionOptions("tests.client.test_registry.key_from_the_cache")
NESTS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "directly": lambda use: use(),
    "in asyncio.run": in_a_task,
    "in a log handler": in_a_log_handler,
}
nest: list[Callable[[Callable[[], Any]], Any]] = []


@pytest.fixture(params=NESTS.values(), ids=list(NESTS))
def nested(request: pytest.FixtureRequest) -> Iterator[None]:
    nest[:] = [request.param]
    yield
    clients.get(SELF_SERVING).forget()


@pytest.mark.usefixtures("nested")
def test_a_callable_that_uses_the_cache_it_is_to_open_is_told_so() -> None:
    """It would wait for itself, and all others with it, on either face and however it is nested."""
    with pytest.raises(CredentialError) as failed:
        connected(SELF_SERVING)
    assert "key_from_the_cache" in messages(failed.value)
    assert "uses this very cache" in messages(failed.value)
    clients.get(SELF_SERVING).forget()
    with pytest.raises(CredentialError) as failed:
        asyncio.run(asyncio.wait_for(aconnected(SELF_SERVING), HANG_GUARD))
    assert "uses this very cache" in messages(failed.value)


def messages(error: BaseException | None) -> str:
    """Return the texts of an error and of its causes."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return " ".join(texts)
