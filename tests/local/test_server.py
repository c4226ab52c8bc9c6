"""The server as a whole: its life, its transport, and Momento's own SDK as its client."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from momento.responses import (
    CacheDelete,
    CacheGet,
    CacheIncrement,
    CacheSet,
    CacheSetIfNotExists,
    CreateCache,
    DeleteCache,
    ListCaches,
)
from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local import LocalServer
from django_momento.local import server as server_module
from tests.kit.sdk import Blocking, cache_client
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire
from tests.local.clock import FakeClock
from tests.local.conftest import Connect


@pytest.fixture
def sdk(server: LocalServer) -> Any:
    """Momento's own client, set up for Momento Local as its documentation says."""
    with cache_client(server, "sync") as client:
        yield client


def has_ipv6_loopback() -> Any:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def until(condition: Any) -> None:
    """Wait for something another thread does; fail only if it never comes."""
    deadline = time.monotonic() + HANG_GUARD
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def server_threads() -> set[threading.Thread]:
    """Return the threads of all running servers of this process."""
    return {thread for thread in threading.enumerate() if thread.name == "momento-local"}


def run_program(text: Any) -> Any:
    """Run a program in a process of its own. Return its status and its output."""
    # Python warns of any fork beside threads, and the program is about one.
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
        capture_output=True,
        text=True,
        timeout=HANG_GUARD * 3,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def run_threads(number: Any, target: Any) -> Any:
    with ThreadPoolExecutor(number) as pool:
        return [future.result(HANG_GUARD * 3) for future in [pool.submit(target, n) for n in range(number)]]


def test_the_sdk_reads_what_it_wrote(sdk: Blocking, clock: FakeClock) -> None:
    """Set, get, delete and the default TTL through Momento's own client."""
    assert isinstance(sdk.set("cache", "k", "v"), CacheSet.Success)
    assert sdk.get("cache", "k").value_string == "v"
    clock.advance(60_000)
    assert isinstance(sdk.get("cache", "k"), CacheGet.Miss)
    assert isinstance(sdk.delete("cache", "k"), CacheDelete.Success)


def test_the_sdk_counts_and_locks(sdk: Blocking) -> None:
    """Increment and set-if-not-exists through Momento's own client."""
    assert [sdk.increment("cache", "n", amount).value for amount in (1, 10)] == [1, 11]
    assert isinstance(sdk.set_if_not_exists("cache", "lock", "me"), CacheSetIfNotExists.Stored)
    assert isinstance(sdk.set_if_not_exists("cache", "lock", "you"), CacheSetIfNotExists.NotStored)
    sdk.set("cache", "text", "x")
    refused = sdk.increment("cache", "text")
    assert isinstance(refused, CacheIncrement.Error)
    assert refused.error_code.name == "FAILED_PRECONDITION_ERROR"


def test_the_sdk_manages_caches(sdk: Blocking) -> None:
    """Create, list and delete through Momento's own client, the second time included."""
    assert isinstance(sdk.create_cache("new"), CreateCache.Success)
    assert isinstance(sdk.create_cache("new"), CreateCache.CacheAlreadyExists)
    listed = sdk.list_caches()
    assert isinstance(listed, ListCaches.Success)
    assert [cache.name for cache in listed.caches] == ["cache", "new"]
    assert isinstance(sdk.delete_cache("new"), DeleteCache.Success)
    assert sdk.delete_cache("new").error_code.name == "NOT_FOUND_ERROR"
    assert sdk.get("new", "k").error_code.name == "NOT_FOUND_ERROR"


def test_the_sdk_tells_a_large_item_from_a_busy_server(sdk: Blocking) -> None:
    """The `err` metadata turns RESOURCE_EXHAUSTED into the SDK's text for the item size."""
    refused = sdk.set("cache", "k" * 10, bytes(5_242_871))
    assert isinstance(refused, CacheSet.Error)
    assert refused.error_code.name == "LIMIT_EXCEEDED_ERROR"
    assert "item size limit" in refused.message.lower()


def test_sixteen_threads_get_their_own_answers(sdk: Blocking) -> None:
    """A few thousand calls at once on one client all return, each with its own value."""

    def work(thread: Any) -> None:
        for number in range(100):
            key, value = f"{thread}:{number % 7}", f"{thread}-{number}"
            assert isinstance(sdk.set("cache", key, value), CacheSet.Success)
            assert sdk.get("cache", key).value_string == value
            assert isinstance(sdk.increment("cache", "total"), CacheIncrement.Success)

    run_threads(16, work)
    assert sdk.get("cache", "total").value_string == "1600"


