"""Wherever a key comes from, no log, repr, error page or error tracker gets any part of it."""

from __future__ import annotations

import http.client
import json
import logging
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from django.core.cache import caches
from django.views.debug import ExceptionReporter

from django_momento.conf.loading import parse
from django_momento.credentials import agent as agent_source
from django_momento.credentials.credential import fetch
from django_momento.exceptions import AuthenticationFailed, ConfigurationError, CredentialError
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import (
    AGENT_TOKEN,
    CELL,
    HERE,
    KEYS,
    V2_KEY,
    SecretsManager,
    jwt,
    report,
    shown_of,
)
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws
agent = fixtures.agent

ENCRYPTION_KEY = "c2l4dGVlbiBieXRlcyE9c2l4dGVlbiBieXRlcyE9"
SECRETS = (*KEYS, ENCRYPTION_KEY, AGENT_TOKEN)

Keep = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def keep(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Keep:
    """Keep a text where a source looks for it. Return the OPTIONS that name the source."""

    def keep_in(source: str, text: str) -> dict[str, Any]:
        if source in ("secretsmanager", "agent", "agent's stand-in"):
            aws.create("momento", text)
        options = {"CREDENTIALS": source, "SECRET_ID": "momento", "REGION": "us-west-2"}
        match source:
            case "secretsmanager" | "agent":
                return options
            case "agent's stand-in":
                monkeypatch.setenv("AWS_SESSION_TOKEN", AGENT_TOKEN)
                monkeypatch.setenv(agent_source.PORT_VARIABLE, "9")
                return {**options, "CREDENTIALS": "agent", "AGENT_FALLBACK": True}
            case "env":
                monkeypatch.setenv("MOMENTO_API_KEY", text)
                return {"CREDENTIALS": "env"}
            case "file":
                (tmp_path / "api-key").write_text(text)
                return {"CREDENTIALS": "file", "API_KEY_FILE": tmp_path / "api-key"}
        module = types.ModuleType("leaking_site")
        module.current = lambda: text  # type: ignore[attr-defined]  # a module of the test
        monkeypatch.setitem(sys.modules, "leaking_site", module)
        return {"CREDENTIALS": "leaking_site.current"}

    return keep_in


every_source = table(
    "source", ["secretsmanager", "agent", "agent's stand-in", "env", "file", "callable"], afresh=True
)


def leaks(text: str) -> list[str]:
    return [run for secret in SECRETS for run in shown_of(secret, text)]


def all_that_shows(error: BaseException) -> str:
    """An error as logs, trackers and Django's debug page have it; the frames of the tests know the key."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(HERE):
        trace = trace.tb_next
    error.__traceback__ = trace
    page = ExceptionReporter(None, type(error), error, trace).get_traceback_html()
    return "\n".join([report(error), repr(error.args), repr(vars(error)), page])


def all_that_was_logged(caplog: pytest.LogCaptureFixture) -> str:
    """What this thread logged: the servers of these tests run in threads, and know the key."""
    here = threading.get_ident()
    records = [record for record in caplog.records if record.thread == here]
    return "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in records)


@every_source
def test_no_log_at_any_level_holds_a_secret(
    keep: Keep, source: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """Whoever logs everything, and lets http.client print what it sends, still has no key on the screen."""
    document = {"api_key": V2_KEY, "endpoint": CELL, "encryption_key": ENCRYPTION_KEY, "validUntil": "soon"}
    options = parse("default", CACHE_NAME, {"OPTIONS": keep(source, json.dumps(document))}).connection
    if source != "agent's stand-in":  # There urllib3 prints the token, which is then AWS's own.
        monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with caplog.at_level(1):
        credential = fetch(options, refresh=True)

    assert (V2_KEY, ENCRYPTION_KEY) == (str(credential.api_key), str(credential.encryption_keys))
    assert [] == leaks(all_that_was_logged(caplog))
    assert [] == leaks("".join(capfd.readouterr()))
    assert [] == leaks(repr(credential))


# What each source may hold that will not do; the errors arise where the text has just been read.
SPOILED = {
    "no endpoint": V2_KEY,
    "two lines": f"{V2_KEY}\n{V2_KEY}",
    "half a document": json.dumps({"api_key": V2_KEY, "endpoint": CELL})[:-5],
    "quotes of Python's": str({"api_key": V2_KEY}),
    "another name": json.dumps({"MOMENTO_API_KEY": V2_KEY}),
    "a key as name": json.dumps({V2_KEY: "api_key"}),
    "a list": json.dumps({"api_key": [V2_KEY]}),
    "fields swapped": json.dumps({"api_key": CELL, "endpoint": V2_KEY}),
    "half a key": V2_KEY[:-20],
}


@every_source
@table("text", SPOILED.values(), ids=SPOILED.keys(), afresh=True)
def test_no_error_holds_a_secret(
    keep: Keep, source: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its words and arguments, nor the local variables of the frames on its way and of its causes."""
    options = parse("default", CACHE_NAME, {"OPTIONS": keep(source, text)}).connection
    with caplog.at_level(1), pytest.raises(CredentialError) as failed:
        fetch(options)

    assert [] == leaks(all_that_shows(failed.value))
    assert [] == leaks(all_that_was_logged(caplog))


@every_source
def test_a_cache_in_use_shows_no_secret(
    keep: Keep, source: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """From the first call to a key that Momento refuses, with every logger at its most talkative."""
    wrong = jwt(t="g", jti="another")
    with LocalServer(caches=[CACHE_NAME], api_keys=[V2_KEY]) as server:
        options = keep(source, json.dumps({"api_key": V2_KEY, "endpoint": server.address}))
        options["CLIENT_TIMEOUT"] = HANG_GUARD
        settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": CACHE_NAME,
                "OPTIONS": options,
            }
        }
        with caplog.at_level(1):
            caches["default"].set("key", "value")
            assert "value" == caches["default"].get("key")
            server.accept_only(wrong)
            with pytest.raises(AuthenticationFailed) as refused:
                caches["default"].get("key")

        assert [] == leaks(all_that_shows(refused.value))
        assert [] == leaks(all_that_was_logged(caplog))
        assert [] == leaks(repr(vars(caches["default"])))


