"""A secret of AWS Secrets Manager as it is asked for: its name in messages, what AWS's errors mean.

Shared by what asks AWS itself and what asks the agent on this machine, so it imports nothing of AWS's SDK.

Source: the errors are those of the API reference of GetSecretValue and its common errors.
"""

from __future__ import annotations

from typing import NamedTuple

from django_momento.exceptions import CredentialError
from django_momento.redaction import redact

# What AWS says of an error is a sentence or two; a proxy in between may answer with a page.
_LONGEST_MESSAGE = 500

_CHECK_AWS_CREDENTIALS = "Check the AWS credentials of {who}: `aws sts get-caller-identity`."
_TRY_AGAIN = "This passes by itself; the next cache call tries again."
_EXPIRED = "The AWS credentials of {who} have expired; renew them."
_CHECK_CLOCK = "Check this machine's clock, and the AWS credentials of {who}."

# By the error code that AWS answers; {who}, {actions}, {arn}, {id}, {name} and {region} are filled in.
FIXES = {
    "AccessDeniedException": (
        "Allow {actions} on {arn} to the role of {who}, and "
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
    "ThrottlingException": "Too many calls to Secrets Manager from this account and region. " + _TRY_AGAIN,
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
_READ_THE_REFERENCE = "See AWS's reference of GetSecretValue for this error."

# By the beginning of a region's name; all others are in "aws".
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}


class Asker(NamedTuple):
    """Who asks for a secret: its name in a message, whose word an error is, what IAM must allow."""

    who: str
    says: str
    actions: str


class AwsSecret(NamedTuple):
    """Which secret is asked for, where, in which version. Without a ``region``, whoever asks has its own."""

    secret_id: str
    version_stage: str
    region: str | None

    def __str__(self) -> str:
        return f"Secret {self.secret_id!r} in {self.region or 'an unknown region'} ({self.version_stage})"

    @property
    def name(self) -> str:
        """The secret's name, which in an ARN comes last and with a hyphen and six characters more."""
        return self.secret_id.split(":", 6)[-1][:-7] if self._is_arn else self.secret_id

    @property
    def arn(self) -> str:
        """What an IAM policy must name to allow reading it."""
        if self._is_arn:
            return self.secret_id
        region = self.region or "*"
        return f"arn:{partition_of(region)}:secretsmanager:{region}:*:secret:{self.secret_id}-*"

    @property
    def _is_arn(self) -> bool:
        return self.secret_id.startswith("arn:")

    def refused(self, code: str, message: str, asker: Asker, fix: str | None = None) -> CredentialError:
        """Answer the error for an error code. ``fix`` is for who knows better than the code tells."""
        fix = fix or FIXES.get(code, _READ_THE_REFERENCE)
        said = sentence(message)
        return CredentialError(
            f"{self} cannot be read: {asker.says} {code}{': ' if said else ''}{said}.",
            fix.format(
                who=asker.who,
                actions=asker.actions,
                arn=self.arn,
                id=self.secret_id,
                name=self.name,
                region=self.region or "REGION",
            ),
        )

    def not_text(self) -> CredentialError:
        """Answer the error for a secret that is kept as bytes and is no text."""
        return CredentialError(
            f"{self} holds bytes that are not UTF-8 text.", "Store the API key as SecretString."
        )


def region_of(secret_id: str, region: str | None) -> str | None:
    """Answer the region of a secret: an ARN's own, or else the one given."""
    parts = secret_id.split(":")
    return parts[3] if len(parts) > 6 and parts[0] == "arn" and parts[3] else region


def partition_of(region: str) -> str:
    """Answer the first part of the ARNs of a region: ``aws``, or what it is in China or for a government."""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def sentence(text: str) -> str:
    """Answer what somebody else said as a part of one line of ours, without what looks like a key."""
    return redact(" ".join(text.split()))[:_LONGEST_MESSAGE].rstrip(".")
