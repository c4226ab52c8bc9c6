"""The certificate of the server and its private key, both in PEM files.

Python's own ssl checks the files. If gRPC checked them, an unusable file would lead to lines of C on stderr
and a server that listens but completes no handshake.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import grpc


class TlsFiles(NamedTuple):
    certificate: str
    key: str

    def credentials(self) -> grpc.ServerCredentials:
        """Return gRPC's credentials. Raises ValueError if the files are not a certificate and its key."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"Cannot use TLS with {self.certificate} and {self.key}: {reason}") from error
        return grpc.ssl_server_credentials(
            [(Path(self.key).read_bytes(), Path(self.certificate).read_bytes())]
        )
