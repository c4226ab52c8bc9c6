"""A server that speaks TLS, with a certificate of its own making."""

import datetime
import ipaddress
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cacheclient_pb2_grpc

from django_momento.local import LocalServer
from django_momento.local.tls import TlsFiles
from tests.kit.wire import HANG_GUARD, status


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, good for an hour, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(str(directory / "cert.pem"), str(directory / "key.pem"))


def test_a_client_that_trusts_the_certificate_is_served(tls):
    """With the certificate as its root, which is what ROOT_CERTIFICATES and its like are for."""
    with LocalServer(caches=["cache"], tls=tls) as server:
        credentials = grpc.ssl_channel_credentials(Path(tls.certificate).read_bytes())
        with grpc.secure_channel(server.address, credentials) as channel:
            stub = cacheclient_pb2_grpc.ScsStub(channel)
            metadata = (("cache", "cache"),)
            answer = stub.Get(pb._GetRequest(cache_key=b"k"), metadata=metadata, timeout=HANG_GUARD)
            assert answer.result == pb.Miss


def test_a_client_without_tls_is_not_served(tls, connect):
    """There is no way around it on the same port."""
    with LocalServer(caches=["cache"], tls=tls) as server:
        code = status(connect(server).Get, pb._GetRequest(cache_key=b"k"))
        assert code == grpc.StatusCode.UNAVAILABLE


def test_files_that_cannot_be_used_are_named(tls, tmp_path):
    """One that is missing, one that is no certificate, and a key of another one."""
    (tmp_path / "empty.pem").touch()
    for files in (
        TlsFiles("missing.pem", tls.key),
        TlsFiles(str(tmp_path / "empty.pem"), tls.key),
        TlsFiles(tls.certificate, tls.certificate),
    ):
        with pytest.raises(ValueError, match=f"^Cannot use TLS with {files.certificate} and {files.key}: "):
            LocalServer(tls=files)
