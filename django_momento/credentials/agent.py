"""Read a secret from the AWS Workload Credentials Provider, or from Lambda's extension for secrets.

AWS called the provider Secrets Manager Agent before version 3.0.0, and this package calls it the agent. Both
serve GetSecretValue on this machine to callers that show a token. Only the standard library is used, because
a process with an agent needs no boto3. The agent has AWS credentials, a region and a cache of its own.

Source: AWS's documentation of both, and the agent's public source.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import socket
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ..clock import monotonic
from ..exceptions import AgentUnavailable, CredentialError
from ..redaction import MASK, SecretStr, redacted_repr
from . import file
from .api_key import json_object
from .aws import FIXES, AwsSecret, Reader, region_of, sentence

HOST = "localhost"
PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
DEFAULT_PORT = "2773"

TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - the name of a header
# In the agent's own order, except for the file. Its installer makes the file.
TOKEN_VARIABLES = ("AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
TOKEN_FILE = Path("/var/run/awssmatoken")
_FILE_SCHEME = "file://"
# http.client would quote other tokens in its error.
_SENDABLE = re.compile(r"[ -~]+")

# The agent is on this machine, but asks AWS if its cache lacks the secret.
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 5.0
# For an agent that is still starting, as during the initialization of a Lambda function.
READY_WITHIN = 1.0
_INITIAL_PAUSE = 0.05

# A secret of 64 KiB with each character escaped, and its metadata.
_MAX_BYTES = 512 * 1024

NAME = "AWS Workload Credentials Provider (Secrets Manager Agent)"
_THE_AGENT = Reader(
    f"the {NAME} (in Lambda, of the function)",
    "the agent returned",
    "the IAM actions secretsmanager:GetSecretValue and secretsmanager:DescribeSecret",
)
TOKEN_FIX = (
    f"It must be the token that the agent was started with. Let this process read {TOKEN_FILE}: on EC2 "
    "`usermod -aG aws-wcp-token USER`, or group awssmatokenreader before version 3.0.0. Or set AWS_TOKEN to "
    "the token, or to file:// and the path of a file with it. Lambda sets AWS_SESSION_TOKEN by itself."
)
_START_IT = (
    f"Start the {NAME}, or add the AWS Parameters and Secrets extension to the Lambda "
    f"function; {PORT_VARIABLE} names another port than {DEFAULT_PORT}. With AGENT_FALLBACK, boto3 asks AWS."
)
_NOT_READY = (
    "In a Lambda function it serves from the first invocation on: use the cache in the handler, not while "
    "modules are imported. With AGENT_FALLBACK, boto3 asks AWS."
)
_SEE_ITS_LOG = (
    "See the agent's log, in Lambda that of the function: it has the reason, such as missing AWS credentials."
)
_CHECK_ITS_NETWORK = "The agent cannot reach Secrets Manager: check its network, its region and its log."
_CHECK_THE_PORT = "Check that the agent is the server that listens on {host}:{port}, and see its log."
_UPGRADE_FOR_ROLES = "SECRET_ROLE needs version 3.0.0 of the AWS Workload Credentials Provider: upgrade it."
_CHECK_THE_ROLE = (
    "SECRET_ROLE must be the ARN of a role. The agent's own role needs sts:AssumeRole on it, and its trust "
    "policy must allow the agent's role. An agent assumes at most 20 roles (max_roles) until it is restarted."
)
HINT = "The agent responds too slowly. " + _SEE_ITS_LOG
# Errors of the agent itself, in the form of AWS's errors.
_FIXES = {
    "InternalFailure": _SEE_ITS_LOG,
    "ConnectionError": _CHECK_ITS_NETWORK,
    "TimeoutError": _CHECK_ITS_NETWORK,
}

_CODE = re.compile(r'"__type"\s*:\s*"(?:[^"#]*#)?(\w+)"')
_MESSAGE = re.compile(r'"message"\s*:\s*"(.*)"', re.DOTALL)
_STARTING = ("not ready to serve traffic", "Serving not enabled")
_TOO_MANY_REQUESTS = 429


class _Response(NamedTuple):
    status: int
    text: SecretStr

    @classmethod
    def read(cls, status: int, body: bytes, token: SecretStr) -> _Response:
        # In a function of its own, because the frame of an error would show the bytes.
        text = body.decode(errors="replace")
        # A refusal may quote the request.
        return cls(status, SecretStr(text if status == 200 else text.replace(token, MASK)))

    @property
    def is_not_ready(self) -> bool:
        """Whether the agent is still starting."""
        return self.status != 200 and any(words in self.text for words in _STARTING)

    def refuses_parameter(self, name: str) -> bool:
        """Return whether the agent is too old for a parameter."""
        return self.status == 400 and f"unknown parameter: {name}" in self.text


class _DeadlineSocket(socket.socket):
    """A socket whose reads end together at ``deadline``, however little each of them brings."""

    deadline = float("inf")

    def recv_into(self, *args: Any) -> int:
        self.settimeout(max(0.001, self.deadline - monotonic()))
        return super().recv_into(*args)


def get_secret_value(
    secret_id: str, version_stage: str, region: str | None, refresh: bool = False, role: str | None = None
) -> tuple[SecretStr, str | None]:
    """Fetch a secret from the agent, and return its text, and its region if the agent names it.

    ``refresh`` makes the agent skip its cache, if the agent can. The agent asks in its own region. The region
    of the response must be the given one, or the ARN's. The agent assumes a ``role`` for this secret.

    Raises AgentUnavailable if the agent cannot be reached or is not ready, else CredentialError. Takes at
    most READY_WITHIN, CONNECT_TIMEOUT for each address of ``localhost``, and READ_TIMEOUT: 8 seconds.
    """
    secret = AwsSecret(secret_id, version_stage, region_of(secret_id, region), role)
    query = {"secretId": secret_id, "versionStage": version_stage}
    if role is not None:
        query["roleArn"] = role
    response = _get_when_ready(query | ({"refreshNow": "true"} if refresh else {}))
    if response.refuses_parameter("refreshNow"):
        response = _get_when_ready(query)
    if response.status != 200:
        raise _refusal(secret, response)
    return _read_secret(secret, json_object(response.text))


def read_token() -> SecretStr:
    """Return the token that the agent requires. Raises CredentialError.

    Read before each request, because the agent's installer makes a new token at each start of the agent.
    """
    source, value = _find_token()
    if not value.startswith(_FILE_SCHEME):
        return _check_token(value, source)
    path = Path(value.removeprefix(_FILE_SCHEME))
    source = f"file {redacted_repr(str(path))}"
    try:
        return _check_token(file.read(path), source)
    except ValueError as error:
        raise _token_error(f"{source} {error}") from None


def _get_when_ready(query: dict[str, str]) -> _Response:
    until, pause = monotonic() + READY_WITHIN, _INITIAL_PAUSE
    while True:
        try:
            response = _get(f"/secretsmanager/get?{urlencode(query)}")
        except AgentUnavailable as error:
            if not _may_listen_soon(error) or monotonic() + pause > until:
                raise
        else:
            if not response.is_not_ready or monotonic() + pause > until:
                return response
        time.sleep(pause)
        pause *= 2


def _may_listen_soon(error: AgentUnavailable) -> bool:
    # Lambda may start a function before its extension listens. Elsewhere the agent was started earlier.
    return isinstance(error.__cause__, ConnectionRefusedError) and "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _get(path: str) -> _Response:
    port = _port()
    connection = HTTPConnection(HOST, port, timeout=CONNECT_TIMEOUT)
    connection.set_debuglevel(0)  # Else it prints the token if somebody debugs http.client.
    with closing(connection):
        try:
            connection.connect()
        except OSError as error:
            raise AgentUnavailable(
                f"No {NAME} listens on {HOST}:{port}: {type(error).__name__}.", _START_IT
            ) from error
        token = read_token()
        _set_deadline(connection)
        try:
            connection.request("GET", path, headers={TOKEN_HEADER: token})
            with closing(connection.getresponse()) as response:
                return _Response.read(response.status, response.read(_MAX_BYTES), token)
        except (OSError, HTTPException) as error:
            name = type(error).__name__
    # Not chained: the frames of http.client have the token, and the part of a response that was read.
    raise AgentUnavailable(f"The {NAME} on {HOST}:{port} did not respond as it should: {name}.", _START_IT)


def _set_deadline(connection: HTTPConnection) -> None:
    sock = _DeadlineSocket(fileno=connection.sock.detach())
    sock.deadline = monotonic() + READ_TIMEOUT
    sock.settimeout(READ_TIMEOUT)
    connection.sock = sock


def _port() -> int:
    text = SecretStr(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT)
    if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return int(text)
    raise CredentialError(
        f"Environment variable {PORT_VARIABLE} is {redacted_repr(str(text))}, which is not a port.",
        f"Set it to the agent's port, or leave it out for {DEFAULT_PORT}.",
    )


def _refusal(secret: AwsSecret, response: _Response) -> CredentialError:
    if response.is_not_ready or response.status == _TOO_MANY_REQUESTS:
        fix = _START_IT if response.status == _TOO_MANY_REQUESTS else _NOT_READY
        return AgentUnavailable(f"{secret} cannot be read yet: {_quote(response)}.", fix)
    if response.refuses_parameter("roleArn"):
        return CredentialError(f"{secret} cannot be read: {_quote(response)}.", _UPGRADE_FOR_ROLES)
    code, message = _error_of_aws(response.text)
    if code is not None:
        return secret.refusal(code, message, _THE_AGENT, _FIXES.get(code))
    says = response.text.lower()
    if secret.role and "token" not in says and ("role" in says or response.status == 403):
        return CredentialError(f"{secret} cannot be read: {_quote(response)}.", _CHECK_THE_ROLE)
    if response.status in (401, 403) or "token" in says:
        return CredentialError(
            f"{secret} cannot be read: the agent refused the token of this process ({_quote(response)}).",
            TOKEN_FIX,
        )
    return CredentialError(f"{secret} cannot be read: {_quote(response)}.", _SEE_ITS_LOG)


def _error_of_aws(text: SecretStr) -> tuple[str | None, str]:
    """Return the code and the message of an error that AWS reported to the agent.

    If the text is not such an error, the code is None and the message is the text.
    """
    code = _CODE.search(text)
    if code is None:
        # The extension has the code in the middle of a sentence.
        return next((code for code in FIXES if code in text), None), text
    # If a message of the agent holds quotes, they are not escaped, and the JSON is invalid.
    document, message = json_object(text), _MESSAGE.search(text)
    said = document.get("message") or document.get("Message") or (message[1] if message else "")
    return code[1], str(said)


def _quote(response: _Response) -> str:
    said = sentence(response.text)
    return f"the agent returned {response.status}{': ' if said else ''}{said}"


def _read_secret(secret: AwsSecret, document: dict[str, object]) -> tuple[SecretStr, str | None]:
    text = document.get("SecretString")
    if not isinstance(text, SecretStr):
        binary = document.get("SecretBinary")
        if not isinstance(binary, SecretStr):
            raise secret.malformation("the agent returned", _CHECK_THE_PORT.format(host=HOST, port=_port()))
        text = _from_base64(binary)
        if text is None:
            raise secret.not_text()
    arn = document.get("ARN")
    region = region_of(arn, None) if isinstance(arn, str) else None
    if region and secret.region and region != secret.region:
        raise CredentialError(
            f"{secret} cannot be read: the agent returned the secret of that name in {region}.",
            f"Set the agent's region to {secret.region}: it has its own, in its configuration file or in "
            "AWS_REGION. Or leave REGION out.",
        )
    return text, region or secret.region


def _from_base64(text: SecretStr) -> SecretStr | None:
    try:
        return SecretStr.from_bytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        return None


def _find_token() -> tuple[str, SecretStr]:
    """Return the source of the token in words, and the token or the ``file://`` URL of its file."""
    first, *others = TOKEN_VARIABLES
    if os.environ.get(first):
        return f"environment variable {first}", SecretStr(os.environ[first])
    if TOKEN_FILE.exists():
        return "", SecretStr(f"{_FILE_SCHEME}{TOKEN_FILE}")
    for name in others:
        if os.environ.get(name):
            return f"environment variable {name}", SecretStr(os.environ[name])
    raise _token_error(
        f"there is no file {TOKEN_FILE}, and no environment variable {' or '.join(TOKEN_VARIABLES)}"
    )


def _check_token(text: SecretStr, source: str) -> SecretStr:
    token = SecretStr(text.strip())
    if not _SENDABLE.fullmatch(token):
        raise _token_error(f"{source} {'holds characters that no token has' if token else 'is empty'}")
    return token


def _token_error(reason: str) -> CredentialError:
    return CredentialError(f"The token of the {NAME} cannot be read: {reason}.", TOKEN_FIX)