@table("key", KEYS)
@table(
    "place",
    ["CREDENTIALS", "SECRET_ID", "SECRET_VERSION_STAGE", "REGION", "API_KEY_VARIABLE", "ENDPOINT_VARIABLE"],
)
def test_a_key_pasted_into_an_option_is_refused_and_not_shown(place: str, key: str) -> None:
    """Taken for a name it would be sent to AWS, and stand in every message about the secret."""
    with pytest.raises(ConfigurationError) as refused:
        parse("default", CACHE_NAME, {"OPTIONS": {"SECRET_ID": "momento", place: key}})

    assert f"CACHES['default']['OPTIONS']['{place}'] holds a Momento API key." == refused.value.cause
    assert [] == leaks(f"{refused.value} {refused.value!r}")


@table("key", KEYS)
@table("wrapped", ["{key}", "cache.{key}", "https://{key}", '{{"api_key": "{key}"}}'])
@table("place", ["ENDPOINT", "API_KEY_FILE", "ROOT_CERTIFICATES", "CONFIGURATION", "SECRETID"])
def test_a_key_in_any_other_place_is_not_shown(place: str, wrapped: str, key: str) -> None:
    """Whatever the error is about."""
    given = {"CREDENTIALS": "file", "API_KEY_FILE": "/run/key", place: wrapped.format(key=key)}
    with pytest.raises(ConfigurationError) as refused:
        parse("default", CACHE_NAME, {"OPTIONS": given})

    assert [] == leaks(f"{refused.value} {refused.value!r}")


def test_options_that_are_a_key_are_not_shown() -> None:
    """OPTIONS wants a dict, and a hurried hand has only the key."""
    for params in ({"OPTIONS": V2_KEY}, {"OPTIONS": [V2_KEY]}, {"OPTIONS": {V2_KEY: 1}}):
        with pytest.raises(ConfigurationError) as refused:
            parse("default", CACHE_NAME, params)
        assert [] == leaks(str(refused.value))


def test_the_loggers_are_left_as_they_were() -> None:
    """What is silenced for one call is heard again after it."""
    assert [[], [], []] == [
        logging.getLogger(name).filters for name in ("botocore.parsers", "botocore.auth", "botocore.endpoint")
    ]
