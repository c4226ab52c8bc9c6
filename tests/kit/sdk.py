"""Momento's own clients, sync and async, as one: every call blocks until it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from momento import (
    CacheClient,
    CacheClientAsync,
    Configurations,
    CredentialProvider,
    TopicClient,
    TopicClientAsync,
    TopicConfigurations,
)

from django_momento.local import LocalServer

TTL = timedelta(seconds=60)


class Blocking:
    """An async client whose methods return what their coroutines do, all on one loop."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    def close(self) -> None:
        self._loop.run_until_complete(self._client.__aexit__(None, None, None))
        self._loop.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run_until_complete(method(*args, **kwargs))

        return call


@contextmanager
def blocking(make: Callable[[], Any]) -> Iterator[Blocking]:
    loop = asyncio.new_event_loop()

    async def made() -> Any:
        return make()

    client = Blocking(loop.run_until_complete(made()), loop)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def cache_client(server: LocalServer, colour: str) -> Iterator[Any]:
    credentials = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    if colour == "sync":
        with CacheClient(Configurations.Laptop.v1(), credentials, TTL) as client:
            yield client
    else:
        with blocking(lambda: CacheClientAsync(Configurations.Laptop.v1(), credentials, TTL)) as client:
            yield client


@contextmanager
def topic_client(server: LocalServer) -> Iterator[TopicClient]:
    credentials = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    with TopicClient(TopicConfigurations.Default.v1(), credentials) as client:
        yield client


def topic_client_async(server: LocalServer) -> TopicClientAsync:
    credentials = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    return TopicClientAsync(TopicConfigurations.Default.v1(), credentials)
