"""A server that cannot be reached: the fix fits the cause."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.client.obstacles import find_fix
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit.certificates import make_certificate
from tests.kit.tables import table

GENERAL = "Check ENDPOINT, that the server runs"
REFUSED = "last error: UNKNOWN: ipv4:127.0.0.1:9: Failed to connect to remote host"
# Nobody listens there.
DEAD_PROXY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


class RefusingProxy(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output to the tests."""


@pytest.fixture
def proxy() -> Iterator[str]:
    """Return the address of an HTTP proxy that refuses every host."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), RefusingProxy)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fix_of(settings: Any, endpoint: str, **options: Any) -> str:
    """Return the fix of the error that the first call ends with."""
    options = {"CREDENTIALS": "local", "ENDPOINT": endpoint, **options}
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
    with pytest.raises(ServerUnavailable) as unreachable:
        caches["default"].get("key")
    return unreachable.value.fix


def test_tls_to_a_server_in_plaintext(settings: Any, momento: LocalServer) -> None:
    """The fix names both options that ask for TLS."""
    fix = fix_of(settings, f"https://{momento.address}")

    assert "does not speak TLS" in fix
    assert "ROOT_CERTIFICATES" in fix


def test_plaintext_to_a_server_that_speaks_tls(settings: Any, tmp_path: Path) -> None:
    """The fix names the options that ask for TLS."""
    with LocalServer(tls=make_certificate(tmp_path, "127.0.0.1")) as server:
        fix = fix_of(settings, server.address)

    assert "If it speaks TLS, give ROOT_CERTIFICATES" in fix


def test_a_certificate_that_is_not_trusted(settings: Any, tmp_path: Path) -> None:
    """The fix names the option for its root."""
    with LocalServer(tls=make_certificate(tmp_path, "127.0.0.1")) as server:
        fix = fix_of(settings, f"https://{server.address}")

    assert "is not trusted" in fix
    assert "ROOT_CERTIFICATES" in fix


def test_a_proxy_that_refuses(settings: Any, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The fix names the variable, the host to allow and ``no_proxy``."""
    monkeypatch.setenv("https_proxy", proxy)
    fix = fix_of(settings, "momento.invalid:8080")

    assert "environment variable https_proxy" in fix
    assert "CONNECT to momento.invalid:8080" in fix
    assert "no_proxy" in fix


def test_a_proxy_that_does_not_run(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the failure is that of the proxy."""
    monkeypatch.setenv("http_proxy", DEAD_PROXY)

    assert "environment variable http_proxy" in fix_of(settings, "momento.invalid:8080")


def test_a_host_that_does_not_exist(settings: Any) -> None:
    assert "spelling of ENDPOINT" in fix_of(settings, "no-such-host.invalid:8080")


def test_a_port_at_which_nobody_listens(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment has no part in it: connections to this machine pass it by."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", DEAD_PROXY)
        fix = fix_of(settings, f"127.0.0.1:{unused.getsockname()[1]}")

    assert "manage.py momento_local" in fix


@table(
    ("proxy", "endpoint", "details", "fix"),
    [
        (DEAD_PROXY, "cache.cell.example", REFUSED, "CONNECT to cache.cell.example:443"),
        (DEAD_PROXY, "127.0.0.1:9", REFUSED, GENERAL),
        ("http://127.0.0.1:10", "cache.cell.example", REFUSED, GENERAL),
        ("http://[no-port", "cache.cell.example", REFUSED, GENERAL),
        ("", "cache.cell.example", REFUSED, GENERAL),
        ("", "127.0.0.1:9", f"{REFUSED}: Connection refused", "manage.py momento_local"),
        ("", "[::1]:9", f"{REFUSED}: Connection refused", "manage.py momento_local"),
        ("", "momento:9", f"{REFUSED}: Connection refused", GENERAL),
        ("", "cache.cell.example", f"{REFUSED}: Connection refused", GENERAL),
        ("", "cache.cell.example", "Socket closed", GENERAL),
        ("", "momento:8080", "Socket closed", "If it speaks TLS"),
        ("", "a:1", "Peer name a is not in peer certificate", "for another name"),
        ("", "a:1", "CERTIFICATE_VERIFY_FAILED: Hostname Verification Check failed.", "for another name"),
        ("", "a:1", "", GENERAL),
    ],
)
def test_the_text_of_grpc_tells_the_cause(
    monkeypatch: pytest.MonkeyPatch, proxy: str, endpoint: str, details: str, fix: str
) -> None:
    """Any other text gets the general fix."""
    monkeypatch.setenv("https_proxy", proxy)

    assert fix in find_fix(endpoint, details)
