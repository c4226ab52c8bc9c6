"""Responses that cannot be decoded: the error of the decoder is in the message, and chained."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError, EncodeError

from django_momento.client import operations, sdk_log
from django_momento.client.client import Client
from django_momento.exceptions import MomentoCacheError, ServerError
from tests.client.test_foreign import VERBS
from tests.kit import sites as fixtures
from tests.kit.clients import make_client
from tests.kit.sites import Run
from tests.kit.tables import table

run = fixtures.run

STREAMS = ("GetBatch", "SetBatch")


class Garbage(grpc.GenericRpcHandler):
    """Responds to every call with bytes that are no message of protobuf's."""

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method.endswith(STREAMS):
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter([b"\xff\xff\xff"]))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\xff\xff\xff")


@pytest.fixture
def client() -> Iterator[Client]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Garbage()])
    client = make_client(server.add_insecure_port("127.0.0.1:0"), client_timeout=30.0)
    server.start()
    yield client
    client.close()
    server.stop(None).wait()


def causes_of(error: BaseException | None) -> list[type[BaseException]]:
    found = []
    while error is not None:
        found.append(type(error))
        error = error.__cause__
    return found


@table("name", VERBS)
def test_a_response_that_cannot_be_decoded_names_the_error_of_the_decoder(
    run: Run, client: Client, name: str
) -> None:
    if name == "create" and run is fixtures.run_async:
        return  # there is no async one
    with pytest.raises(MomentoCacheError) as caught:
        run(client, VERBS[name]())

    error: Any = caught.value
    if hasattr(error, "outcomes"):  # of calls that were sent together
        error = next(each for each in error.outcomes if isinstance(each, MomentoCacheError))
    assert "cannot be read: DecodeError: Error parsing message" in str(error)
    assert type(error) is ServerError
    assert "INTERNAL" == error.status
    assert DecodeError in causes_of(error)


def test_a_request_that_cannot_be_serialized_names_the_cause(
    run: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one over two gigabytes."""

    def refuse(message: Any) -> bytes:
        raise EncodeError("Failed to serialize proto")

    channel_type = type(grpc.insecure_channel("127.0.0.1:1"))

    def refusing(real: Any) -> Any:
        return lambda self, method, request_serializer, *args, **more: real(
            self, method, refuse, *args, **more
        )

    for kind in ("unary_unary", "unary_stream"):
        monkeypatch.setattr(channel_type, kind, refusing(getattr(channel_type, kind)))
    for verb in ("set", "has_key", "clear"):
        with pytest.raises(ServerError, match="EncodeError: Failed to serialize proto") as caught:
            run(client, VERBS[verb]())
        assert EncodeError in causes_of(caught.value)


class Broken:
    """A method of a channel, inside of which every call fails."""

    def with_call(self, *args: Any, **more: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    __call__ = future = with_call


def test_a_call_that_fails_inside_grpc_names_the_cause(
    run: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a control call too, whose exceptions Momento's SDK replaces and does not log."""
    channel_type = type(grpc.insecure_channel("127.0.0.1:1"))
    for kind in ("unary_unary", "unary_stream"):
        monkeypatch.setattr(channel_type, kind, lambda *args, **more: Broken())
    creating = partial(client.run, "tests", VERBS["create"]())
    for attempt in (creating, *(partial(run, client, VERBS[verb]()) for verb in ("set", "has_key", "clear"))):
        with pytest.raises(ServerError, match=r"inside the client: OSError: \[Errno 28\] No space") as caught:
            attempt()
        assert OSError in causes_of(caught.value)


def test_grpcs_own_line_about_it_comes_once_in_ten_seconds(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(sdk_log, "grpc_throttle", sdk_log.Throttle())
    monkeypatch.setattr(sdk_log, "monotonic", lambda: now)

    def lines() -> int:
        return sum(record.name == "grpc._common" for record in caplog.records)

    for _ in range(3):
        with pytest.raises(ServerError):
            client.run("tests", operations.set(b"k", b"v", 1000))
    assert 1 == lines()
    with caplog.at_level(logging.DEBUG, logger="momentosdk"), pytest.raises(ServerError):
        client.run("tests", operations.set(b"k", b"v", 1000))
    assert lines() >= 2
