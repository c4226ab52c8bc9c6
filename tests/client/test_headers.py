"""The headers of the SDK's calls: the SDK's own, without its interceptor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from momento import CacheClient, Configurations, CredentialProvider
from momento.responses import CacheGet

from django_momento.client import headers, operations
from django_momento.client.client import Client
from tests.kit.capture import Capture, capturing
from tests.kit.clients import make_client
from tests.kit.tables import table

KEY = "a-key"


@pytest.fixture
def server() -> Iterator[Capture]:
    with capturing() as server:
        yield server


@pytest.fixture
def client(server: Capture) -> Iterator[Client]:
    client = make_client(server.port, KEY)
    yield client
    client.close()


def test_the_first_call_has_the_headers_of_the_sdks_own_client(server: Capture, client: Client) -> None:
    """None is missing, different or there twice."""
    host = "127.0.0.1"
    provider = CredentialProvider(KEY, host, host, host, server.port)
    with CacheClient(Configurations.Laptop.latest(), provider, timedelta(days=1)) as plain:
        assert isinstance(plain.get("tests", b"k"), CacheGet.Miss)

    client.run("tests", operations.get(b"k"))

    theirs, ours = server.sent
    assert sorted(ours) == sorted(theirs)


def test_no_interceptor_is_in_the_way_of_a_call(client: Client) -> None:
    """It would cost a tenth of the call's CPU time."""
    client.run("tests", operations.get(b"k"))
    names = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        client.run("tests", operations.get(b"k"))
    finally:
        sys.setprofile(None)

    assert "get" in names
    assert "intercept_unary_unary" not in names


@table(
    "manager", [None, SimpleNamespace(), SimpleNamespace(_channel=object()), SimpleNamespace(_stub=object())]
)
def test_an_sdk_without_those_internals_sends_its_headers_itself(
    server: Capture, client: Client, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "grpc_manager_of", lambda client: manager)

    client.run("tests", operations.get(b"k"))

    assert (server.seen[0]["cache"], server.seen[0]["authorization"]) == ("tests", KEY)
