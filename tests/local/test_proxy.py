"""The proxy of the local server closes each connection that it drops."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Coroutine
from typing import Any

from django_momento.local.proxy import Proxy
from tests.kit.waiting import HANG_GUARD


def test_a_connection_that_is_dropped_at_once_is_closed() -> None:
    """Its task may not have started yet."""

    async def main() -> None:
        backend = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        proxy = Proxy()
        proxy.delay(HANG_GUARD * 10)
        port = await proxy.start("127.0.0.1", 0, backend.sockets[0].getsockname()[1])
        for number in range(1, 21):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while proxy.accepted < number:  # noqa: ASYNC110 - it is to be seen in the same turn
                await asyncio.sleep(0)
            proxy.drop()
            assert b"" == await asyncio.wait_for(reader.read(), HANG_GUARD)
            writer.close()
        assert 0 == proxy.connections
        await proxy.stop()
        backend.close()

    asyncio.run(main())


def test_a_connection_whose_client_reads_nothing_ends_with_the_proxy() -> None:
    """Bytes that are left to send keep no socket open."""

    async def main() -> socket.socket:
        def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(64 * 1024 * 1024))
            writer.close()

        backend = await asyncio.start_server(flood, "127.0.0.1", 0)
        proxy = Proxy()
        port = await proxy.start("127.0.0.1", 0, backend.sockets[0].getsockname()[1])
        client = socket.create_connection(("127.0.0.1", port))
        while not proxy.connections:  # noqa: ASYNC110 - it is the proxy's own turn
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await proxy.stop()
        backend.close()
        return client

    assert [] == warnings_of(main())


def test_a_connection_that_is_accepted_while_the_proxy_stops_is_closed() -> None:
    """The system has accepted it, but asyncio has not made its transport yet."""

    async def main() -> socket.socket:
        backend = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        proxy = Proxy()
        port = await proxy.start("127.0.0.1", 0, backend.sockets[0].getsockname()[1])
        client = socket.create_connection(("127.0.0.1", port))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await proxy.stop()
        backend.close()
        return client

    assert [] == warnings_of(main())


def warnings_of(main: Coroutine[Any, Any, socket.socket]) -> list[str]:
    """Return the warnings of what was left open by a coroutine, which returns its client."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with asyncio.run(main):
            gc.collect()
    return [str(each.message) for each in caught]
