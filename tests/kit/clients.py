"""A client of Momento with a key that a test gives it."""

from __future__ import annotations

import itertools
from typing import Any

from django_momento.client.client import Client
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import credential as credentials
from django_momento.credentials.credential import Credential
from django_momento.redaction import SecretStr

_numbers = itertools.count()


def make_client(port: int, api_key: str = "key", **options: Any) -> Client:
    """Return a client of a local server whose credential says that it comes from the test."""
    credential = Credential(SecretStr(api_key), "opaque", "the test", "127.0.0.1", "127.0.0.1", port)
    source = f"client {next(_numbers)}"
    credentials.SOURCES[source] = lambda options, refresh: credential
    return Client(ConnectionOptions(source, **{"configuration": "laptop", **options}))
