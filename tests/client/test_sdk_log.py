"""Warnings of Momento's SDK: one in ten seconds for the calls of this package, and all of other code's."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import momento
import pytest

from django_momento.client import sdk, sdk_log
from django_momento.client.calls import Get
from django_momento.client.sdk_log import LOGGER
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential
from django_momento.redaction import MASK, SecretStr
from tests.kit.damaged import refusing
from tests.kit.ports import unserved


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[momento.CacheClient]:
    """A client of a port that nothing listens on, with a throttle of its own."""
    monkeypatch.setattr(sdk_log, "throttle", sdk_log.Throttle())
    configured = sdk.configuration(ConnectionOptions("local", client_timeout=60.0))
    with unserved() as port:
        credential = Credential(SecretStr("key"), "opaque", "the test", "127.0.0.1", "127.0.0.1", port)
        with sdk.cache_client(credential, configured) as client:
            yield client


def fail(client: momento.CacheClient) -> None:
    with pytest.raises(momento.errors.SdkException):
        sdk.CALLS[Get](client, "tests", Get(b"k"))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "momentosdk"]


def test_calls_that_fail_are_logged_once_in_ten_seconds(
    client: momento.CacheClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that is away is asked thousands of times a minute."""
    now = 1000.0
    monkeypatch.setattr(sdk_log, "monotonic", lambda: now)
    for _ in range(5):
        fail(client)
    assert 1 == len(warnings(caplog))
    now += sdk_log.MIN_INTERVAL
    fail(client)
    (_, last) = warnings(caplog)
    assert "4 more calls failed" in last


def test_the_level_debug_brings_back_every_line(
    client: momento.CacheClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The documented way to undo it."""
    with caplog.at_level(logging.DEBUG, logger="momentosdk"):
        for _ in range(3):
            fail(client)
    assert 3 == len([line for line in warnings(caplog) if "failed with exception" in line])


def test_calls_of_other_code_are_logged_as_before(
    client: momento.CacheClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A site may use the SDK itself."""
    for _ in range(3):
        client.get("tests", b"k")
    assert 3 == len(warnings(caplog))


@pytest.mark.parametrize("level", [logging.WARNING, logging.DEBUG])
def test_a_line_quotes_the_server_without_keys_and_control_characters(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    """A proxy may repeat the API key and anything else that it was sent, however long."""
    monkeypatch.setattr(sdk_log, "throttle", sdk_log.Throttle())
    key = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2VjcmV0"
    with refusing(f"no {key}\r\nERROR a line of its own \x1b[31m 100 % {'long ' * 300}") as port:
        credential = Credential(SecretStr(key), "opaque", "the test", "127.0.0.1", "127.0.0.1", port)
        configured = sdk.configuration(ConnectionOptions("local", client_timeout=60.0))
        with sdk.cache_client(credential, configured) as client, caplog.at_level(level, logger="momentosdk"):
            fail(client)
    (line,) = [line for line in warnings(caplog) if "failed with exception" in line]
    assert line.isprintable()
    assert MASK in line
    assert key not in line
    assert len(line) < 600


def test_a_log_handler_that_uses_the_cache_does_not_recurse(client: momento.CacheClient) -> None:
    """A handler or filter that asks the cache fails in turn, and its failure writes no line."""
    calls = 0

    def use_the_cache(record: logging.LogRecord) -> bool:
        nonlocal calls
        calls += 1
        fail(client)
        return True

    LOGGER.addFilter(use_the_cache)
    try:
        fail(client)
    finally:
        LOGGER.removeFilter(use_the_cache)
    assert 1 == calls


def test_an_error_that_the_caller_handles_is_left_alone(client: momento.CacheClient) -> None:
    """The SDK logs while it makes a client, which may be in an ``except`` of this package or of a site."""
    configured = sdk.configuration(ConnectionOptions("local"))
    credential = Credential(SecretStr("key"), "opaque", "the test", "127.0.0.1", "127.0.0.1", 1)
    try:
        raise LookupError("an older error")
    except LookupError:
        with sdk.cache_client(credential, configured):
            fail(client)
