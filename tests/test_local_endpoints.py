"""A local server that is reached by TLS, or on another host than this one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.exceptions import ConfigurationError, CredentialError, TransportError
from django_momento.local import LocalServer
from tests.kit.certificates import make_certificate
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

KEY = "a-key-made-up-for-tests"


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server that speaks TLS, and knows one API key."""
    with LocalServer(caches=["tests"], tls=make_certificate(tmp_path, "127.0.0.1"), api_keys=[KEY]) as server:
        yield server


def configure(settings: Any, **options: Any) -> MomentoCache:
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "tests", "OPTIONS": options}}
    cache = caches["default"]
    assert isinstance(cache, MomentoCache)
    return cache


def use_every_connection(cache: MomentoCache) -> None:
    """Use the SDK's connections for data and control, and those of this package."""

    async def use_async() -> None:
        await cache.aset("async", 1)
        assert {"async": 1} == await cache.aget_many(["async", "none"])
        assert 1 == await cache.aget("async")

    cache.clear()
    cache.set("sync", "value")
    assert "value" == cache.get("sync")
    assert cache.touch("sync", 60)
    assert {"sync": "value"} == cache.get_many(["sync"])
    asyncio.run(use_async())
    cache.delete_many(["sync", "async"])
    assert not cache.has_key("sync")


def test_a_server_on_another_host_is_used_without_a_key(settings: Any) -> None:
    """The address of all interfaces is no loopback address, and reaches this machine."""
    with LocalServer("0.0.0.0", caches=["tests"]) as server:
        port = server.address.rpartition(":")[2]
        use_every_connection(configure(settings, CREDENTIALS="local", ENDPOINT=f"0.0.0.0:{port}"))


def test_no_key_goes_to_another_host_in_plaintext(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From whatever place the endpoint comes."""
    monkeypatch.setenv("MOMENTO_API_KEY", KEY)
    monkeypatch.setenv("MOMENTO_ENDPOINT", "0.0.0.0:8080")
    (tmp_path / "key.json").write_text(f'{{"api_key": "{KEY}", "endpoint": "0.0.0.0:8080"}}')

    with pytest.raises(ConfigurationError, match="in the clear"):
        configure(settings, CREDENTIALS="env", ENDPOINT="0.0.0.0:8080").get("key")
    with pytest.raises(CredentialError, match="in the clear"):
        configure(settings, CREDENTIALS="env").get("key")
    with pytest.raises(CredentialError, match="in the clear"):
        configure(settings, CREDENTIALS="file", API_KEY_FILE=tmp_path / "key.json").get("key")


@table("host", ["127.0.0.1", "localhost", "https://localhost", " https://127.0.0.1"], afresh=True)
def test_a_server_is_used_by_tls(settings: Any, tmp_path: Path, host: str) -> None:
    """Its certificate is the root to trust; every connection uses TLS."""
    with LocalServer(caches=["tests"], tls=make_certificate(tmp_path, "127.0.0.1")) as server:
        port = server.address.rpartition(":")[2]
        options = {"CREDENTIALS": "local", "ENDPOINT": f"{host}:{port}"}
        use_every_connection(configure(settings, **options, ROOT_CERTIFICATES=tmp_path / "cert.pem"))


@pytest.mark.parametrize("place", ["ENDPOINT", "MOMENTO_ENDPOINT", "file"])
def test_a_key_goes_to_a_server_by_tls(
    settings: Any,
    tls_server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
) -> None:
    """Whether the settings, the environment or the secret name the server."""
    endpoint = f"localhost:{tls_server.address.rpartition(':')[2]}"
    options: dict[str, Any] = {"CREDENTIALS": "env", "ROOT_CERTIFICATES": tmp_path / "cert.pem"}
    options["CLIENT_TIMEOUT"] = HANG_GUARD
    monkeypatch.setenv("MOMENTO_API_KEY", KEY)
    if place == "ENDPOINT":
        options["ENDPOINT"] = endpoint
    elif place == "MOMENTO_ENDPOINT":
        monkeypatch.setenv("MOMENTO_ENDPOINT", endpoint)
    else:
        (tmp_path / "key.json").write_text(f'{{"api_key": "{KEY}", "endpoint": "{endpoint}"}}')
        options |= {"CREDENTIALS": "file", "API_KEY_FILE": tmp_path / "key.json"}

    use_every_connection(configure(settings, **options))


def test_a_server_whose_certificate_is_not_trusted_is_not_used(
    settings: Any, tls_server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another certificate of the same name is not the root to trust."""
    other = make_certificate(tmp_path_factory.mktemp("other"), "127.0.0.1").certificate
    cache = configure(settings, CREDENTIALS="local", ENDPOINT=tls_server.address, ROOT_CERTIFICATES=other)

    with pytest.raises(TransportError):
        cache.get("key")
    with pytest.raises(TransportError):
        asyncio.run(cache.aget("key"))


def test_a_server_that_speaks_tls_is_not_used_in_plaintext(settings: Any, tls_server: LocalServer) -> None:
    """Without certificates to trust, a port means plaintext."""
    cache = configure(settings, CREDENTIALS="local", ENDPOINT=tls_server.address)

    with pytest.raises(TransportError):
        cache.get("key")
