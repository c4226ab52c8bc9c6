"""The commands by which a test changes a running server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc

from django_momento.local import LocalServer, faults
from django_momento.local import admin as admin_module
from django_momento.local import proxy as proxy_module
from django_momento.local.services import pubsub
from tests.kit.wire import HANG_GUARD, Wire, status
from tests.local.clock import FakeClock
from tests.local.conftest import Connect

GET = pb._GetRequest(cache_key=b"k")


@pytest.fixture
def server(clock: FakeClock) -> Any:
    """A server with an admin port."""
    with LocalServer(caches=["cache"], clock=clock, admin_port=0) as server:
        yield server


@pytest.fixture
def admin(server: LocalServer) -> Any:
    """Send a command and return the content of the response."""

    def send(path: Any, body: Any = b"") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{server.admin_port}{path}", data=body or None)
        with urllib.request.urlopen(request, timeout=HANG_GUARD) as response:
            return json.loads(response.read())

    yield send
    send("/unblock")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The seconds the server was told to sleep, instead of sleeping."""
    pauses = []

    async def sleep(seconds: Any) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(faults, "asyncio", SimpleNamespace(sleep=sleep))
    return pauses


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Give no request up until the test sets this event, when it has sent all it will."""
    sent = threading.Event()

    async def wait_for(awaitable: Any, seconds: float) -> Any:
        task = asyncio.ensure_future(awaitable)
        try:
            while not sent.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.01)
            return await asyncio.wait_for(task, seconds)
        finally:
            task.cancel()

    patched = SimpleNamespace(**{**vars(asyncio), "wait_for": wait_for})
    monkeypatch.setattr(admin_module, "asyncio", patched)
    return sent


def test_only_a_new_key_gets_in_after_a_rotation(wire: Wire, admin: Any, server: LocalServer) -> None:
    """Until all are accepted again."""
    assert wire.Get(GET, authorization="old").result == pb.Miss
    admin("/accept-only", b"new\n")
    assert status(wire.Get, GET, authorization="old") == StatusCode.UNAUTHENTICATED
    assert wire.Get(GET, authorization="new").result == pb.Miss
    server.accept_only()
    assert wire.Get(GET, authorization="old").result == pb.Miss


def test_calls_are_counted_by_method(wire: Wire, admin: Any) -> None:
    """And can be counted anew."""
    for _ in range(3):
        wire.Get(GET)
    wire.ping()
    assert admin("/counts") == {"Get": 3, "Ping": 1, "operations": {"Get": 3}}
    admin("/reset-counts")
    assert admin("/counts") == {"operations": {}}


def test_dropped_clients_connect_again(wire: Wire, admin: Any) -> None:
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


def test_a_blocked_server_is_silent_until_it_is_unblocked(
    wire: Wire, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls run into their deadline. If one waits long enough, its response arrives after all."""
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


def test_a_large_value_goes_through_the_proxy(wire: Wire) -> None:
    """In both directions, piece by piece."""
    value = bytes(range(256)) * 4096
    wire.Set(pb._SetRequest(cache_key=b"k", cache_body=value, ttl_milliseconds=9))
    assert wire.Get(GET).cache_body == value


def test_connections_are_counted(wire: Wire, admin: Any) -> None:
    """Those there are, and those there have been."""
    assert admin("/connections") == {"open": 0, "accepted": 0}
    wire.ping()
    assert admin("/connections") == {"open": 1, "accepted": 1}
    admin("/drop")
    deadline = time.monotonic() + HANG_GUARD
    while admin("/connections")["open"]:
        assert time.monotonic() < deadline
    assert admin("/connections")["accepted"] >= 1


def test_a_delay_lasts_until_it_is_ended(wire: Wire, admin: Any, pauses: Any) -> None:
    """By 0, or by an empty body."""
    for end in (b"0", b""):
        admin("/delay", b"5000\n")
        wire.Get(GET)
        admin("/delay", end)
        wire.Get(GET)
    assert pauses == [5.0, 5.0]


