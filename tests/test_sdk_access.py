"""The SDK with this backend's key: its live client, and the provider of the key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from momento import CacheClient, TopicClient
from momento.config import TopicConfigurations
from momento.responses import CacheDictionaryFetch, TopicPublish

import django_momento
from django_momento.client.registry import clients
from django_momento.exceptions import ConfigurationError
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, MakeCache
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD
from tests.processes.sockets import established

BACKEND = "django_momento.cache.MomentoCache"


@pytest.fixture
def momento() -> Iterator[LocalServer]:
    """A server to which no other test has connections."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        yield server


def test_the_client_of_an_alias_has_collections(make_cache: MakeCache) -> None:
    """It is connected and has the key, before and after the first call of the cache."""
    cache = make_cache(alias="pages")
    sdk = django_momento.sdk_client("pages")

    assert isinstance(sdk, CacheClient)
    sdk.dictionary_set_fields(CACHE_NAME, "shop", {"tea": "5"})
    cache.set("key", 1)
    assert django_momento.sdk_client("pages") is sdk
    response = sdk.dictionary_fetch(CACHE_NAME, "shop")
    assert isinstance(response, CacheDictionaryFetch.Hit)
    assert {"tea": "5"} == response.value_dictionary_string_string


def test_the_provider_of_an_alias_makes_a_client_of_topics(make_cache: MakeCache) -> None:
    """Topics have a client of their own."""
    make_cache()
    provider = django_momento.credential_provider()
    with TopicClient(TopicConfigurations.Default.latest(), provider) as topics:
        assert isinstance(topics.publish(CACHE_NAME, "topic", "message"), TopicPublish.Success)


def test_a_new_key_is_that_of_the_next_client(settings: Any, tmp_path: Path) -> None:
    """Whoever asks for the client before each use has the key in use."""
    file = tmp_path / "key"
    file.write_text("the-first-key")
    with LocalServer(api_keys=["the-first-key"], caches=[CACHE_NAME]) as server:
        options: dict[str, Any] = {"CREDENTIALS": "file", "API_KEY_FILE": str(file)}
        options |= {"ENDPOINT": server.address, "CLIENT_TIMEOUT": HANG_GUARD}
        settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        assert "the-first-key" == django_momento.credential_provider().auth_token
        file.write_text("the-second-key")
        server.accept_only("the-second-key")
        caches["default"].set("key", "value")

        assert "the-second-key" == django_momento.credential_provider().auth_token


@table("function", [django_momento.sdk_client, django_momento.credential_provider], afresh=True)
def test_an_alias_of_another_backend_is_refused(settings: Any, function: Any) -> None:
    """By name."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    with pytest.raises(ConfigurationError, match=r"CACHES\['default'\] uses DummyCache"):
        function()


def test_connections_are_closed_and_made_again(make_cache: MakeCache, momento: LocalServer) -> None:
    """None is left when the function returns, and the next call connects."""
    cache = make_cache()
    cache.set_many({"key": "value", "other": "value"})
    assert established(os.getpid(), momento.address) > 0
    django_momento.close_connections()
    django_momento.close_connections()
    assert 0 == established(os.getpid(), momento.address)

    assert cache.get("key") == "value"
    client = clients.peek(cache.options.connection)
    assert client is not None
    assert client.credential is not None


@table(
    "calls",
    [
        [("aget", "key")],
        [("aget", "key"), ("aget", "other")],
        [("aget_many", ["key", "other"])],
        [("aset_many", {"key": 1, "other": 2})],
    ],
    ids=["one get", "gathered gets", "get_many", "set_many"],
    afresh=True,
)
def test_cancelled_calls_keep_no_connection_open(
    make_cache: MakeCache, momento: LocalServer, calls: list[tuple[str, Any]]
) -> None:
    """Their connections are closed with all others."""
    cache = make_cache()
    cache.get("key")
    momento.reset_calls()
    momento.delay(60_000)

    async def cancel() -> None:
        tasks = [asyncio.ensure_future(getattr(cache, verb)(argument)) for verb, argument in calls]
        while not momento.calls.total():  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    try:
        asyncio.run(cancel())
    finally:
        momento.delay()
    django_momento.close_connections()

    assert 0 == established(os.getpid(), momento.address)


def test_a_process_without_a_client_closes_nothing() -> None:
    """Programs may call it without knowing."""
    django_momento.close_connections()
