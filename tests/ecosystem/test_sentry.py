"""sentry-sdk: its spans for cache calls, and what its events tell of a key kept in Secrets Manager."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
import sentry_sdk
from asgiref.testing import ApplicationCommunicator
from django.core.cache import cache as default_cache
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import path
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.boto3 import Boto3Integration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.grpc import GRPCIntegration
from sentry_sdk.transport import Transport

from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit import aws as fixtures
from tests.kit.aws import REGION, V2_KEY, SecretsManager, jwt, shown_of

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws

# Seconds. Never waited for unless something hangs.
HANG_GUARD = 100

OTHER_KEY = jwt(t="g", jti="b7a90c53-21fe-4f4c-8d1e-000000000000")


def page(request: HttpRequest) -> HttpResponse:
    default_cache.set("a", {"apples": 3})
    default_cache.get("a")
    default_cache.get("missing", "default")
    default_cache.set_many({"b": 1, "c": 2})
    default_cache.get_many(["b", "c", "missing"])
    default_cache.incr("b")
    default_cache.delete("c")
    return HttpResponse(str(default_cache.get_many(["a", "b", "c"])))


async def apage(request: HttpRequest) -> HttpResponse:
    await default_cache.aset("a", {"apples": 3})
    await default_cache.aset_many({"b": 1, "c": 2})
    await default_cache.aget("a")
    await default_cache.aincr("b")
    await default_cache.adelete("c")
    return HttpResponse(str(await default_cache.aget_many(["a", "b", "c"])))


CONTENT = str({"a": {"apples": 3}, "b": 2}).encode()

urlpatterns = [path("page/", page), path("apage/", apage)]
# Django looks at its database connections around each request, though no view here has a use for them.
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class Recorder(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events += [item.payload.json for item in envelope.items]

    def spans(self) -> list[tuple[str, str, bool | None]]:
        """The spans for the cache: what was done, with which keys, and whether it was a hit."""
        return [
            (span["op"], span["description"], span["data"].get("cache.hit"))
            for event in self.events
            for span in event.get("spans", ())
            if span["op"].startswith("cache.")
        ]

    def errors(self) -> list[str]:
        """The types of all exceptions, causes included."""
        exceptions = [event.get("exception", {}).get("values", ()) for event in self.events]
        return [exception["type"] for chain in exceptions for exception in chain]


Record = Callable[..., Recorder]


@pytest.fixture
def record(settings: Any) -> Iterator[Record]:
    """Switch Sentry on, and record; it is switched off again after the test."""

    def record(*integrations: Integration) -> Recorder:
        recorder = Recorder()
        sentry_sdk.init(
            dsn="https://public@sentry.invalid/1",
            transport=recorder,
            # Only what a test is about, and not whatever else is installed.
            auto_enabling_integrations=False,
            integrations=[DjangoIntegration(cache_spans=True), *integrations],
            traces_sample_rate=1.0,
        )
        # Sites switch Sentry on before they use a cache: make Django forget the one that a fixture made.
        settings.CACHES = dict(settings.CACHES)
        return recorder

    yield record
    sentry_sdk.init()


@pytest.fixture
def grpc_integration(monkeypatch: pytest.MonkeyPatch) -> GRPCIntegration:
    """Sentry's integration for gRPC, which replaces functions of grpc; after the test they are back."""
    patched = {grpc: ["intercept_channel", "server"], grpc.aio: ["server"]}
    for module, names in patched.items():
        for name in (*names, "insecure_channel", "secure_channel"):
            monkeypatch.setattr(module, name, getattr(module, name))
    # Sentry does this once a process, which may have been in another test.
    GRPCIntegration.setup_once()
    return GRPCIntegration()


@pytest.fixture
def _key_in_secrets_manager(aws: SecretsManager, momento: LocalServer, settings: Any) -> None:
    aws.create("momento", V2_KEY)
    momento.accept_only(V2_KEY)
    options = {"SECRET_ID": "momento", "REGION": REGION, "ENDPOINT": momento.address, "CLIENT_TIMEOUT": 100}
    backend = "django_momento.cache.MomentoCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}


def get(url: str = "/page/") -> bytes:
    """A request as a WSGI server hands it on: Sentry begins where Django does."""
    return b"".join(WSGIHandler()(RequestFactory().get(url).environ, lambda *_: None))


