"""One GetSecretValue of AWS Secrets Manager with boto3, and what to do where it fails before AWS answers.

boto3 is imported when a secret is first fetched: it costs a tenth of a second that no import should pay.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr

from .aws import Asker, AwsSecret, region_of, sentence

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

# Bounded, so that an AWS outage costs a request seconds and not boto3's minutes.
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 3.0
ATTEMPTS = 3

_THIS_PROCESS = Asker("this process", "AWS answered", "the IAM action secretsmanager:GetSecretValue")
_CHECK_AWS_CREDENTIALS = "Check the AWS credentials of this process: `aws sts get-caller-identity`."

# By the name of botocore's exception, for what fails before AWS answers.
_LOCAL_FIXES = {
    "NoCredentialsError": (
        "Give this process AWS credentials: a role on Lambda, ECS or EC2; elsewhere a profile or variables."
    ),
    "PartialCredentialsError": _CHECK_AWS_CREDENTIALS,
    "CredentialRetrievalError": _CHECK_AWS_CREDENTIALS,
    "NoRegionError": (
        "Set REGION in OPTIONS, or AWS_DEFAULT_REGION in the environment, or give SECRET_ID as an ARN."
    ),
    "InvalidRegionError": "REGION must be the name of an AWS region, such as us-west-2.",
    "ProfileNotFound": "Check AWS_PROFILE.",
    "ParamValidationError": "Check SECRET_ID and SECRET_VERSION_STAGE.",
}
_UNREACHABLE_FIX = (
    "Check that this process can reach Secrets Manager in that region: a NAT gateway or an interface VPC "
    "endpoint, the security group, REGION, and AWS_ENDPOINT_URL_SECRETS_MANAGER if it is set."
)
_CHECK_AWS_SETTINGS = (
    "Check the AWS settings of this process: `aws sts get-caller-identity`, AWS_PROFILE, the files in "
    "~/.aws, and AWS_ENDPOINT_URL_SECRETS_MANAGER if it is set."
)

# What botocore logs at DEBUG with answers in it, or with the session token of the AWS credentials.
_TELL_TALES = ("botocore.parsers", "botocore.auth", "botocore.endpoint")


def get_secret_value(secret_id: str, version_stage: str, region: str | None) -> tuple[SecretStr, str]:
    """Fetch a secret with boto3; answer its text and the region that had it. Raises CredentialError.

    Takes at most ATTEMPTS times CONNECT_TIMEOUT and READ_TIMEOUT, and pauses of 1 and 2 seconds at most
    between them: 18 seconds. Where the host has several addresses, each is given CONNECT_TIMEOUT. What boto3
    needs to find AWS credentials, such as a role to assume, comes on top.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    asked = AwsSecret(secret_id, version_stage, region_of(secret_id, region))
    try:
        # A Session of its own: making a client from boto3's default one is not thread-safe.
        made = boto3.session.Session().client(
            "secretsmanager",
            region_name=asked.region,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            ),
        )
        with closing(made) as client, _secrets_kept_from_logs():
            asked = asked._replace(region=client.meta.region_name)
            # The answer gets no name of its own here: tracebacks with local variables would show it.
            text = _text(client.get_secret_value(SecretId=secret_id, VersionStage=version_stage))
    except ClientError as error:
        raise _refused(asked, error) from error
    except (BotoCoreError, ValueError) as error:  # The latter is for an endpoint URL that is none.
        failure = _failed(asked, error)
    else:
        if text is None:
            raise asked.not_text()
        return text, asked.region or ""
    # Not chained: the frames of an error in the middle of an answer have what was read of it.
    raise failure


@contextmanager
def _secrets_kept_from_logs() -> Iterator[None]:
    """Silence what botocore logs of this thread's call that has a secret in it."""
    thread = threading.get_ident()

    def is_from_elsewhere(record: logging.LogRecord) -> bool:
        return threading.get_ident() != thread

    with ExitStack() as stack:
        for name in _TELL_TALES:
            logger = logging.getLogger(name)
            logger.addFilter(is_from_elsewhere)
            stack.callback(logger.removeFilter, is_from_elsewhere)
        yield


def _text(answer: Any) -> SecretStr | None:
    if "SecretString" in answer:
        return SecretStr(answer["SecretString"])
    return SecretStr.from_bytes(answer.get("SecretBinary", b""))


def _refused(asked: AwsSecret, error: ClientError) -> CredentialError:
    code = error.response.get("Error", {}).get("Code", "an unknown error")
    message = error.response.get("Error", {}).get("Message") or ""
    # A bare HTTP status is not Secrets Manager's word, but that of something in between.
    is_from_between = code.isdigit()
    return asked.refused(code, message, _THIS_PROCESS, _UNREACHABLE_FIX if is_from_between else None)


def _failed(asked: AwsSecret, error: BotoCoreError | ValueError) -> CredentialError:
    from botocore.exceptions import ConnectionError as NotConnected
    from botocore.exceptions import HTTPClientError

    is_unreachable = isinstance(error, NotConnected | HTTPClientError)
    fix = _LOCAL_FIXES.get(type(error).__name__, _UNREACHABLE_FIX if is_unreachable else _CHECK_AWS_SETTINGS)
    return CredentialError(f"{asked} cannot be read: {type(error).__name__}: {sentence(str(error))}.", fix)
