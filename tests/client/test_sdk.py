"""The SDK's client: configured whole from our options, with what the SDK has no setting for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from django_momento.client import headers, operations, sdk
from django_momento.conf.options import ConnectionOptions
from django_momento.exceptions import MomentoCacheError, ServerError
from tests.kit.capture import capturing
from tests.kit.clients import make_client
from tests.kit.tables import table


def transport(**options: Any) -> Any:
    configured = sdk.configuration(ConnectionOptions(options.pop("credentials", "env"), **options))
    return configured.get_transport_strategy().get_grpc_configuration()


@table(("name", "seconds"), [("in-region", 1.1), ("low-latency", 0.5), ("lambda", 1.1), ("laptop", 15)])
def test_a_preset_brings_its_deadline(name: str, seconds: float) -> None:
    """CONFIGURATION names the SDK's own presets."""
    assert transport(configuration=name).get_deadline() == timedelta(seconds=seconds)


def test_auto_is_in_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server beside its cache."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    assert transport().get_deadline() == timedelta(seconds=1.1)
    assert transport().get_keepalive_time() == timedelta(seconds=5)


def test_auto_is_lambda_inside_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepalive is off there: a frozen container cannot answer, and its connection would count as dead."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "web")
    assert transport().get_keepalive_time() is None
    assert transport().get_keepalive_permit_without_calls() == 0


@table("source", ["local", "embedded"])
def test_auto_is_patient_on_a_developers_machine(source: str) -> None:
    """A server on a busy laptop, or one stopped in a debugger, is not an outage."""
    assert transport(credentials=source).get_deadline() == timedelta(seconds=15)


def test_a_client_timeout_keeps_the_rest_of_the_preset() -> None:
    """The SDK's own with_client_timeout() would switch keepalive on again."""
    configured = transport(configuration="lambda", client_timeout=0.25)
    assert configured.get_deadline() == timedelta(seconds=0.25)
    assert configured.get_keepalive_time() is None


def test_root_certificates_are_read_from_their_file(tmp_path: Path) -> None:
    """ROOT_CERTIFICATES is a path; the SDK wants what is in it."""
    pem = tmp_path / "roots.pem"
    pem.write_bytes(b"certificates")
    assert transport(root_certificates=pem).get_root_certificates_pem() == b"certificates"


@table("verb", [operations.get, operations.has_key])
@table(("concern", "sent"), [("consistent", "consistent"), ("balanced", None)])
def test_the_read_concern_goes_with_every_call(verb: Any, concern: str, sent: str | None) -> None:
    """Both ways of sending carry it; balanced is the service's own default and may stay out."""
    with capturing() as server:
        client = make_client(server.port, "a-key", read_concern=concern)
        client.run("tests", verb(b"k"))
        client.close()
    (seen,) = server.seen
    assert (seen["cache"], seen["authorization"]) == ("tests", "a-key")
    assert seen.get("read-concern") in {sent, concern}


def test_certificates_that_are_gone_are_our_error(tmp_path: Path) -> None:
    """The file was there when the settings were read, and a new connection reads it again."""
    pem = tmp_path / "roots.pem"
    with pytest.raises(ServerError, match=r"ROOT_CERTIFICATES, .*roots.pem, cannot be read: No such file"):
        transport(root_certificates=pem)
    client = make_client(1, root_certificates=pem)
    for verb in (operations.get, operations.has_key):
        with pytest.raises(MomentoCacheError, match="ROOT_CERTIFICATES"):
            client.run("tests", verb(b"k"))
        with pytest.raises(MomentoCacheError, match="ROOT_CERTIFICATES"):
            asyncio.run(client.arun("tests", verb(b"k")))


@table("verb", [operations.get, operations.has_key])
def test_the_first_call_names_its_agent(verb: Any) -> None:
    """Both ways of sending do as Momento's SDKs do, once."""
    with capturing() as server:
        client = make_client(server.port)
        for _ in range(2):
            client.run("tests", verb(b"k"))
        client.close()
    assert [headers.AGENT, None] == [seen.get("agent") for seen in server.seen]
