"""Channels whose thread could not start: their calls end, and their connections are closed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from traceback import walk_stack

import grpc
import pytest
from momento_wire_types import cacheclient_pb2, cacheclient_pb2_grpc

from django_momento.client import discarded, operations
from django_momento.client.client import Client
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from tests.kit.clients import make_client
from tests.kit.starting import on_this_thread
from tests.kit.timeouts import close_discarded_soon
from tests.kit.waiting import HANG_GUARD, eventually
from tests.processes.sockets import established

METADATA = (("cache", "tests"), ("authorization", "key"))


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(caches=["tests"]) as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    client = make_client(server.port, client_timeout=60.0)
    client.get_credential()
    yield client
    client.close()


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def is_anywhere(function: str) -> bool:
    """Return whether a thread is in a function of that name, or in one that this has called."""
    tops = sys._current_frames().values()
    return any(frame.f_code.co_name == function for top in tops for frame, _ in walk_stack(top))


def test_no_connection_is_left_after_threads_could_not_start(
    client: Client, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may meet its limit of threads many times."""
    close_discarded_soon(monkeypatch)
    client.run("tests", operations.delete_many([b"j", b"k"]))
    before = established(os.getpid(), server.address)
    for _ in range(3):
        # gRPC's thread of the last calls ends a moment after them, and would deliver the next ones.
        eventually(lambda: not is_anywhere("channel_spin"))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", on_this_thread(refuse))
            for _ in range(2):
                with pytest.raises(MomentoCacheError):
                    client.run("tests", operations.delete_many([b"j", b"k"]))
        client.run("tests", operations.delete_many([b"j", b"k"]))
    eventually(lambda: established(os.getpid(), server.address) == before)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_calls_of_other_threads_on_the_channel_are_delivered(
    server: LocalServer, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have been sent before the channel was discarded."""

    def fail(thread: threading.Thread) -> None:
        raise error

    channel = grpc.insecure_channel(server.address)
    delete = cacheclient_pb2_grpc.ScsStub(channel).Delete.future
    request = cacheclient_pb2._DeleteRequest(cache_key=b"k")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", on_this_thread(fail))
        with pytest.raises(error):
            delete(request, timeout=HANG_GUARD, metadata=METADATA)
    pending = delete(request, timeout=HANG_GUARD, metadata=METADATA)
    discarded.discard(channel, 0.1)
    assert isinstance(pending.result(HANG_GUARD), cacheclient_pb2._DeleteResponse)
    eventually(lambda: established(os.getpid(), server.address) == 0)


def test_the_thread_of_grpc_ends_without_an_error(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have started before a signal's handler raised an exception: it waits for events as well."""
    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    threads = threading.active_count()
    channel = grpc.insecure_channel(server.address)
    delete = cacheclient_pb2_grpc.ScsStub(channel).Delete.future
    server.delay(500)
    pending = delete(cacheclient_pb2._DeleteRequest(cache_key=b"k"), timeout=HANG_GUARD, metadata=METADATA)
    discarded.discard(channel, 1)
    server.delay(0)
    assert isinstance(pending.result(HANG_GUARD), cacheclient_pb2._DeleteResponse)
    eventually(lambda: established(os.getpid(), server.address) == 0)
    eventually(lambda: threads >= threading.active_count())
    assert [] == errors


def test_the_installed_grpc_has_all_names(server: LocalServer) -> None:
    """CI runs it with the newest version, so that a renamed one is known before it reaches a site."""
    with grpc.insecure_channel(server.address) as channel:
        assert discarded.can_serve(channel)


@pytest.mark.parametrize("names", [("ForkManagedThread",), ("block_if_fork_in_progress",)])
def test_a_channel_is_kept_if_grpc_lacks_a_name(
    server: LocalServer, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fails, and no thread is started for it."""
    channel = grpc.insecure_channel(server.address)
    threads = threading.active_count()
    with monkeypatch.context() as patch:
        for name in names:
            patch.delattr(f"grpc._cython.cygrpc.{name}")
        discarded.discard(channel, 0.1)
        assert threads >= threading.active_count()
    channel.close()
