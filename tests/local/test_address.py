"""Where a server can listen."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from django_momento.local import address
from tests.kit.tables import table


@pytest.fixture
def taken_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@table(("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("localhost", "localhost:80"), ("::1", "[::1]:80")])
def test_addresses_are_written_as_clients_take_them(host: Any, text: Any) -> None:
    """An IPv6 address is bracketed, any other host is not."""
    assert address.format_address(host, 80) == text


@table("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_hosts_stay_on_this_machine(host: Any) -> None:
    """Everything in 127/8, ::1 and the name localhost is loopback."""
    assert address.is_loopback(host)


@table("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_other_hosts_are_not_loopback(host: Any) -> None:
    """Wildcards, other addresses and any other name may be reached from elsewhere."""
    assert not address.is_loopback(host)


def test_a_free_port_passes(taken_port: Any) -> None:
    """Port 0 is always free, and so is the port of another address."""
    address.check_free("127.0.0.1", 0)
    address.check_free("127.0.0.2", taken_port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_named(host: Any, taken_port: Any) -> None:
    """The error says which address, also when the wildcard meets a listener on one address."""
    with pytest.raises(OSError, match="Address already in use") as caught:
        address.check_free(host, taken_port)
    assert caught.value.strerror.startswith(f"Cannot listen on {host}:{taken_port}: ")


def test_one_taken_address_of_a_name_is_enough_to_fail(
    taken_port: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a free and a taken address must not end up half served."""
    candidates = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, taken_port)) for host in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: candidates)
    with pytest.raises(OSError, match=f"Cannot listen on localhost:{taken_port}: Address already in use"):
        address.check_free("localhost", taken_port)


def test_an_address_this_machine_lacks_does_not_spoil_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """localhost is served where ::1 does not exist, as in many containers."""
    candidates = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("203.0.113.1", "127.0.0.1")
    ]
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: candidates)
    address.check_free("localhost", 0)


def test_an_address_of_another_machine_is_named() -> None:
    """203.0.113.0/24 is for documentation: no machine has it."""
    with pytest.raises(OSError, match=r"Cannot listen on 203\.0\.113\.1:0: "):
        address.check_free("203.0.113.1", 0)


def test_a_host_that_does_not_resolve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name fails with the address in the text."""

    def unknown(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(OSError, match="Cannot listen on nowhere:80: Name or service not known"):
        address.check_free("nowhere", 80)


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_refused(port: Any) -> None:
    """gRPC would take 65536 for port 0; here it is an error."""
    with pytest.raises(OSError, match="the port must be between 0 and 65535"):
        address.check_free("127.0.0.1", port)


def test_on_windows_the_probe_does_not_ask_for_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """There SO_REUSEADDR would let the probe share a port that is taken."""
    monkeypatch.setattr("os.name", "nt")
    address.check_free("127.0.0.1", 0)
