"""Read a secret of AWS Secrets Manager with boto3, and explain failures before AWS responds.

boto3 is imported when a secret is first fetched, because the import takes a tenth of a second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..exceptions import CredentialError
from ..redaction import SecretStr
from . import boundary
from .aws import AwsSecret, Reader, region_of, sentence
from .boundary import RedactedTraceback

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# Bounded, so that an AWS outage costs a request seconds. boto3's own limits are minutes.
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 3.0
ATTEMPTS = 3

_SESSION_NAME = "django-momento"

_THIS_PROCESS = Reader("this process", "AWS returned", "the IAM action secretsmanager:GetSecretValue")
_CHECK_AWS_CREDENTIALS = "Check the AWS credentials of this process: `aws sts get-caller-identity`."
_CHECK_AWS_SETTINGS = (
    "Check the AWS settings of this process: `aws sts get-caller-identity`, AWS_PROFILE, the files in "
    "~/.aws, and AWS_ENDPOINT_URL_SECRETS_MANAGER if it is set."
)
_CHECK_NETWORK = (
    "Check that this process can reach Secrets Manager in that region: a NAT gateway or an interface VPC "
    "endpoint, the security group, REGION, and AWS_ENDPOINT_URL_SECRETS_MANAGER if it is set."
)
_CHECK_CERTIFICATES = (
    "A proxy or a server of your own shows its own certificate: name its root certificates in AWS_CA_BUNDLE."
)
_USE_HTTPS = "AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL must begin with https://."
HINT = "Secrets Manager, or a proxy before it, responds too slowly. " + _CHECK_NETWORK

# By the name of botocore's exception, for failures before AWS responds.
_FIXES = {
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
    "ParamValidationError": "Check SECRET_ID, SECRET_VERSION_STAGE and SECRET_ROLE.",
    "FileNotFoundError": (
        "Check the files that AWS credentials of this process come from: AWS_WEB_IDENTITY_TOKEN_FILE, and "
        "credential_process in ~/.aws/config."
    ),
}

# botocore logs responses, and the session token of the AWS credentials, at DEBUG.
_LOGGERS_OF_SECRETS = ("botocore.parsers", "botocore.auth", "botocore.endpoint")


class _Problem(Enum):
    """The reason why a response has an unusable secret."""

    MALFORMED = auto()
    NOT_TEXT = auto()


def get_secret_value(
    secret_id: str, version_stage: str, region: str | None, role: str | None = None
) -> tuple[SecretStr, str]:
    """Fetch a secret with boto3, and return its text and its region. Raises CredentialError.

    A ``role`` is assumed first. Takes at most ATTEMPTS times CONNECT_TIMEOUT and READ_TIMEOUT, with pauses of
    at most 1 and 2 seconds, if the host has one address and sends its response at once. The search for AWS
    credentials and the role come on top. boundary.FETCH_TIMEOUT bounds all of it.
    """
    secret = AwsSecret(secret_id, version_stage, region_of(secret_id, region), role)
    url = ""
    with boundary.importing():
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError

    try:
        # A Session of its own: the creation of a client from boto3's default session is not thread-safe.
        session = boto3.session.Session()
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        with _without_secrets_in_logs():
            service: dict[str, Any] = {"region_name": secret.region, "config": config}
            if role is not None:
                session = _assume_role(session, secret, service)
            with closing(session.client("secretsmanager", **service)) as client:
                secret, url = secret._replace(region=client.meta.region_name), client.meta.endpoint_url
                # The response gets a name only in _text(): if an error is raised here, its traceback shows
                # variables.
                text = _text(client.get_secret_value(SecretId=secret_id, VersionStage=version_stage))
    except ClientError as error:
        failure, cause = _refusal(secret, error, url), RedactedTraceback.of(error)
    except Exception as error:  # noqa: BLE001 - botocore raises anything, for odd responses and missing files
        failure, cause = _failure(secret, error, url), RedactedTraceback.of(error)
    else:
        if isinstance(text, SecretStr):
            return text, secret.region or ""
        raise (
            secret.not_text()
            if text is _Problem.NOT_TEXT
            else secret.malformation("AWS returned", _fix_for_proxy(url) or _CHECK_AWS_SETTINGS)
        )
    # Not chained to botocore's error: its message and frames may hold the secret, for one in a cut response.
    raise failure from cause


def _assume_role(session: Any, secret: AwsSecret, service: dict[str, Any]) -> Any:
    """Return a session with the temporary credentials of the secret's role."""
    import boto3

    with closing(session.client("sts", **service)) as sts:
        keys = sts.assume_role(RoleArn=secret.role, RoleSessionName=_SESSION_NAME)["Credentials"]
    return boto3.session.Session(
        aws_access_key_id=keys.pop("AccessKeyId"),
        aws_secret_access_key=keys.pop("SecretAccessKey"),
        aws_session_token=keys.pop("SessionToken"),
        region_name=session.region_name,
    )


