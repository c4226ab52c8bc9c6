"""Our own channel: what it repeats, and how it connects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from momento.config.transport.transport_strategy import StaticGrpcConfiguration

from django_momento.client import operations
from django_momento.client.calls import Increment, Operation
from django_momento.client.channel import CACHE, CONTROL, Channel
from django_momento.credentials.credential import Credential
from django_momento.exceptions import ServerUnavailable
from django_momento.redaction import SecretStr
from tests.kit import sites as fixtures
from tests.kit.capture import capturing
from tests.kit.clients import make_client
from tests.kit.sites import Run

PATIENT = StaticGrpcConfiguration(timedelta(seconds=10))
NO_KEEPALIVE = StaticGrpcConfiguration(
    timedelta(seconds=10), keepalive_permit_without_calls=None, keepalive_time=None, keepalive_timeout=None
)

run = fixtures.run


def channel(port: int, configuration: StaticGrpcConfiguration = PATIENT) -> Channel:
    credential = Credential(SecretStr("a-key"), "opaque", "test", "127.0.0.1", "127.0.0.1", port)
    return Channel(CACHE, credential, configuration)


def test_a_read_is_repeated_until_it_is_answered(run: Run) -> None:
    """A server that is briefly unavailable costs a pause, not an error."""
    with capturing(failures=2) as server:
        client = make_client(server.port, client_timeout=60.0)
        assert run(client, operations.has_key(b"k")) is False
        client.close()
    assert len(server.seen) == 3


def test_a_call_that_counts_is_never_repeated(run: Run) -> None:
    """Increment may have taken effect although its answer was lost: twice would be once too often."""

    def increment() -> Operation[int]:
        total: int = yield Increment(b"k", 1, 5)
        return total

    with capturing(failures=1) as server:
        client = make_client(server.port, client_timeout=60.0)
        with pytest.raises(ServerUnavailable) as caught:
            run(client, increment())
        client.close()
    assert caught.value.status == "UNAVAILABLE"
    assert [seen["rpc"] for seen in server.seen].count("Increment") == 1


def test_nothing_is_opened_before_the_first_call() -> None:
    """A channel that is never used costs nothing, and can be closed."""
    ours = channel(1)
    ours.close()


def test_keepalive_that_is_off_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's preset has none, and an option that is left out is not one of zero."""
    opened: list[dict[str, Any]] = []
    open_channel = grpc.insecure_channel

    def insecure_channel(target: str, options: list[tuple[str, Any]]) -> grpc.Channel:
        opened.append({name: value for name, value in options if "keepalive" in name})
        return open_channel(target, options)

    monkeypatch.setattr(grpc, "insecure_channel", insecure_channel)
    for configuration in (NO_KEEPALIVE, PATIENT):
        ours = channel(1, configuration)
        ours.connection.get()
        ours.close()
    assert opened == [
        {},
        {
            "grpc.keepalive_permit_without_calls": 1,
            "grpc.keepalive_time_ms": 5000,
            "grpc.keepalive_timeout_ms": 1000,
        },
    ]


def test_the_port_of_tls_means_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but a loopback port is encrypted, with the configured root certificates."""
    opened: list[Any] = []
    monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda roots: ("tls", roots))

    def secure_channel(*args: Any) -> grpc.Channel:
        opened.append(args[:2])
        return grpc.insecure_channel("127.0.0.1:1")

    monkeypatch.setattr(grpc, "secure_channel", secure_channel)
    credential = Credential(SecretStr("a-key"), "v2", "test", "cache.example.com", "control.example.com")
    configuration = StaticGrpcConfiguration(timedelta(seconds=1), root_certificates_pem=b"roots")
    for service in (CACHE, CONTROL):
        Channel(service, credential, configuration).connection.get()
    assert opened == [("cache.example.com", ("tls", b"roots")), ("control.example.com", ("tls", b"roots"))]
