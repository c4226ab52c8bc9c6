"""All connections with one key: which of them another transport goes on with."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest

from django_momento.client.breaker import Breakers
from django_momento.client.calls import FlushCache, Get, KeysExist
from django_momento.client.transport import Transport
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential
from django_momento.exceptions import AuthenticationFailed, CallTimedOut, ServerError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.admin import command
from tests.kit.waiting import patience
from tests.processes.sockets import established


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(caches=["tests"], api_keys=["old"], admin_port=0) as server:
        yield server


def credential(server: LocalServer, key: str) -> Credential:
    return Credential(SecretStr(key), "opaque", "the test", "127.0.0.1", "127.0.0.1", server.port)


@pytest.fixture
def transport(server: LocalServer) -> Transport:
    return Transport(credential(server, "old"), ConnectionOptions("local", client_timeout=60), Breakers())


def use(transport: Transport) -> None:
    """Make a call by each of its three ways."""
    assert transport.call("tests", Get(b"k")) is None
    assert transport.call("tests", KeysExist((b"k",))) == [False]
    assert transport.call("tests", [FlushCache("tests")]) == [None]


def accepted(server: LocalServer) -> int:
    return int(command(server.admin_port, "/connections")["accepted"])


def test_nothing_is_connected_before_the_first_call(server: LocalServer, transport: Transport) -> None:
    """Making a transport costs no more than its objects."""
    assert 0 == accepted(server)


def test_a_transport_with_another_key_goes_on_over_the_same_connections(
    server: LocalServer, transport: Transport
) -> None:
    """A new key costs no new connection; the old transport works on until its calls have ended."""
    use(transport)
    before = accepted(server)
    server.accept_only("old", "new")
    fresh = transport.with_credential(credential(server, "new"))
    fresh.warm_up("tests")
    use(fresh)
    use(transport)
    assert before == accepted(server)
    breakers = transport.breaker_of(Get(b"k")), transport.breaker_of(KeysExist((b"k",)))
    of_the_sdk, ours = (fresh.connection_of(breaker) for breaker in breakers)
    assert of_the_sdk.generation == transport.connection_of(breakers[0]).generation
    assert ours is transport.connection_of(breakers[1])


def test_a_transport_with_another_key_uses_its_own_key(server: LocalServer, transport: Transport) -> None:
    """Though the connections are the same."""
    use(transport)
    server.accept_only("new")
    fresh = transport.with_credential(credential(server, "new"))
    use(fresh)
    for call in (Get(b"k"), KeysExist((b"k",))):
        with pytest.raises(AuthenticationFailed):
            transport.call("tests", call)


def test_a_reconnected_transport_makes_connections_of_its_own(
    server: LocalServer, transport: Transport
) -> None:
    """The old may be dead; they close when the old transport is let go of."""
    use(transport)
    before = accepted(server)
    fresh = transport.reconnected()
    use(fresh)
    assert 2 * before == accepted(server)
    assert fresh.credential is transport.credential
    fresh.close()
    use(transport)


def test_a_closed_transport_is_disconnected(server: LocalServer, transport: Transport) -> None:
    """Soon: not some time later, when garbage is collected."""
    use(transport)
    of_one_transport = established(os.getpid(), server.address)
    gc.disable()
    try:
        renewed = transport.reconnected()
        use(renewed)
        assert 2 * of_one_transport == established(os.getpid(), server.address)
        renewed.close()
        for _ in patience():
            if established(os.getpid(), server.address) == of_one_transport:
                return
        pytest.fail("its connections are still there")
    finally:
        gc.enable()


def test_a_control_call_that_timed_out_names_its_own_timeout(
    server: LocalServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLIENT_TIMEOUT does not bound it, so nobody is told to change that."""
    monkeypatch.setattr("django_momento.client.channel.CONTROL_TIMEOUT", 0.3)
    ours = transport.reconnected()
    command(server.admin_port, "/delay", "60000")

    async def clear() -> None:
        await ours.acall("tests", FlushCache("tests"))

    with pytest.raises(CallTimedOut) as caught:
        asyncio.run(clear())
    assert "did not respond to FlushCache within 0.3 s" in caught.value.cause
    assert "CLIENT_TIMEOUT" not in str(caught.value)


def test_a_closed_transport_refuses_calls(server: LocalServer, transport: Transport) -> None:
    """On each of its ways, once the calls that it had have ended."""
    use(transport)
    transport.close()
    for call in (Get(b"k"), KeysExist((b"k",)), FlushCache("tests")):
        errors: list[str] = []
        for _ in patience():
            try:
                transport.call("tests", call)
            except ServerError as error:
                errors.append(error.cause)
                break
        assert ["This client of Momento is closed."] == errors
