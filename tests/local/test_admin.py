"""What a test does to a running server from outside."""

import json
import socket
import time
import urllib.error
import urllib.request

import grpc
import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc

from django_momento.local import LocalServer, pubsub
from tests.local.wire import HANG_GUARD, status

GET = pb._GetRequest(cache_key=b"k")


@pytest.fixture
def server(clock):
    """A server with an admin port."""
    with LocalServer(caches=["cache"], clock=clock, admin_port=0) as server:
        yield server


@pytest.fixture
def admin(server):
    """Send a command; return the answer."""

    def send(path, body=b""):
        request = urllib.request.Request(f"http://127.0.0.1:{server.admin_port}{path}", data=body or None)
        with urllib.request.urlopen(request, timeout=HANG_GUARD) as response:
            return json.loads(response.read())

    yield send
    send("/unblock")


def test_only_a_new_key_gets_in_after_a_rotation(wire, admin, server):
    """Until all are accepted again."""
    assert wire.Get(GET, authorization="old").result == pb.Miss
    admin("/accept-only", b"new\n")
    assert status(wire.Get, GET, authorization="old") == StatusCode.UNAUTHENTICATED
    assert wire.Get(GET, authorization="new").result == pb.Miss
    server.accept_only()
    assert wire.Get(GET, authorization="old").result == pb.Miss


def test_calls_are_counted_by_method(wire, admin):
    """And can be counted anew."""
    for _ in range(3):
        wire.Get(GET)
    wire.ping()
    assert admin("/counts") == {"Get": 3, "Ping": 1}
    admin("/reset-counts")
    assert admin("/counts") == {}


def test_dropped_clients_connect_again(wire, admin):
    """Their connections end, the server goes on."""
    stream = cachepubsub_pb2_grpc.PubsubStub(wire.channel).Subscribe(
        cachepubsub_pb2._SubscriptionRequest(cache_name="cache", topic="t"), timeout=HANG_GUARD
    )
    next(stream)
    assert admin("/drop") == {"dropped": 1}
    with pytest.raises(grpc.RpcError) as caught:
        list(stream)
    assert caught.value.code() == StatusCode.UNAVAILABLE
    deadline = time.monotonic() + HANG_GUARD
    while True:
        try:
            assert wire.Get(GET).result == pb.Miss
            return
        except grpc.RpcError:
            assert time.monotonic() < deadline


def test_a_blocked_server_is_silent_until_it_is_unblocked(wire, admin, monkeypatch):
    """Calls run into their deadline, and one that waits long enough is answered after all."""
    monkeypatch.setattr(pubsub, "HEARTBEAT_INTERVAL", 0.01)
    call = wire.channel.unary_unary(
        "/cache_client.Scs/Get", pb._GetRequest.SerializeToString, pb._GetResponse.FromString
    )
    wire.ping()
    admin("/block")
    with pytest.raises(grpc.RpcError) as caught:
        call(GET, metadata=(("cache", "cache"),), timeout=0.2)
    assert caught.value.code() == StatusCode.DEADLINE_EXCEEDED
    waiting = call.future(GET, metadata=(("cache", "cache"),), timeout=HANG_GUARD)
    admin("/unblock")
    assert waiting.result(HANG_GUARD).result == pb.Miss


def test_a_large_value_goes_through_the_gate(wire):
    """In both directions, piece by piece."""
    value = bytes(range(256)) * 4096
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=value, ttl_milliseconds=9))
    assert wire.Get(GET).cache_body == value


def test_an_unknown_command_is_told_what_there_is(admin):
    """404, with the paths that would do."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        admin("/nonsense")
    with caught.value as error:
        assert (error.code, "/block" in json.loads(error.read())["paths"]) == (404, True)


def test_what_is_no_request_harms_nobody(server, admin):
    """A stranger on the port is hung up on."""
    for garbage in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
        with socket.create_connection(("127.0.0.1", server.admin_port)) as stranger:
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
    assert admin("/counts") == {}


def test_a_taken_admin_port_is_named(server):
    """Before anything is served."""
    with pytest.raises(
        OSError, match=f"Cannot listen on 127.0.0.1:{server.admin_port}: Address already in use"
    ):
        LocalServer(admin_port=server.admin_port).start()


def test_a_server_without_an_admin_port_has_no_gate():
    """Its calls take no detour."""
    with LocalServer() as server:
        assert None is server.admin_port


def test_stopping_with_a_blocked_client_does_not_hang(connect):
    """The gate goes with the server."""
    server = LocalServer(caches=["cache"], admin_port=0).start()
    wire = connect(server)
    wire.ping()
    urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/block", timeout=HANG_GUARD).close()
    server.stop()
    assert server._thread is None