@contextmanager
def _without_secrets_in_logs() -> Iterator[None]:
    """Drop the log records of botocore that have a secret in them, for calls of this thread."""
    thread = threading.get_ident()

    def is_from_another_thread(record: logging.LogRecord) -> bool:
        return threading.get_ident() != thread

    with ExitStack() as stack:
        for name in _LOGGERS_OF_SECRETS:
            logger = logging.getLogger(name)
            logger.addFilter(is_from_another_thread)
            stack.callback(logger.removeFilter, is_from_another_thread)
        yield


def _text(response: dict[str, Any]) -> SecretStr | _Problem:
    """Return the text in a response. Never raises, because a traceback would show the response."""
    if isinstance(response.get("SecretString"), str):
        return SecretStr(response["SecretString"])
    if not isinstance(response.get("SecretBinary"), bytes):
        return _Problem.MALFORMED
    text = SecretStr.from_bytes(response["SecretBinary"])
    return _Problem.NOT_TEXT if text is None else text


def _code_and_message(error: ClientError) -> tuple[str, str]:
    described = error.response.get("Error")
    if not isinstance(described, dict):
        return "an unknown error", ""
    return str(described.get("Code") or "an unknown error"), str(described.get("Message") or "")


def _refusal(secret: AwsSecret, error: ClientError, url: str) -> CredentialError:
    code, message = _code_and_message(error)
    if error.operation_name == "AssumeRole":
        return secret.role_refusal(code, message, _THIS_PROCESS)
    # Secrets Manager has names for its errors. A number is the HTTP status of something in between.
    fix = _fix_for_status(message, url) if code.isdigit() else None
    return secret.refusal(code, message, _THIS_PROCESS, fix)


def _failure(secret: AwsSecret, error: Exception, url: str) -> CredentialError:
    from botocore.exceptions import ConnectionError as NotConnected
    from botocore.exceptions import HTTPClientError

    name = type(error).__name__
    fix = _FIXES.get(name)
    if fix is None and isinstance(error, NotConnected | HTTPClientError):
        fix = _fix_for_connection(error, url)
    said = sentence(error)
    return CredentialError(
        f"{secret} cannot be read: {name}{': ' if said else ''}{said}.", fix or _CHECK_AWS_SETTINGS
    )


def _fix_for_connection(error: Exception, url: str) -> str:
    """Return the fix for a connection that cannot be made, or that ends before a response."""
    name, server = type(error).__name__, urlsplit(url).netloc or "The server"
    if name == "SSLError":
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return _CHECK_CERTIFICATES
        return (
            f"{server} does not speak TLS: check AWS_ENDPOINT_URL_SECRETS_MANAGER and AWS_ENDPOINT_URL, "
            "which begin with http:// for such a server, and HTTPS_PROXY."
        )
    if name == "ProxyConnectionError":
        return _proxy_fix(url)
    fix = _fix_for_proxy(url)
    if fix is None and url.startswith("http:") and name == "ConnectionClosedError":
        fix = f"{server} may speak TLS: then {_USE_HTTPS}"
    return fix or _CHECK_NETWORK


def _fix_for_status(message: str, url: str) -> str:
    """Return the fix for a response of something between this process and Secrets Manager."""
    if "HTTPS port" in message or "TLS" in message:
        return f"The server speaks TLS: {_USE_HTTPS}"
    return _fix_for_proxy(url) or _CHECK_NETWORK


def _fix_for_proxy(url: str) -> str | None:
    """Return the fix if this process reaches a URL through a proxy, or None."""
    parts = urlsplit(url)
    is_proxied = parts.scheme in getproxies() and not proxy_bypass(parts.netloc)
    return _proxy_fix(url) if is_proxied else None


def _proxy_fix(url: str) -> str:
    return (
        "A proxy is in the way: check HTTPS_PROXY and HTTP_PROXY of this process, or add "
        f"{urlsplit(url).hostname or 'the host of Secrets Manager'} to NO_PROXY."
    )
