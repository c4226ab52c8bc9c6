"""Whatever keeps a secret from being fetched says which secret, where, what was answered and what to do."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from django_momento.credentials import secrets_manager
from django_momento.credentials.aws import FIXES
from django_momento.credentials.secrets_manager import get_secret_value
from tests.kit import aws as fixtures
from tests.kit.aws import (
    ARN,
    REGION,
    V2_KEY,
    FakeAws,
    answering,
    failure,
)
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
aws_environment, fake_aws = fixtures.aws_environment, fixtures.fake_aws

# For each error code AWS answers with: what the fix must name.
ANSWERS = {
    "AccessDeniedException": (
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:us-west-2:*:secret:momento-*",
        "kms:Decrypt",
    ),
    "ResourceNotFoundException": ("SECRET_ID", "create-secret --region us-west-2 --name momento "),
    "DecryptionFailure": ("kms:Decrypt", "enabled"),
    "InternalServiceError": ("passes by itself",),
    "InternalServiceErrorException": ("passes by itself",),
    "InternalFailure": ("passes by itself",),
    "ServiceUnavailable": ("passes by itself",),
    "InvalidParameterException": ("SECRET_ID", "SECRET_VERSION_STAGE"),
    "InvalidRequestException": ("deletion", "restore-secret --region us-west-2 --secret-id momento"),
    "ValidationException": ("SECRET_ID", "SECRET_VERSION_STAGE"),
    "ThrottlingException": ("Too many calls", "passes by itself"),
    "ExpiredToken": ("expired",),
    "ExpiredTokenException": ("expired",),
    "RequestExpired": ("clock",),
    "InvalidSignatureException": ("clock", "credentials"),
    "IncompleteSignature": ("aws sts get-caller-identity",),
    "InvalidClientTokenId": ("aws sts get-caller-identity",),
    "MissingAuthenticationToken": ("aws sts get-caller-identity",),
    "NotAuthorized": ("aws sts get-caller-identity",),
    "UnrecognizedClientException": ("aws sts get-caller-identity",),
    "OptInRequired": ("Enable this region",),
    "AnErrorOfTheFuture": ("AWS's reference of GetSecretValue",),
}


@pytest.fixture(autouse=True)
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries pause, and are the subject of two tests only."""
    monkeypatch.setattr(secrets_manager, "ATTEMPTS", 1)


@table("code", ANSWERS)
def test_every_error_of_aws_says_where_and_what_to_do(fake_aws: FakeAws, code: str) -> None:
    """Each error names the secret, the region, AWS's own words and the fix."""
    fake_aws.refuse(code, f"AWS said {code}.", status=500 if "Internal" in code else 400)
    message = failure()

    start = (
        f"Secret 'momento' in us-west-2 (AWSCURRENT) cannot be read: AWS returned {code}: AWS said {code}. "
    )
    assert message.startswith(start)
    assert [] == [hint for hint in ANSWERS[code] if hint not in message]


def test_every_error_with_a_fix_is_tested() -> None:
    """An error added to the table must come with what its fix names."""
    assert set(FIXES) == set(ANSWERS) - {"AnErrorOfTheFuture"}


def test_a_denied_arn_is_the_one_to_allow(fake_aws: FakeAws) -> None:
    """Given an ARN, the IAM policy needs exactly that."""
    fake_aws.refuse("AccessDeniedException")

    assert f"secretsmanager:GetSecretValue on {ARN} to the role" in failure(ARN)


@table(
    ("status", "body", "cause"),
    [
        (403, b"<html>\n <p>Proxy\n</html>", "AWS returned 403: <html> <p>Proxy </html>. "),
        (502, b"", "AWS returned 502"),
        (400, b'{"__type": "Odd", "message": null}', "AWS returned Odd. "),
        (403, b"x" * 10_000, f"AWS returned 403: {'x' * 497}. "),
    ],
)
def test_an_answer_that_is_not_aws_s_is_quoted_in_short(
    fake_aws: FakeAws, status: int, body: bytes, cause: str
) -> None:
    """A proxy's page becomes one line of the message."""
    fake_aws.status, fake_aws.body = status, body
    message = failure()

    assert f"cannot be read: {cause}" in message
    assert ("NAT gateway" in message) == ("Odd" not in message)


@pytest.mark.parametrize("body", [b'{"SecretString": ""}', b'{"SecretBinary": ""}'])
def test_an_answer_without_a_secret_is_empty_text(fake_aws: FakeAws, body: bytes) -> None:
    """Nothing is answered as nothing; what that means is for whoever wants a key."""
    fake_aws.body = body

    assert ("", REGION) == get_secret_value("momento", "AWSCURRENT", REGION)


