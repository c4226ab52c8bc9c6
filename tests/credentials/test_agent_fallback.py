"""With an agent nobody else is asked, but where AGENT_FALLBACK says so and the agent cannot be."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from django_momento.client.registry import clients
from django_momento.conf.loading import parse
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import agent as agent_source
from django_momento.credentials.credential import fetch, log_warnings
from django_momento.exceptions import AgentUnavailable, CredentialError
from tests.kit import agent as agents
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import ARN, CELL, V2_KEY, SecretsManager
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws
agent = fixtures.agent

DOCUMENT = f'{{"api_key": "{V2_KEY}", "endpoint": "{CELL}"}}'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_source, "READY_WITHIN", 0.0)


def options(**given: Any) -> ConnectionOptions:
    given = {"CREDENTIALS": "agent", "SECRET_ID": "momento", "REGION": "us-west-2", **given}
    return parse("default", "my-cache", {"OPTIONS": given}).connection


def stop(agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point to a port where no agent listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(unused.getsockname()[1]))


def test_a_key_comes_from_the_agent(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """What the secret holds means the same as where boto3 fetches it, and the source says who did."""
    aws.create("momento", DOCUMENT)
    credential = fetch(options())

    assert (V2_KEY, f"cache.{CELL}") == (str(credential.api_key), credential.cache_host)
    assert "Secret 'momento' in us-west-2 (AWSCURRENT), from the agent" == credential.source


def test_the_source_names_the_region_that_the_agent_asked(
    aws: SecretsManager, agent: SecretsManagerAgent
) -> None:
    """Without REGION it is the agent's to say."""
    aws.create("momento", DOCUMENT)
    connection = parse(
        "default", "a", {"OPTIONS": {"CREDENTIALS": "agent", "SECRET_ID": "momento"}}
    ).connection

    assert "Secret 'momento' in us-west-2 (AWSCURRENT), from the agent" == fetch(connection).source


def test_a_refresh_reaches_aws(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """After a rotation the agent's cache has the old key for minutes."""
    aws.create("momento", '{"api_key": "old", "endpoint": "127.0.0.1:9"}')
    fetch(options())
    aws.client().put_secret_value(SecretId="momento", SecretString=DOCUMENT)

    assert ("old", V2_KEY) == tuple(str(fetch(options(), refresh).api_key) for refresh in (False, True))


def test_without_fallback_an_agent_that_is_gone_is_an_error(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs an agent wants to know that it does not."""
    aws.create("momento", DOCUMENT)
    stop(agent, monkeypatch)
    with pytest.raises(
        AgentUnavailable, match=r"No AWS Workload Credentials Provider \(Secrets Manager Agent\) listens"
    ):
        fetch(options())


@pytest.mark.parametrize("reason", ["gone", "not ready"])
def test_with_fallback_boto3_is_asked_and_the_log_says_why(
    aws: SecretsManager,
    agent: SecretsManagerAgent,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same secret, from AWS itself; nobody should learn from a bill that the agent does not run."""
    aws.create("momento", DOCUMENT)
    if reason == "gone":
        stop(agent, monkeypatch)
    else:
        agent.say(*agents.NOT_READY)
    with caplog.at_level(logging.WARNING, "django_momento"):
        credential = fetch(options(AGENT_FALLBACK=True))
        log_warnings(credential)

    assert (V2_KEY, "Secret 'momento' in us-west-2 (AWSCURRENT)") == (
        str(credential.api_key),
        credential.source,
    )
    (message,) = [record.getMessage() for record in caplog.records if record.name == "django_momento"]
    assert message.startswith("boto3 read the secret, because AGENT_FALLBACK is set: ")
    assert (
        "No AWS Workload Credentials Provider (Secrets Manager Agent) listens"
        if reason == "gone"
        else "not ready to serve"
    ) in message


@table(
    ("status", "text"),
    [
        (400, '{"__type":"AccessDeniedException", "message":"No."}'),
        (400, '{"__type":"ResourceNotFoundException", "message":"No."}'),
        (403, "Bad Token"),
        (500, '{"__type":"InternalFailure"}'),
        (200, "{}"),
    ],
    afresh=True,
)
def test_with_fallback_an_agent_s_refusal_still_stands(
    aws: SecretsManager, agent: SecretsManagerAgent, status: int, text: str
) -> None:
    """What AWS denied the agent is not to be had around it, and a wrong token is to be mended."""
    aws.create("momento", DOCUMENT)
    agent.say(status, text)
    with pytest.raises(CredentialError) as refused:
        fetch(options(AGENT_FALLBACK=True))

    assert CredentialError is type(refused.value)


def test_with_fallback_an_error_of_boto3_s_is_the_error(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last that was asked has the last word; that of the agent is in the log."""
    stop(agent, monkeypatch)
    with pytest.raises(CredentialError, match="AWS returned ResourceNotFoundException") as refused:
        fetch(options(AGENT_FALLBACK=True, SECRET_ID=ARN))

    assert "in eu-west-1" in refused.value.cause


def test_the_warning_of_a_fallback_is_logged_when_the_key_can_be_used(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler may use the very cache whose key was fetched, for one to throttle."""
    aws.create("momento", DOCUMENT)
    stop(agent, monkeypatch)
    client = clients.get(options(AGENT_FALLBACK=True, CLIENT_TIMEOUT=7.5))
    seen: list[tuple[str, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), str(client.get_credential().api_key)))

    handler = Handler(logging.WARNING)
    logging.getLogger("django_momento").addHandler(handler)
    try:
        client.get_credential()
    finally:
        logging.getLogger("django_momento").removeHandler(handler)
        client.close()

    ((message, key),) = seen
    assert message.startswith("boto3 read the secret, because AGENT_FALLBACK is set: No AWS Workload")
    assert V2_KEY == key
