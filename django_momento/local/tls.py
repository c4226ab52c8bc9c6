"""The certificate a server shows and the key that proves it, both from PEM files.

Reads and checks them with Python's own ssl: asked of gRPC, a file that is none would be lines of C on
stderr and a server that listens and answers nobody.
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
        """Raise a ValueError that names the files unless they are a certificate and its key."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"Cannot use TLS with {self.certificate} and {self.key}: {reason}") from error
        return grpc.ssl_server_credentials(
            [(Path(self.key).read_bytes(), Path(self.certificate).read_bytes())]
        )