def test_one_connection_carries_hundreds_of_streams(wire: Wire) -> None:
    """All are open before the first is read."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=bytes(1000), ttl_milliseconds=1000))
    request = pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k")] * 50)
    call = wire.channel.unary_stream(
        "/cache_client.Scs/GetBatch", pb._GetBatchRequest.SerializeToString, pb._GetResponse.FromString
    )
    streams = [call(request, metadata=(("cache", "cache"),), timeout=60) for _ in range(300)]
    assert [len(list(stream)) for stream in streams] == [50] * 300


def test_streams_the_client_drops_harm_nobody(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """The server goes on, and a client that hung up is nothing to log as an error."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=bytes(1_000_000), ttl_milliseconds=1000))
    request = pb._GetBatchRequest(items=[pb._GetRequest(cache_key=b"k")] * 20)
    call = wire.channel.unary_stream(
        "/cache_client.Scs/GetBatch", pb._GetBatchRequest.SerializeToString, pb._GetResponse.FromString
    )
    for number in range(60):
        stream = call(request, metadata=(("cache", "cache"),), timeout=60)
        for _ in range(number % 4):
            next(stream)
        stream.cancel()
    assert wire.Get(pb._GetRequest(cache_key=b"k")).result == pb.Hit
    assert caplog.records == []


def test_an_idle_client_that_pings_keeps_its_connection(server: LocalServer) -> None:
    """gRPC's default takes the SDKs' keepalive for abuse and hangs up at the third ping without a call."""
    options = (
        ("grpc.keepalive_time_ms", 1000),  # the least gRPC accepts
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
    wire = Wire(server.address, options)
    wire.ping()
    states: list[grpc.ChannelConnectivity] = []
    wire.channel.subscribe(states.append)
    until(lambda: states)
    time.sleep(4.5)
    wire.channel.unsubscribe(states.append)
    wire.channel.close()
    assert states == [grpc.ChannelConnectivity.READY]


def test_expired_items_are_swept_without_being_asked_for(
    server: LocalServer, wire: Wire, clock: FakeClock
) -> None:
    """An idle server gives the memory of expired items back."""
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=10))
    assert server.memory_used > 0
    clock.advance(10)
    until(lambda: server.memory_used == 0)


def test_the_least_recently_used_items_make_room(connect: Connect) -> None:
    """The limit holds over the wire: the newest are there, the oldest are not."""
    with LocalServer(caches=["cache"], max_memory=100_000) as server:
        wire = connect(server)
        for number in range(20):
            wire.Set(
                pb._SetRequest(cache_key=b"%d" % number, cache_body=bytes(10_000), ttl_milliseconds=99_999)
            )
        keys = [b"%d" % number for number in range(20)]
        assert list(wire.KeysExist(pb._KeysExistRequest(cache_keys=keys)).exists) == [False] * 11 + [True] * 9


def test_a_server_knows_its_address_once_started() -> None:
    """Port 0 becomes the port it got."""
    server = LocalServer()
    assert server.address == "127.0.0.1:0"
    with server:
        assert server.port > 0
        assert server.address == f"127.0.0.1:{server.port}"


def test_caches_named_at_the_start_exist(connect: Connect) -> None:
    """A name given twice is one cache."""
    with LocalServer(caches=["a", "b", "a"]) as server:
        wire = connect(server)
        for name in ("a", "b"):
            assert wire.Get(pb._GetRequest(cache_key=b"k"), cache=name).result == pb.Miss


@table("arguments", [{"caches": [""]}, {"max_memory": 0}, {"api_keys": [""]}])
def test_settings_that_make_no_sense_are_refused(arguments: Any) -> None:
    """When the server is made, not when it is first used."""
    with pytest.raises(ValueError, match=r"must (not )?be"):
        LocalServer(**arguments)


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
def test_ipv6_works(connect: Connect) -> None:
    """The address is bracketed, as clients want it."""
    with LocalServer("::1") as server:
        connect(server).ping()
        assert server.address == f"[::1]:{server.port}"


def test_a_taken_port_is_an_error_that_names_it(server: LocalServer) -> None:
    """A second server must not share the port in silence."""
    with pytest.raises(OSError, match=f"Cannot listen on {server.address}: Address already in use"):
        LocalServer(port=server.port).start()


