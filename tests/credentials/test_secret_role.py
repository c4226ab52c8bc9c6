"""SECRET_ROLE reads a secret with the permissions of a role, such as one of another account."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import fetch
from django_momento.exceptions import AgentUnavailable, CredentialError
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import CELL, KEYS, REGION, V2_KEY, FakeAws, SecretsManager, report, shown_of

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws
agent, fake_aws = fixtures.agent, fixtures.fake_aws

ROLE = "arn:aws:iam::210987654321:role/momento-key-reader"
DOCUMENT = json.dumps({"api_key": V2_KEY, "endpoint": CELL})


def options(source: str, role: str | None = ROLE, fallback: bool = False) -> ConnectionOptions:
    return ConnectionOptions(
        source, secret_id="momento", region=REGION, secret_role=role, agent_fallback=fallback
    )


def failure(given: ConnectionOptions) -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        fetch(given)
    whole = report(failed.value)
    assert [] == [run for key in KEYS for run in shown_of(key, whole)]
    return failed.value


@pytest.fixture
def other_account(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A boto3 client for the account of ROLE, which alone has the secret."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    sts = boto3.session.Session(region_name=REGION).client("sts", endpoint_url=aws.url)
    keys = sts.assume_role(RoleArn=ROLE, RoleSessionName="tests")["Credentials"]
    client = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
    ).client("secretsmanager", endpoint_url=aws.url)
    client.create_secret(Name="momento", SecretString=DOCUMENT)
    yield client
    client.close()
    sts.close()


@pytest.mark.usefixtures("other_account")
def test_boto3_reads_a_secret_of_another_account_with_its_role() -> None:
    credential = fetch(options("secretsmanager"))

    assert V2_KEY == credential.api_key
    assert f"Secret 'momento' in us-west-2 (AWSCURRENT, as {ROLE})" == credential.source


@pytest.mark.usefixtures("other_account")
def test_without_the_role_the_secret_of_another_account_is_missing() -> None:
    assert "ResourceNotFoundException" in failure(options("secretsmanager", role=None)).cause


def test_the_agent_reads_a_secret_of_another_account_with_its_role(
    agent: SecretsManagerAgent, other_account: Any
) -> None:
    roles = {ROLE: other_account}
    agent.assume = roles.__getitem__
    credential = fetch(options("agent"))

    assert V2_KEY == credential.api_key
    assert f"Secret 'momento' in us-west-2 (AWSCURRENT, as {ROLE}), from the agent" == credential.source
    assert [ROLE] == [request.query["roleArn"] for request in agent.requests]


def test_without_a_role_the_agent_is_asked_for_none(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """An agent before version 3.0.0 does not know the parameter."""
    aws.create("momento", DOCUMENT)
    fetch(options("agent", role=None))

    assert "roleArn" not in agent.requests[0].query


@pytest.mark.usefixtures("other_account")
def test_the_fallback_of_an_agent_uses_the_role_too(agent: SecretsManagerAgent) -> None:
    agent.say(503, "Serving not enabled", times=20)

    assert V2_KEY == fetch(options("agent", fallback=True)).api_key


def test_an_agent_without_roles_is_to_be_upgraded(agent: SecretsManagerAgent) -> None:
    agent.say(400, "unknown parameter: roleArn")
    error = failure(options("agent"))

    assert not isinstance(error, AgentUnavailable)
    assert "SECRET_ROLE needs version 3.0.0" in error.fix


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "Failed to assume"),
        (400, "invalid roleArn"),
        (400, "maximum number of assumed roles"),
        (403, ""),
    ],
)
def test_a_role_that_the_agent_cannot_assume_is_named(
    agent: SecretsManagerAgent, status: int, text: str
) -> None:
    """The agent has no error code of its own for it."""
    agent.say(status, text)
    error = failure(options("agent"))

    assert ROLE in error.cause
    assert "sts:AssumeRole" in error.fix


def test_a_bad_token_is_a_bad_token_with_a_role_too(agent: SecretsManagerAgent) -> None:
    agent.say(403, "Bad Token")

    assert "refused the token" in failure(options("agent")).cause


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("AccessDenied", f"Allow sts:AssumeRole on {ROLE} to the role of this process"),
        ("ValidationError", "SECRET_ROLE must be the ARN of a role."),
        ("ExpiredToken", "have expired"),
        ("InvalidClientTokenId", "aws sts get-caller-identity"),
    ],
)
def test_a_role_that_cannot_be_assumed_says_what_to_do(
    fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch, code: str, fix: str
) -> None:
    """STS answers in XML."""
    fake_aws.status = 403
    fake_aws.body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>User: {V2_KEY} is not "
        "authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"
    ).encode()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{fake_aws.port}")
    error = failure(options("secretsmanager"))

    assert (
        f"as {ROLE}) cannot be read: the role cannot be assumed: AWS returned {code}: User: **" in error.cause
    )
    assert fix in error.fix


def test_a_denial_of_the_secret_names_the_role(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role needs the permission, and not the process."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    denial = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "No."}}, "GetSecretValue")
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", _deny(denial, boto3.session.Session))
    error = failure(options("secretsmanager"))

    assert f"to the role of {ROLE}" in error.fix


def _deny(denial: ClientError, _: object) -> Any:
    from botocore.client import BaseClient

    original = getattr(BaseClient, "_make_api_call")  # noqa: B009 - its stubs do not have it

    def call(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "GetSecretValue":
            raise denial
        return original(self, operation, arguments)

    return call
