"""A secret is fetched by boto3 over HTTP, in the region and version asked for, and kept from logs."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3.session
import pytest

from django_momento.credentials.secrets_manager import get_secret_value
from django_momento.redaction import SecretStr
from tests.kit import aws as fixtures
from tests.kit.aws import (
    ARN,
    REGION,
    V2_KEY,
    SecretsManager,
    failure,
    shown_of,
)
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws


@table("value", [V2_KEY, f'{{"api_key": "{V2_KEY}"}}', " ", V2_KEY.encode()], afresh=True)
def test_a_secret_is_fetched_with_the_region_that_had_it(aws: SecretsManager, value: str | bytes) -> None:
    """Text and binary secrets are answered as the text they hold, untouched."""
    aws.create("team/momento", value)
    text, region = get_secret_value("team/momento", "AWSCURRENT", REGION)

    assert (value if isinstance(value, str) else value.decode(), REGION) == (str(text), region)
    assert SecretStr is type(text)


def test_an_arn_s_region_wins_over_the_configured_one(aws: SecretsManager) -> None:
    """An ARN says where the secret is; asking anywhere else could only fail."""
    arn = aws.create("momento", "in Ireland", region="eu-west-1")
    aws.create("momento", "in Oregon", region="us-west-2")

    assert ("in Ireland", "eu-west-1") == get_secret_value(arn, "AWSCURRENT", "us-west-2")


def test_without_a_region_boto3_s_own_chain_decides(
    aws: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REGION may be left to the environment, as in Lambda, and the answer says which it was."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.create("momento", V2_KEY, region="eu-central-1")

    assert (V2_KEY, "eu-central-1") == get_secret_value("momento", "AWSCURRENT", None)


def test_a_version_stage_is_asked_for(aws: SecretsManager) -> None:
    """During a rotation a site can stay on the version it knows."""
    aws.create("momento", "old")
    aws.client().put_secret_value(SecretId="momento", SecretString="new")

    assert ("new", "old") == tuple(
        str(get_secret_value("momento", stage, REGION)[0]) for stage in ("AWSCURRENT", "AWSPREVIOUS")
    )


def test_a_missing_secret_says_which_and_how_to_create_it(aws: SecretsManager) -> None:
    """The commonest mistake of all: a wrong name, or the right one in another region."""
    aws.create("momento", V2_KEY, region="eu-west-1")

    assert (
        "Secret 'momento' in us-west-2 (AWSCURRENT) cannot be read: AWS returned ResourceNotFoundException: "
        "Secrets Manager can't find the specified secret. Check SECRET_ID, REGION and "
        "SECRET_VERSION_STAGE, or create it: "
        "aws secretsmanager create-secret --region us-west-2 --name momento "
        "--secret-string file://api-key.json"
    ) == failure()


def test_a_missing_arn_names_the_secret_to_create(aws: SecretsManager) -> None:
    """``create-secret`` takes a name, not the ARN that does not exist yet."""
    assert "--region eu-west-1 --name team/momento --secret-string" in failure(ARN)


@table("stage", ["AWSPREVIOUS", "BLUE"], afresh=True)
def test_a_missing_version_stage_says_which(aws: SecretsManager, stage: str) -> None:
    """The secret exists: only the stage is wrong, and stands in the message."""
    aws.create("momento", V2_KEY)
    message = failure(stage=stage)

    assert f"Secret 'momento' in us-west-2 ({stage}) cannot be read" in message
    assert "SECRET_VERSION_STAGE" in message


def test_a_deleted_secret_can_be_restored(aws: SecretsManager) -> None:
    """A secret marked for deletion is still there, and the message says how to get it back."""
    aws.create("momento", V2_KEY)
    aws.client().delete_secret(SecretId="momento", RecoveryWindowInDays=7)
    message = failure()

    assert "AWS returned InvalidRequestException" in message
    assert "aws secretsmanager restore-secret --region us-west-2 --secret-id momento" in message


def test_bytes_that_are_no_text_are_refused(aws: SecretsManager) -> None:
    """A SecretBinary of something else is named as that, and shown nowhere."""
    aws.create("momento", V2_KEY.encode() + b"\xff")

    assert (
        "Secret 'momento' in us-west-2 (AWSCURRENT) is kept as SecretBinary and holds bytes that are not "
        "UTF-8 text."
    ) in failure()


@pytest.mark.usefixtures("aws")
def test_a_name_that_boto3_refuses_is_a_credential_error() -> None:
    """boto3 checks lengths before it asks."""
    assert "ParamValidationError: Parameter validation failed: Invalid length" in failure(stage="")


def test_no_log_record_holds_the_secret(aws: SecretsManager, caplog: pytest.LogCaptureFixture) -> None:
    """botocore logs whole answers at DEBUG: a site that logs everything must not log its key."""
    aws.create("momento", V2_KEY)
    with caplog.at_level(logging.DEBUG):
        text, _ = get_secret_value("momento", "AWSCURRENT", REGION)

    assert V2_KEY == text
    assert "botocore" in {record.name.split(".")[0] for record in caplog.records}
    assert [] == shown_of(V2_KEY, caplog.text)


def test_the_logs_of_other_threads_are_left_alone(
    aws: SecretsManager, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's other uses of AWS may be what it debugs at that moment."""
    logger = logging.getLogger("botocore.parsers")
    aws.create("momento", V2_KEY)

    class Session(boto3.session.Session):
        def client(self, *args: Any, **kwargs: Any) -> Any:
            logger.debug("here")
            elsewhere.submit(logger.debug, "elsewhere").result()
            return super().client(*args, **kwargs)

    monkeypatch.setattr(boto3.session, "Session", Session)
    with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(1) as elsewhere:
        get_secret_value("momento", "AWSCURRENT", REGION)
        logger.debug("after")

    assert ["elsewhere", "after"] == [
        record.getMessage() for record in caplog.records if record.name == logger.name
    ]
