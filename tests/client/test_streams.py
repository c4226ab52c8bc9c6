"""Responses that are streams: however one ends, its connection is closed with the channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from momento.config.transport.transport_strategy import StaticGrpcConfiguration

from django_momento.client.calls import GetBatch
from django_momento.client.channel import CACHE, Channel
from django_momento.client.readers import Threads
from django_momento.local import LocalServer
from tests.kit import sites as fixtures
from tests.kit.sites import Site, connected, eventually
from tests.kit.starting import on_this_thread
from tests.kit.streams import NativeStream, let_status_come_first
from tests.kit.waiting import HANG_GUARD

server, site = fixtures.server, fixtures.site

METADATA = (("cache", "tests"), ("authorization", "old"))
REFUSED = (("cache", "tests"), ("authorization", "revoked"))
CALL = GetBatch((b"j", b"k"))

Read = Callable[[Channel, Any], Any]

READ: dict[str, Read] = {
    "call": lambda channel, metadata: channel.call(metadata, CALL),
    "start": lambda channel, metadata: channel.start(metadata, CALL).result(),
    "start_async": lambda channel, metadata: channel.start_async(metadata, CALL).result(HANG_GUARD),
}


@pytest.fixture
def channel(server: LocalServer, site: Site) -> Iterator[Channel]:
    """A channel that must leave no connection."""
    configuration = StaticGrpcConfiguration(timedelta(seconds=HANG_GUARD))
    channel = Channel(CACHE, site.credential, configuration)
    yield channel
    channel.close()
    eventually(lambda: not connected(server))


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize("metadata", [METADATA, REFUSED], ids=["served", "refused"])
def test_a_stream_whose_status_comes_before_its_other_events_leaves_no_connection(
    channel: Channel, server: LocalServer, monkeypatch: pytest.MonkeyPatch, read: Read, metadata: Any
) -> None:
    let_status_come_first(monkeypatch)
    if metadata is METADATA:
        assert 2 == len(read(channel, metadata))
    else:
        with pytest.raises(grpc.RpcError) as caught:
            read(channel, metadata)
        assert grpc.StatusCode.UNAUTHENTICATED == caught.value.code()
    assert 1 == connected(server)


def test_a_stream_that_is_cancelled_unread_leaves_no_connection(
    channel: Channel, server: LocalServer
) -> None:
    """As if one of several calls is interrupted, and the others were not read yet."""
    assert 2 == len(channel.call(METADATA, CALL))
    channel.start(METADATA, CALL).cancel()
    assert 1 == connected(server)


def test_a_stream_whose_reader_is_interrupted_leaves_no_connection(
    channel: Channel, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is cancelled at once, although the error and its frames are kept."""
    assert 2 == len(channel.call(METADATA, CALL))
    server.delay(1000 * HANG_GUARD)

    def interrupt(self: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(NativeStream, "_consume_next_event", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        channel.call(METADATA, CALL)
    server.delay()
    channel.close()
    eventually(lambda: not connected(server))
    assert caught.tb is not None


def test_a_stream_that_no_thread_can_read_leaves_no_connection_after_the_next_is_read(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 == len(channel.call(METADATA, CALL))

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("django_momento.client.readers.threads", Threads())
        patch.setattr(threading.Thread, "start", on_this_thread(refuse))
        with pytest.raises(RuntimeError, match="can't start"):
            channel.start_async(METADATA, CALL)
    assert 2 == len(channel.start_async(METADATA, CALL).result(HANG_GUARD))


def test_a_stream_that_was_read_is_only_cancelled(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC may wait for ever for an event that it had taken when its reader was interrupted."""
    stream = channel.start(METADATA, CALL)
    assert 2 == len(stream.result())
    taken: list[Any] = []
    monkeypatch.setattr("django_momento.client.streams.take_last_events", taken.append)
    stream.cancel()
    assert [] == taken