def aget(url: str = "/apage/") -> bytes:
    """A request as an ASGI server hands it on."""

    async def main() -> bytes:
        scope = AsyncRequestFactory().get(url).scope
        application = ApplicationCommunicator(ASGIHandler(), scope)
        await application.send_input({"type": "http.request"})
        await application.receive_output(HANG_GUARD)
        return bytes((await application.receive_output(HANG_GUARD))["body"])

    return asyncio.run(main())


def keys_shown(recorder: Recorder) -> list[str]:
    """Every run of eight characters of an API key in all that was recorded."""
    text = json.dumps(recorder.events)
    return [run for key in (V2_KEY, OTHER_KEY) for run in shown_of(key, text)]


def test_reads_and_writes_are_spans(record: Record) -> None:
    """One for each call, with its keys, and whether it was a hit. A batch is one call."""
    recorder = record()
    assert get() == CONTENT
    assert [
        ("cache.put", "a", None),
        ("cache.get", "a", True),
        ("cache.get", "missing", False),
        ("cache.put", "b, c", None),
        ("cache.get", "b, c, missing", True),
        ("cache.get", "a, b, c", True),
    ] == recorder.spans()


def test_spans_are_addressed_to_the_cache(record: Record) -> None:
    """LOCATION, which is the name of a Momento cache and no secret, is the peer."""
    recorder = record()
    get()
    (event,) = (event for event in recorder.events if event.get("spans"))
    peers = {span["data"]["network.peer.address"] for span in event["spans"] if span["op"] == "cache.get"}
    assert {CACHE_NAME} == peers


def test_async_views_are_served_natively_under_sentry(record: Record, momento: LocalServer) -> None:
    """Sentry replaces sync methods only: the async ones make no spans, and no thread wraps them."""
    recorder = record()
    assert aget() == CONTENT
    assert [] == recorder.spans()
    assert (1, 1, 1) == (momento.calls["SetBatch"], momento.calls["GetBatch"], momento.calls["Get"])


@pytest.mark.parametrize("request_through", [get, aget])
def test_the_grpc_integration_changes_no_answer(
    record: Record, grpc_integration: GRPCIntegration, request_through: Callable[[], bytes]
) -> None:
    """It puts an interceptor into every channel, through which all kinds of calls come with their answers."""
    recorder = record(grpc_integration)
    assert request_through() == CONTENT
    assert "grpc.client" in {span["op"] for event in recorder.events for span in event.get("spans", ())}


@pytest.mark.usefixtures("_key_in_secrets_manager")
@pytest.mark.parametrize("request_through", [get, aget])
def test_spans_do_not_show_the_key(
    record: Record, grpc_integration: GRPCIntegration, request_through: Callable[[], bytes]
) -> None:
    """Nor does anything else of a request that fetched it from Secrets Manager."""
    recorder = record(Boto3Integration(), grpc_integration)
    assert request_through() == CONTENT
    assert recorder.events
    assert [] == keys_shown(recorder)


@pytest.mark.usefixtures("_key_in_secrets_manager")
@pytest.mark.parametrize("request_through", [get, aget])
def test_errors_do_not_show_the_key(
    record: Record,
    grpc_integration: GRPCIntegration,
    momento: LocalServer,
    request_through: Callable[[], bytes],
) -> None:
    """An error is sent with the local variables of every frame, and no frame has the key in the clear."""
    recorder = record(Boto3Integration(), grpc_integration)
    momento.accept_only(OTHER_KEY)
    request_through()
    assert "AuthenticationFailed" in recorder.errors()
    assert [] == keys_shown(recorder)


@pytest.mark.usefixtures("_key_in_secrets_manager")
def test_a_secret_that_is_not_one_is_not_shown_either(record: Record, aws: SecretsManager) -> None:
    """What cannot be read as a secret is not quoted: it may be one all the same, with a brace forgotten."""
    aws.client(REGION).put_secret_value(SecretId="momento", SecretString=f'{{"api_key": "{V2_KEY}')
    recorder = record(Boto3Integration())
    get()
    assert "CredentialError" in recorder.errors()
    assert [] == keys_shown(recorder)
