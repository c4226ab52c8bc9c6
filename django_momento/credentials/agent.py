"""A secret from the AWS Secrets Manager Agent, or from Lambda's AWS Parameters and Secrets extension.

Both serve GetSecretValue on this machine, to whoever shows a token. Standard library only: an import of boto3
is what a process with an agent is spared. The agent has AWS credentials, a region and a cache of its own.

Source: AWS's documentation of both, and the agent's public source.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlencode

from django_momento.credentials.api_key import json_object
from django_momento.exceptions import AgentUnavailable, CredentialError
from django_momento.redaction import MASK, SecretStr, redacted_repr

from . import agent_token
from .aws import FIXES, Asker, AwsSecret, region_of, sentence

HOST = "localhost"
PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
DEFAULT_PORT = "2773"

# The agent is on this machine, but asks AWS where it has nothing in its cache.
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 5.0
# For an agent that is still starting, as during the initialisation of a Lambda function.
READY_WITHIN = 1.0
_FIRST_PAUSE = 0.05

# A secret of 64 KiB, each of its characters escaped, and what is said about it.
_MOST_BYTES = 512 * 1024

_THE_AGENT = Asker(
    "the Secrets Manager Agent (in Lambda, of the function)",
    "the agent answered",
    "the IAM actions secretsmanager:GetSecretValue and secretsmanager:DescribeSecret",
)
_START_IT = (
    "Start the Secrets Manager Agent, or add the AWS Parameters and Secrets extension to the Lambda "
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
# What the agent says of itself in the form of AWS's errors.
_ITS_OWN_FIXES = {
    "InternalFailure": _SEE_ITS_LOG,
    "ConnectionError": _CHECK_ITS_NETWORK,
    "TimeoutError": _CHECK_ITS_NETWORK,
}

_CODE = re.compile(r'"__type"\s*:\s*"(?:[^"#]*#)?(\w+)"')
_MESSAGE = re.compile(r'"message"\s*:\s*"(.*)"', re.DOTALL)
_STARTING = ("not ready to serve traffic", "Serving not enabled")
_TOO_MANY = 429


class _Answer(NamedTuple):
    status: int
    text: SecretStr

    @classmethod
    def read(cls, status: int, body: bytes, token: SecretStr) -> _Answer:
        # In a function of its own, so that no frame of a traceback has the bytes, which show themselves.
        text = body.decode(errors="replace")
        # What refuses a request may quote it.
        return cls(status, SecretStr(text if status == 200 else text.replace(token, MASK)))

    @property
    def is_not_ready(self) -> bool:
        """Whether the agent says that it is still starting."""
        return self.status != 200 and any(words in self.text for words in _STARTING)

    @property
    def is_of_before_refresh(self) -> bool:
        """Whether the agent is one of the first, which had no ``refreshNow``."""
        return self.status == 400 and "unknown parameter: refreshNow" in self.text


def get_secret_value(
    secret_id: str, version_stage: str, region: str | None, refresh: bool = False
) -> tuple[SecretStr, str | None]:
    """Fetch a secret from the agent; answer its text, and the region that had it if the agent says so.

    ``refresh`` makes the agent skip its cache, if it is one that can. The agent asks its own region: one that
    is given, or an ARN's, is compared with that of the answer.

    Raises AgentUnavailable if nothing answers or the agent is not ready, else CredentialError. Takes at most
    READY_WITHIN, and CONNECT_TIMEOUT for each address of ``localhost``, and READ_TIMEOUT: 8 seconds.
    """
    asked = AwsSecret(secret_id, version_stage, region_of(secret_id, region))
    query = {"secretId": secret_id, "versionStage": version_stage}
    answer = _answer_when_ready(query | ({"refreshNow": "true"} if refresh else {}))
    if answer.is_of_before_refresh:
        answer = _answer_when_ready(query)
    if answer.status != 200:
        raise _refusal(asked, answer)
    return _secret(asked, json_object(answer.text))


def _answer_when_ready(query: dict[str, str]) -> _Answer:
    until, pause = time.monotonic() + READY_WITHIN, _FIRST_PAUSE
    while True:
        try:
            answer = _ask(f"/secretsmanager/get?{urlencode(query)}")
        except AgentUnavailable as error:
            if not _may_listen_soon(error) or time.monotonic() + pause > until:
                raise
        else:
            if not answer.is_not_ready or time.monotonic() + pause > until:
                return answer
        time.sleep(pause)
        pause *= 2


def _may_listen_soon(error: AgentUnavailable) -> bool:
    # Lambda may start a function before its extension listens. Elsewhere nobody is about to start one.
    return isinstance(error.__cause__, ConnectionRefusedError) and "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _ask(path: str) -> _Answer:
    port = _port()
    connection = HTTPConnection(HOST, port, timeout=CONNECT_TIMEOUT)
    connection.set_debuglevel(0)  # Else it prints the token where somebody debugs http.client.
    with closing(connection):
        try:
            connection.connect()
        except OSError as error:
            raise AgentUnavailable(
                f"No Secrets Manager Agent listens on {HOST}:{port}: {type(error).__name__}.", _START_IT
            ) from error
        token = agent_token.read()
        connection.sock.settimeout(READ_TIMEOUT)
        try:
            connection.request("GET", path, headers={agent_token.HEADER: token})
            response = connection.getresponse()
            return _Answer.read(response.status, response.read(_MOST_BYTES), token)
        except (OSError, HTTPException) as error:
            failed = type(error).__name__
    # Not chained: the frames of http.client have the token, and what was read of an answer.
    raise AgentUnavailable(
        f"The Secrets Manager Agent on {HOST}:{port} did not answer as it should: {failed}.", _START_IT
    )


def _port() -> int:
    text = SecretStr(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT)
    if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return int(text)
    raise CredentialError(
        f"Environment variable {PORT_VARIABLE} is {redacted_repr(str(text))}, which is not a port.",
        f"Set it to the agent's port, or leave it out for {DEFAULT_PORT}.",
    )


def _refusal(asked: AwsSecret, answer: _Answer) -> CredentialError:
    if answer.is_not_ready or answer.status == _TOO_MANY:
        fix = _START_IT if answer.status == _TOO_MANY else _NOT_READY
        return AgentUnavailable(f"{asked} cannot be read yet: {_quoted(answer)}.", fix)
    code, said = _error_of_aws(answer.text)
    if code is not None:
        return asked.refused(code, said, _THE_AGENT, _ITS_OWN_FIXES.get(code))
    if answer.status in (401, 403) or "token" in answer.text.lower():
        return CredentialError(
            f"{asked} cannot be read: the agent refused the token of this process ({_quoted(answer)}).",
            agent_token.FIX,
        )
    return CredentialError(f"{asked} cannot be read: {_quoted(answer)}.", _SEE_ITS_LOG)


def _error_of_aws(text: SecretStr) -> tuple[str | None, str]:
    """Answer the code and the words of an error that AWS told the agent, if it is one."""
    typed = _CODE.search(text)
    if typed is None:
        # The extension has it in the middle of a sentence.
        return next((code for code in FIXES if code in text), None), text
    # The agent escapes nothing in what it puts together.
    document, message = json_object(text), _MESSAGE.search(text)
    said = document.get("message") or document.get("Message") or (message[1] if message else "")
    return typed[1], str(said)


def _quoted(answer: _Answer) -> str:
    said = sentence(answer.text)
    return f"the agent answered {answer.status}{': ' if said else ''}{said}"


def _secret(asked: AwsSecret, document: dict[str, object]) -> tuple[SecretStr, str | None]:
    text = document.get("SecretString")
    if not isinstance(text, SecretStr):
        binary = document.get("SecretBinary")
        if not isinstance(binary, SecretStr):
            raise CredentialError(
                f"{asked} cannot be read: the agent answered something that is not GetSecretValue's JSON.",
                f"Check that the agent is what listens on {HOST}:{_port()}, and see its log.",
            )
        text = _from_base64(binary)
        if text is None:
            raise asked.not_text()
    arn = document.get("ARN")
    region = region_of(arn, None) if isinstance(arn, str) else None
    if region and asked.region and region != asked.region:
        raise CredentialError(
            f"{asked} cannot be read: the agent answered with the secret of that name in {region}.",
            f"Set the agent's region to {asked.region}: it has its own, in its configuration file or in "
            "AWS_REGION. Or leave REGION out.",
        )
    return text, region or asked.region


def _from_base64(text: SecretStr) -> SecretStr | None:
    try:
        return SecretStr.from_bytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        return None