def test_a_port_taken_at_the_last_moment_is_an_error_too(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and gRPC's own attempt somebody else may be faster."""
    monkeypatch.setattr(server_module, "check_free", lambda host, port: None)
    with pytest.raises(OSError, match=f"Cannot listen on {server.address}: "):
        LocalServer(port=server.port).start()


def test_a_server_that_could_not_start_can_be_started_later(server: LocalServer) -> None:
    """A failed start leaves nothing behind."""
    second = LocalServer(port=server.port)
    with pytest.raises(OSError, match="Cannot listen"):
        second.start()
    second.stop()
    server.stop()
    with second:
        assert second.address == server.address


def test_a_started_server_cannot_be_started_again(server: LocalServer) -> None:
    """It would be two servers under one name."""
    with pytest.raises(RuntimeError, match=f"already listening on {server.address}"):
        server.start()


def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    """Whoever cleans up need not know whether it is needed."""
    server = LocalServer()
    server.stop()
    server.start()
    server.stop()
    server.stop(grace=0)


def test_stopping_ends_the_thread_and_every_connection(connect: Connect) -> None:
    """A client that stays connected does not keep the server alive, and loses its connection."""
    others = server_threads()
    with LocalServer() as server:
        wire = connect(server)
        wire.ping()
        states: list[grpc.ChannelConnectivity] = []
        wire.channel.subscribe(states.append)
        [thread] = server_threads() - others
    assert not thread.is_alive()
    until(lambda: states and states[-1] is not grpc.ChannelConnectivity.READY)


def test_a_restarted_server_has_its_port_and_its_items(connect: Connect) -> None:
    """A client sees an interruption, not another server."""
    server = LocalServer(caches=["cache"])
    with server:
        address = server.address
        connect(server).Set(pb._SetRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=60_000))
    with server:
        assert server.address == address
        assert connect(server).Get(pb._GetRequest(cache_key=b"k")).cache_body == b"v"


def test_the_thread_is_a_daemon_with_a_name() -> None:
    """It shows up in a thread dump, and never holds up the end of the process."""
    others = set(threading.enumerate())
    with LocalServer():
        started = set(threading.enumerate()) - others
        assert ("momento-local", True) in {(thread.name, thread.daemon) for thread in started}


def test_a_program_that_forgets_to_stop_ends_all_the_same() -> None:
    """The interpreter exits cleanly with a server and a client still connected."""
    program = (
        "import grpc; from django_momento.local import LocalServer; server = LocalServer().start();"
        "channel = grpc.insecure_channel(server.address); grpc.channel_ready_future(channel).result(20)"
    )
    assert run_program(program) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_can_stop_what_it_lacks() -> None:
    """The thread stays with the parent: stopping it in the child returns at once and ends nothing."""
    program = """
import os, socket
from django_momento.local import LocalServer
server = LocalServer().start()
child = os.fork()
if not child:
    server.stop()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
socket.create_connection((server.host, server.port)).close()
server.stop()
"""
    status, _, errors = run_program(program)
    assert status == 0, errors


def test_serving_in_the_foreground_ends_with_its_event(connect: Connect) -> None:
    """The way the management command serves: on the caller's loop, until an event is set."""
    server = LocalServer(caches=["cache"])
    answers = []

    async def serve_one_call() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def call() -> None:
            answers.append(connect(server).Get(pb._GetRequest(cache_key=b"k")).result)
            loop.call_soon_threadsafe(stop.set)

        await server.serve(stop, lambda: threading.Thread(target=call).start())

    asyncio.run(serve_one_call())
    assert answers == [pb.Miss]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_breaks_down_later_does_not_do_so_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread ends with the error, for the interpreter to report."""
    reported, threads = [], []
    monkeypatch.setattr(threading, "excepthook", lambda report: reported.append(report.exc_type))

    async def break_down(self, stop: Any, listening: Any) -> None:
        threads.append(threading.current_thread())
        listening()
        raise ZeroDivisionError

    monkeypatch.setattr(LocalServer, "serve", break_down)
    with LocalServer():
        threads[0].join(HANG_GUARD)
    assert reported == [ZeroDivisionError]


def test_thousands_of_calls_at_once_are_served(server: LocalServer, connect: Connect) -> None:
    """gRPC would cancel some of them at random, before the server sees them."""
    call = connect(server).channel.unary_unary(
        "/cache_client.Scs/Get", pb._GetRequest.SerializeToString, pb._GetResponse.FromString
    )
    request, metadata = pb._GetRequest(cache_key=b"k"), (("cache", "cache"),)
    calls = [call.future(request, metadata=metadata, timeout=HANG_GUARD) for _ in range(6000)]
    assert {each.code() for each in calls} == {grpc.StatusCode.OK}
