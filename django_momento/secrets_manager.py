"""One GetSecretValue of AWS Secrets Manager, and what to do about each way in which it can fail.

boto3 is imported when a secret is first fetched: it costs a tenth of a second that no import should pay.

Source: the errors are those of the API reference of GetSecretValue and its common errors, and botocore's own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from .api_keys import Secret
from .exceptions import CredentialError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

# Bounded, so that an AWS outage costs a request seconds and not boto3's minutes.
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 5.0
ATTEMPTS = 3

# What AWS says of an error is a sentence or two; a proxy in between may answer with a page.
_LONGEST_MESSAGE = 500

_CHECK_AWS_CREDENTIALS = "Check the AWS credentials of this process: `aws sts get-caller-identity`."
_TRY_AGAIN = "This passes by itself; the next cache call tries again."
_EXPIRED = "The AWS credentials of this process have expired; renew them."
_CHECK_CLOCK = "Check this machine's clock, and the AWS credentials of this process."

# By the error code that AWS answers; {arn}, {id}, {name} and {region} are filled in.
_FIXES = {
    "AccessDeniedException": (
        "Allow the IAM action secretsmanager:GetSecretValue on {arn} to the role of this process, and "
        "kms:Decrypt on the secret's key if it is a customer managed one."
    ),
    "ResourceNotFoundException": (
        "Check SECRET_ID, REGION and SECRET_VERSION_STAGE, or create it: "
        "aws secretsmanager create-secret --region {region} --name {name} --secret-string file://api-key.json"
    ),
    "DecryptionFailure": "Allow kms:Decrypt on the secret's KMS key, and check that the key is enabled.",
    "InvalidParameterException": "Check SECRET_ID and SECRET_VERSION_STAGE.",
    "ValidationException": "Check SECRET_ID and SECRET_VERSION_STAGE.",
    "InvalidRequestException": (
        "The secret cannot be read in its present state. If it is scheduled for deletion: "
        "aws secretsmanager restore-secret --region {region} --secret-id {id}"
    ),
    "InternalServiceError": _TRY_AGAIN,
    "InternalServiceErrorException": _TRY_AGAIN,
    "InternalFailure": _TRY_AGAIN,
    "ServiceUnavailable": _TRY_AGAIN,
    "ThrottlingException": ("Too many calls to Secrets Manager from this account and region. " + _TRY_AGAIN),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _CHECK_CLOCK,
    "InvalidSignatureException": _CHECK_CLOCK,
    "IncompleteSignature": _CHECK_AWS_CREDENTIALS,
    "InvalidClientTokenId": _CHECK_AWS_CREDENTIALS,
    "MissingAuthenticationToken": _CHECK_AWS_CREDENTIALS,
    "NotAuthorized": _CHECK_AWS_CREDENTIALS,
    "UnrecognizedClientException": _CHECK_AWS_CREDENTIALS,
    "OptInRequired": "Enable this region for the AWS account.",
}

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
_READ_THE_REFERENCE = "See AWS's reference of GetSecretValue for this error."
_CHECK_AWS_SETTINGS = (
    "Check the AWS settings of this process: `aws sts get-caller-identity`, AWS_PROFILE, the files in "
    "~/.aws, and AWS_ENDPOINT_URL_SECRETS_MANAGER if it is set."
)


def region_of(secret_id: str, region: str | None) -> str | None:
    """Answer the region to ask: an ARN's own, or else the configured one, or None for boto3's chain."""
    parts = secret_id.split(":")
    return parts[3] if len(parts) > 6 and parts[0] == "arn" and parts[3] else region


def get_secret_value(secret_id: str, version_stage: str, region: str | None) -> tuple[Secret, str]:
    """Fetch a secret with boto3; answer its text and the region that had it. Raises CredentialError."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    asked = _Asked(secret_id, version_stage, region_of(secret_id, region))
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
        with closing(made) as client, _answer_kept_from_logs():
            asked.region = client.meta.region_name
            # The answer gets no name of its own here: tracebacks with local variables would show it.
            text = _text(client.get_secret_value(SecretId=secret_id, VersionStage=version_stage))
            return text, asked.region
    except ClientError as error:
        raise asked.refused(error) from error
    except BotoCoreError as error:
        raise asked.failed(error) from error
    except UnicodeDecodeError:
        raise CredentialError(
            f"{asked} holds bytes that are not UTF-8 text.", "Store the API key as SecretString."
        ) from None
    except ValueError as error:  # What botocore raises for an endpoint URL that is none.
        raise asked.failed(error) from error


@contextmanager
def _answer_kept_from_logs() -> Iterator[None]:
    """Silence botocore's DEBUG record of this thread's answers, which has the secret in it."""
    parsers, thread = logging.getLogger("botocore.parsers"), threading.get_ident()

    def is_from_elsewhere(record: logging.LogRecord) -> bool:
        return threading.get_ident() != thread

    parsers.addFilter(is_from_elsewhere)
    try:
        yield
    finally:
        parsers.removeFilter(is_from_elsewhere)


def _text(answer: Any) -> Secret:
    if "SecretString" in answer:
        return Secret(answer["SecretString"])
    return Secret(answer.get("SecretBinary", b"").decode())


class _Asked:
    """What was asked of Secrets Manager, for the messages that say what became of it."""

    def __init__(self, secret_id: str, version_stage: str, region: str | None) -> None:
        self.secret_id = secret_id
        self.version_stage = version_stage
        self.region = region

    def __str__(self) -> str:
        return describe(self.secret_id, self.version_stage, self.region)

    def refused(self, error: ClientError) -> CredentialError:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        message = _sentence(error.response.get("Error", {}).get("Message") or "")
        # A bare HTTP status is not Secrets Manager's word, but that of something in between.
        fix = _FIXES.get(code, _UNREACHABLE_FIX if code.isdigit() else _READ_THE_REFERENCE)
        arn = self.secret_id
        if not arn.startswith("arn:"):
            arn = f"arn:aws:secretsmanager:{self.region}:*:secret:{self.secret_id}-*"
        return CredentialError(
            f"{self} cannot be read: AWS answered {code}{': ' if message else ''}{message}.",
            fix.format(arn=arn, id=self.secret_id, name=_name(self.secret_id), region=self.region),
        )

    def failed(self, error: BotoCoreError | ValueError) -> CredentialError:
        from botocore.exceptions import ConnectionError as NotConnected
        from botocore.exceptions import HTTPClientError

        is_unreachable = isinstance(error, NotConnected | HTTPClientError)
        fix = _LOCAL_FIXES.get(
            type(error).__name__, _UNREACHABLE_FIX if is_unreachable else _CHECK_AWS_SETTINGS
        )
        return CredentialError(
            f"{self} cannot be read: {type(error).__name__}: {_sentence(str(error))}.", fix
        )


def _sentence(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_MESSAGE].rstrip(".")


def _name(secret_id: str) -> str:
    """Answer a secret's name, which in an ARN comes last and with a hyphen and six characters more."""
    return secret_id.split(":", 6)[-1][:-7] if secret_id.startswith("arn:") else secret_id


def describe(secret_id: str, version_stage: str, region: str | None) -> str:
    """Name a secret in a message: which, where, which version."""
    return f"Secret {secret_id!r} in {region or 'an unknown region'} ({version_stage})"