def test_new_connections_are_delayed(
    wire: Wire, admin: Any, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those there are stay as they were; a call that gives up sooner leaves its own connecting."""
    delays, is_over = [], threading.Event()

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        while not is_over.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)

    wire.ping()
    monkeypatch.setattr(proxy_module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    admin("/delay-connections", b"200")
    wire.ping()
    # With an option of its own, or gRPC would let it share the connection that there is.
    late = Wire(server.address, (("tests.late", 1),)).channel
    call = late.unary_unary(
        "/cache_client.Scs/Get", pb._GetRequest.SerializeToString, pb._GetResponse.FromString
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(GET, metadata=(("cache", "cache"),), timeout=0.05)
    assert caught.value.code() == StatusCode.DEADLINE_EXCEEDED
    is_over.set()
    assert call(GET, metadata=(("cache", "cache"),), timeout=HANG_GUARD).result == pb.Miss
    late.close()
    assert {*delays} == {0.2}


def test_failures_last_until_they_are_ended(wire: Wire, admin: Any) -> None:
    """A status alone is for all calls; an empty body ends it."""
    for body in (b"internal", b"INTERNAL 1.0\n", b" internal  1"):
        admin("/fail", body)
        assert status(wire.Get, GET) == StatusCode.INTERNAL
        admin("/fail", b"internal 0")
        assert wire.Get(GET).result == pb.Miss
    admin("/fail", b"internal")
    admin("/fail")
    assert wire.Get(GET).result == pb.Miss


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/delay", "soon", "A delay is a whole number of milliseconds, such as `5000`, not 'soon'"),
        ("/delay", "-1", "A delay is a whole number of milliseconds, such as `5000`, not '-1'"),
        ("/delay-connections", "x", "A delay is a whole number of milliseconds, such as `5000`, not 'x'"),
        ("/delay", "3600001", "A delay must be 0 to 3600000 milliseconds, not 3600001"),
        ("/fail", "ok", "'ok' does not name an error such as `unavailable`"),
        ("/fail", "0.3", "'0.3' does not name an error such as `unavailable`"),
        ("/fail", "unavailable 30", "The share of calls that fail must be 0 to 1, not 30"),
        *(
            ("/fail", body, f"A failure is a status and a share, such as `unavailable 0.3`, not {body!r}")
            for body in ("unavailable 30%", "unavailable -1", "unavailable 0.3 Get", "unavailable nan")
        ),
    ],
)
def test_a_command_that_makes_no_sense_is_told_why(
    wire: Wire, admin: Any, path: Any, body: Any, error: Any
) -> None:
    """The status is 400, the error says how to write the command, and nothing changes."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        admin(path, body.encode())
    with caught.value as answer:
        assert (answer.code, json.loads(answer.read())) == (400, {"error": error})
    assert wire.Get(GET).result == pb.Miss


def test_an_unknown_command_is_told_what_there_is(admin: Any) -> None:
    """404, with the paths that would do."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        admin("/nonsense")
    with caught.value as error:
        assert (error.code, "/block" in json.loads(error.read())["paths"]) == (404, True)


def test_what_is_no_request_harms_nobody(server: LocalServer, admin: Any, sent: threading.Event) -> None:
    """A stranger on the port is hung up on."""
    for garbage in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
        with socket.create_connection(("127.0.0.1", server.admin_port or 0)) as stranger:
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
    sent.set()
    assert admin("/counts") == {"operations": {}}


def request(port: Any, headers: Any, body: Any = b"") -> Any:
    """Send a request with exactly these headers. Return its status and its content."""
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"GET /counts HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), HANG_GUARD) as connection:
        connection.sendall(head.encode() + body)
        response, _, content = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return int(response.split()[1]), json.loads(content)


FOREIGN = [
    *(
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.0.1",
    ),
    *("127.0.0.1@evil.example", "evil.example/127.0.0.1", "[2001:db8::1]:{port}", "", "localhost:port"),
]


def test_a_web_page_cannot_send_commands(server: LocalServer) -> None:
    """Neither by a name that DNS resolves to this machine, nor as a request to another origin."""
    hosts = [f"Host: {host}" for host in FOREIGN]
    origins = [f"Origin: http://{host}" for host in FOREIGN] + ["Origin: null", "Origin: file://"]
    # Another site on this machine is foreign too.
    origins += ["Origin: http://127.0.0.1:1", "Origin: http://localhost", "Origin: https://127.0.0.1:{port}"]
    # An image or a link has no Origin, but browsers tell where it is from.
    sites = [f"Sec-Fetch-Site: {site}" for site in ("cross-site", "same-site", "")]
    referers = [header.replace("Origin", "Referer") + path for header in origins for path in ("/", "/a?b")]
    surprises = []
    for header in [*hosts, *origins, *sites, *referers]:
        headers = [header.format(port=server.admin_port)]
        if header not in hosts:
            headers.append(f"Host: 127.0.0.1:{server.admin_port}")
        status_code, content = request(server.admin_port, headers)
        if status_code != 403 or "error" not in content:
            surprises.append((headers, status_code))
    assert surprises == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "127.0.0.1"]
)
def test_this_machine_can_send_commands(server: LocalServer, host: Any) -> None:
    """By any of its names, from curl, a browser's address bar, or a page of the port itself."""
    host = host.format(port=server.admin_port)
    for headers in (
        [],
        ["Sec-Fetch-Site: none"],
        [f"Origin: http://localhost:{server.admin_port}", "Sec-Fetch-Site: same-origin"],
        [f"Referer: http://127.0.0.1:{server.admin_port}/counts?a#b"],
    ):
        assert request(server.admin_port, [f"Host: {host}", *headers]) == (200, {"operations": {}})


def test_a_foreign_header_beside_an_own_one_is_refused(server: LocalServer) -> None:
    """Whichever of two a browser or a proxy means."""
    own, foreign = f"Host: 127.0.0.1:{server.admin_port}", "Host: evil.example"
    assert [request(server.admin_port, pair)[0] for pair in ([own, foreign], [foreign, own])] == [403, 403]


@pytest.mark.parametrize(
    "part", [b"", b"GET /counts HT", b"POST /delay HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
)
def test_a_request_that_does_not_end_is_given_up(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, sent: threading.Event, part: Any
) -> None:
    """The connection is closed, so that such requests do not add up."""
    monkeypatch.setattr(admin_module, "REQUEST_TIMEOUT", 0.05)
    with socket.create_connection(("127.0.0.1", server.admin_port or 0), HANG_GUARD) as connection:
        connection.sendall(part)
        sent.set()
        assert connection.recv(1) == b""


def test_stopping_does_not_wait_for_half_a_request() -> None:
    """The server ends the connection."""
    with LocalServer(admin_port=0) as server:
        half = socket.create_connection(("127.0.0.1", server.admin_port or 0), HANG_GUARD)
        half.sendall(b"GET /counts")
        request(server.admin_port, [])
    with half:
        assert half.recv(1) == b""


def test_a_taken_admin_port_is_named(server: LocalServer) -> None:
    """Before anything is served."""
    with pytest.raises(
        OSError, match=f"Cannot listen on 127.0.0.1:{server.admin_port}: Address already in use"
    ):
        LocalServer(admin_port=server.admin_port).start()


def test_a_server_without_an_admin_port_has_no_proxy() -> None:
    """Its calls take no detour."""
    with LocalServer() as server:
        assert None is server.admin_port


def test_stopping_with_a_blocked_client_does_not_hang(connect: Connect) -> None:
    """The proxy goes with the server."""
    server = LocalServer(caches=["cache"], admin_port=0).start()
    wire = connect(server)
    wire.ping()
    urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/block", timeout=HANG_GUARD).close()
    server.stop()
    assert not server.is_running
