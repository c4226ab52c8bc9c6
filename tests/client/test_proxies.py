"""Connections to this machine ignore the HTTP proxies of the environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.client.proxies import EXCEPTIONS, bypass_proxies
from django_momento.credentials.credential import Credential
from django_momento.endpoint import Endpoint
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.certificates import make_certificate
from tests.kit.tables import table

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
# Nobody listens there.
DEAD_PROXY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy yet. What a test adds is removed again."""
    for name in (*PROXIES, "no_grpc_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def credential_for(endpoint: str) -> Credential:
    return Credential(SecretStr("a-key"), "opaque", "test", *Endpoint.parse(endpoint).connect_to())


def use_every_connection(settings: Any, **options: Any) -> None:
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "tests", "OPTIONS": options}}
    cache = caches["default"]
    cache.clear()
    cache.set("key", 1)
    assert cache.has_key("key")
    assert 1 == asyncio.run(cache.aget("key"))


@table("host", ["127.0.0.1", "localhost"], afresh=True)
@table("proxy", PROXIES, afresh=True)
def test_a_server_on_this_machine_is_used_without_the_proxy(
    settings: Any, monkeypatch: pytest.MonkeyPatch, momento: LocalServer, proxy: str, host: str
) -> None:
    """The proxy would connect to itself."""
    monkeypatch.setenv(proxy, DEAD_PROXY)
    port = momento.address.rpartition(":")[2]

    use_every_connection(settings, CREDENTIALS="local", ENDPOINT=f"{host}:{port}")


def test_a_server_on_this_machine_is_used_by_tls_without_the_proxy(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its port is part of the host then."""
    monkeypatch.setenv("https_proxy", DEAD_PROXY)
    with LocalServer(caches=["tests"], tls=make_certificate(tmp_path, "127.0.0.1")) as server:
        certificates = tmp_path / "cert.pem"
        use_every_connection(
            settings, CREDENTIALS="local", ENDPOINT=server.address, ROOT_CERTIFICATES=certificates
        )


def test_another_host_is_reached_through_the_proxy(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a site behind a proxy needs it."""
    monkeypatch.setenv("http_proxy", DEAD_PROXY)
    with LocalServer("0.0.0.0", caches=["tests"]) as server:
        endpoint = f"0.0.0.0:{server.address.rpartition(':')[2]}"
        with pytest.raises(ServerUnavailable):
            use_every_connection(settings, CREDENTIALS="local", ENDPOINT=endpoint)


@table(
    ("before", "after"),
    [
        ({}, "127.0.0.1"),
        ({"no_proxy": "intern.example"}, "intern.example,127.0.0.1"),
        ({"no_proxy": "a", "no_grpc_proxy": "b"}, "b,127.0.0.1"),
        ({"no_grpc_proxy": ""}, "127.0.0.1"),
        ({"no_grpc_proxy": "a, 127.0.0.1"}, "a, 127.0.0.1"),
    ],
    afresh=True,
)
def test_the_exceptions_of_the_environment_are_kept(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], after: str
) -> None:
    """gRPC reads one of two variables; the one that it reads has all exceptions."""
    monkeypatch.setenv("http_proxy", DEAD_PROXY)
    for name, value in before.items():
        monkeypatch.setenv(name, value)

    for _ in range(2):
        bypass_proxies(credential_for("127.0.0.1:8080"))

    assert after == os.environ[EXCEPTIONS]
    assert before.get("no_proxy") == os.environ.get("no_proxy")


@table(
    ("endpoint", "proxy"),
    [("127.0.0.1:8080", ""), ("cell.example", DEAD_PROXY), ("https://momento.example:8443", DEAD_PROXY)],
    afresh=True,
)
def test_the_environment_stays_as_it_is_without_need(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, proxy: str
) -> None:
    """No proxy, or a host that is not this machine."""
    monkeypatch.setenv("https_proxy", proxy)

    bypass_proxies(credential_for(endpoint))

    assert "no_grpc_proxy" not in os.environ


@table("endpoint", ["[::1]:8080", "https://[::1]:8443"], afresh=True)
def test_an_address_of_ip_6_is_an_exception_too(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Without the brackets, as gRPC compares it."""
    monkeypatch.setenv("http_proxy", DEAD_PROXY)

    bypass_proxies(credential_for(endpoint))

    assert "::1" == os.environ[EXCEPTIONS]
