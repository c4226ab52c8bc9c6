"""A server that speaks TLS, with a certificate of its own making."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cacheclient_pb2_grpc

from django_momento.local import LocalServer
from django_momento.local.tls import TlsFiles
from tests.kit.certificates import make_certificate
from tests.kit.wire import HANG_GUARD, status
from tests.local.conftest import Connect


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A self-signed certificate for 127.0.0.1, good for an hour, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def test_a_client_that_trusts_the_certificate_is_served(tls: TlsFiles) -> None:
    """With the certificate as its root, as ROOT_CERTIFICATES sets it."""
    with LocalServer(caches=["cache"], tls=tls) as server:
        credentials = grpc.ssl_channel_credentials(Path(tls.certificate).read_bytes())
        with grpc.secure_channel(server.address, credentials) as channel:
            stub = cacheclient_pb2_grpc.ScsStub(channel)
            metadata = (("cache", "cache"),)
            answer = stub.Get(pb._GetRequest(cache_key=b"k"), metadata=metadata, timeout=HANG_GUARD)
            assert answer.result == pb.Miss


def test_a_client_without_tls_is_not_served(tls: TlsFiles, connect: Connect) -> None:
    """There is no way around it on the same port."""
    with LocalServer(caches=["cache"], tls=tls) as server:
        code = status(connect(server).Get, pb._GetRequest(cache_key=b"k"))
        assert code == grpc.StatusCode.UNAVAILABLE


def test_files_that_cannot_be_used_are_named(tls: TlsFiles, tmp_path: Path) -> None:
    """One that is missing, one that is no certificate, and a key of another one."""
    (tmp_path / "empty.pem").touch()
    for files in (
        TlsFiles("missing.pem", tls.key),
        TlsFiles(str(tmp_path / "empty.pem"), tls.key),
        TlsFiles(tls.certificate, tls.certificate),
    ):
        with pytest.raises(ValueError, match=f"^Cannot use TLS with {files.certificate} and {files.key}: "):
            LocalServer(tls=files)
