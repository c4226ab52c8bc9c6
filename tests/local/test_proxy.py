"""The proxy of the local server closes each connection that it drops."""

from __future__ import annotations

import asyncio

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