@table(
    "body",
    [
        b"{}",
        b"",
        b"null",
        b"[]",
        b"5",
        b"<html>Sign in</html>",
        f'{{"SecretString": "{V2_KEY}'.encode(),
        f'["{V2_KEY}"]'.encode(),
        f'{{"SecretString": ["{V2_KEY}"]}}'.encode(),
        f'{{"SecretString": {{"api_key": "{V2_KEY}"}}}}'.encode(),
        b'{"SecretString": 5}',
        b'{"SecretString": null}',
        b'{"SecretBinary": 5}',
        b'{"SecretBinary": "x"}',
        b'{"SecretBinary": []}',
        b'{"CreatedDate": "yesterday", "SecretString": "x"}',
        b'{"CreatedDate": [], "SecretString": "x"}',
        b'{"VersionStages": 5}',
        b'{"VersionStages": {"a": 1}}',
        b'"' + V2_KEY.encode() + b'"',
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"\x00",
    ],
)
@table("status", [200, 400, 500])
def test_a_response_that_is_not_secrets_manager_s_is_an_error(
    fake_aws: FakeAws, body: bytes, status: int
) -> None:
    """Half a secret is no secret, and no part of it is shown."""
    fake_aws.status, fake_aws.body = status, body
    message = failure()

    assert message.startswith("Secret 'momento' in us-west-2 (AWSCURRENT) cannot be read: ")


@table(
    ("message", "fix", "no_fix"),
    [
        ("Access to KMS is not allowed", "Allow kms:Decrypt on the KMS key", "secretsmanager:"),
        (
            "User: arn:aws:iam::1:user/a is not authorized to perform: kms:Decrypt on resource: a-key",
            "Allow kms:Decrypt on the KMS key",
            "secretsmanager:",
        ),
        (
            (
                "User: u is not authorized to perform: secretsmanager:GetSecretValue on resource: momento "
                "because no identity-based policy allows the secretsmanager:GetSecretValue action"
            ),
            (
                "Allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-west-2:*:secret:momento-* "
                "in the identity-based policy."
            ),
            "kms",
        ),
        (
            (
                "User: u is not authorized to perform: secretsmanager:GetSecretValue on resource: my-kms-key "
                "with an explicit deny in a VPC endpoint policy"
            ),
            "Take it out of the VPC endpoint policy.",
            "kms",
        ),
        (
            "User: u is not authorized to perform: secretsmanager:GetSecretValue on resource: momento",
            "in the policy of the role of this process.",
            "kms",
        ),
    ],
)
def test_the_fix_of_a_denial_fits_its_cause(fake_aws: FakeAws, message: str, fix: str, no_fix: str) -> None:
    """AWS names the action and the kind of policy that denies it."""
    fake_aws.refuse("AccessDeniedException", message)
    said = failure()

    assert fix in said
    assert no_fix not in said.split(message.rstrip("."))[1]


@pytest.mark.usefixtures("aws_environment")
def test_an_answer_that_breaks_off_shows_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames of botocore and urllib3 have what was read, which is why their error is not chained."""
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n"
    with answering(start, f'{{"SecretString": "{V2_KEY}"}}'.encode()) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{port}")
        message = failure()

    assert message.startswith("Secret 'momento' in us-west-2 (AWSCURRENT) cannot be read: ")


def without_region(monkeypatch: pytest.MonkeyPatch) -> str:
    return failure(region=None)


def with_odd_region(monkeypatch: pytest.MonkeyPatch) -> str:
    return failure(region="us west 2")


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return failure()


def with_half_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return failure()


def with_an_unknown_profile(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    return failure()


def with_a_broken_endpoint_url(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "localhost:5000")
    return failure()


def with_a_closed_port(monkeypatch: pytest.MonkeyPatch) -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{unused.getsockname()[1]}")
        return failure()


def with_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(secrets_manager, "READ_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        return failure()


@table(
    ("attempt", "error", "fix"),
    [
        (
            without_region,
            "in an unknown region (AWSCURRENT) cannot be read: NoRegionError",
            "AWS_DEFAULT_REGION",
        ),
        (with_odd_region, "in us west 2 (AWSCURRENT) cannot be read: InvalidRegionError", "us-west-2."),
        (
            without_credentials,
            "in us-west-2 (AWSCURRENT) cannot be read: NoCredentialsError",
            "Give this process",
        ),
        (with_half_of_the_credentials, "PartialCredentialsError", "`aws sts get-caller-identity`"),
        (with_an_unknown_profile, "ProfileNotFound", "AWS_PROFILE"),
        (with_a_broken_endpoint_url, "Invalid endpoint: localhost:5000", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        (with_a_closed_port, "EndpointConnectionError: Could not connect", "NAT gateway"),
        (with_a_silent_server, "ReadTimeoutError: Read timeout", "NAT gateway"),
    ],
    afresh=True,
)
@pytest.mark.usefixtures("aws_environment")
def test_what_fails_before_aws_answers_says_what_to_change(
    attempt: Any, error: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that cannot ask at all is told what it lacks."""
    message = attempt(monkeypatch)

    assert message.startswith("Secret 'momento' in ")
    assert error in message
    assert fix in message


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceError"])
def test_passing_errors_are_retried_a_few_times_only(
    fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """A hiccup of AWS is no error of the site's; an outage costs a request seconds, not minutes."""
    monkeypatch.setattr(secrets_manager, "ATTEMPTS", 3)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    fake_aws.refuse(code, status=500)
    failure()

    assert 3 == fake_aws.requests


def test_a_refusal_is_not_retried(fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not change by asking again is asked once."""
    monkeypatch.setattr(secrets_manager, "ATTEMPTS", 3)
    fake_aws.refuse("AccessDeniedException")
    failure()

    assert 1 == fake_aws.requests
