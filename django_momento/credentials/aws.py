"""Describe a secret of AWS Secrets Manager in messages, and explain AWS's errors.

boto3 and the agent report the same errors, so this module imports nothing of AWS's SDK.

Source: AWS's API reference of GetSecretValue and AssumeRole, and their common errors.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..exceptions import CredentialError
from ..redaction import quote

_CHECK_AWS_CREDENTIALS = "Check the AWS credentials of {who}: `aws sts get-caller-identity`."
_TRY_AGAIN = "This passes by itself; the next cache call tries again."
_EXPIRED = "The AWS credentials of {who} have expired; renew them."
_CHECK_CLOCK = "Check this machine's clock, and the AWS credentials of {who}."
_ALLOW_KMS = (
    "Allow kms:Decrypt on the KMS key of the secret to the role of {who}, in the role's policy or in that of "
    "the key. In another account both are needed. Check that the key is enabled."
)

_FIXES_OF_CREDENTIALS = (_EXPIRED, _CHECK_CLOCK, _CHECK_AWS_CREDENTIALS)

# By AWS's error code. {who}, {actions}, {arn}, {id}, {name} and {region} are filled in.
FIXES = {
    "AccessDeniedException": (
        "Allow {actions} on {arn} to the role of {who}, and "
        "kms:Decrypt on the secret's key if it is a customer managed one."
    ),
    "ResourceNotFoundException": (
        "Check SECRET_ID, REGION and SECRET_VERSION_STAGE, or create it: "
        "aws secretsmanager create-secret --region {region} --name {name} --secret-string file://api-key.json"
    ),
    "DecryptionFailure": _ALLOW_KMS,
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

# Secrets Manager, STS and the agent have names of their own for a denial.
_DENIALS = ("AccessDeniedException", "AccessDenied", "KMSAccessDeniedException")
_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")
_KMS = re.compile(r"\bKMS\b|\bkms:")
# The policies that AWS names in the message of a denial.
_POLICY = re.compile(
    r"(VPC endpoint|service control|resource control|resource-based|identity-based|session) policy"
    r"|(permissions boundary)",
    re.IGNORECASE,
)

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


class Reader(NamedTuple):
    """The reader of a secret, for messages.

    ``who`` names it, ``says`` introduces an error, and ``actions`` are those that IAM must allow.
    """

    who: str
    says: str
    actions: str


class AwsSecret(NamedTuple):
    """The name, version and region of a secret. ``region`` is None if the reader decides. So is ``role``."""

    secret_id: str
    version_stage: str
    region: str | None
    role: str | None = None

    def __str__(self) -> str:
        role = f", as {self.role}" if self.role else ""
        return (
            f"Secret {self.secret_id!r} in {self.region or 'an unknown region'} ({self.version_stage}{role})"
        )

    @property
    def name(self) -> str:
        """The name of the secret. In an ARN it comes last, followed by a hyphen and six characters."""
        return self.secret_id.split(":", 6)[-1][:-7] if self._is_arn else self.secret_id

    @property
    def arn(self) -> str:
        """The ARN that an IAM policy must name to allow reading it."""
        if self._is_arn:
            return self.secret_id
        region = self.region or "*"
        return f"arn:{partition_of(region)}:secretsmanager:{region}:*:secret:{self.secret_id}-*"

    @property
    def _is_arn(self) -> bool:
        return self.secret_id.startswith("arn:")

    def refusal(self, code: str, message: str, reader: Reader, fix: str | None = None) -> CredentialError:
        """Return the error for an error code of AWS. ``fix`` replaces the fix of the code."""
        said = sentence(message)
        fix = fix or _fix_for_denial(code, message) or FIXES.get(code, _READ_THE_REFERENCE)
        return CredentialError(
            f"{self} cannot be read: {reader.says} {quote(code, 80)}{': ' if said else ''}{said}.",
            fix.format(
                who=self.role or reader.who,
                actions=reader.actions,
                arn=self.arn,
                id=self.secret_id,
                name=self.name,
                region=self.region or "REGION",
            ),
        )

    def role_refusal(self, code: str, message: str, reader: Reader) -> CredentialError:
        """Return the error for an error code of STS, which was asked for ``role``."""
        said = sentence(message)
        fixes = {
            name: text
            for name, text in FIXES.items()
            if text in (_EXPIRED, _CHECK_CLOCK, _CHECK_AWS_CREDENTIALS)
        }
        allow = (
            f"Allow sts:AssumeRole on {self.role} to the role of {reader.who}, and allow that role in the "
            f"trust policy of {self.role}."
        )
        is_malformed = code in ("ValidationError", "InvalidParameterValue")
        fix = "SECRET_ROLE must be the ARN of a role." if is_malformed else fixes.get(code, allow)
        return CredentialError(
            f"{self} cannot be read: the role cannot be assumed: {reader.says} {quote(code, 80)}"
            f"{': ' if said else ''}{said}.",
            fix.format(who=reader.who),
        )

    def malformation(self, says: str, fix: str) -> CredentialError:
        """Return the error for a response without a secret."""
        return CredentialError(
            f"{self} cannot be read: {says} something that is not GetSecretValue's JSON.", fix
        )

    def not_text(self) -> CredentialError:
        """Return the error for a secret that is kept as bytes other than text."""
        return CredentialError(
            f"{self} is kept as SecretBinary and holds bytes that are not UTF-8 text.",
            "Store the API key as SecretString.",
        )


def region_of(secret_id: str, region: str | None) -> str | None:
    """Return the region of a secret: the ARN's own, or else the given one."""
    parts = secret_id.split(":")
    return parts[3] if len(parts) > 6 and parts[0] == "arn" and parts[3] else region


def partition_of(region: str) -> str:
    """Return the first part of a region's ARNs: ``aws``, or another in China or for a government."""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def sentence(text: object) -> str:
    """Return foreign text as a part of one line of a message, bounded and without anything like a key."""
    return quote(" ".join(str(text).split())).rstrip(".")


def _fix_for_denial(code: str, message: str) -> str | None:
    """Return the fix for a denial if its message names the cause, or else None."""
    if code not in _DENIALS:
        return None
    if _KMS.search(message):
        return _ALLOW_KMS
    action, policy = _ACTION.search(message), _POLICY.search(message)
    what = action[1] if action else "{actions}"
    where = policy[0] if policy else "policy of the role of {who}"
    if "explicit deny" in message.lower():
        return f"A statement denies {what} on {{arn}}. Take it out of the {where}."
    if action or policy:
        return f"Allow {what} on {{arn}} in the {where}."
    return None
