"""Whatever keeps an agent from giving a secret says which secret, what was answered and what to do."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from django_momento.credentials import agent as agent_source
from django_momento.credentials.agent import get_secret_value
from django_momento.exceptions import AgentUnavailable, CredentialError
from tests.kit import agent as agents
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import (
    AGENT_TOKEN,
    ARN,
    KEYS,
    V2_KEY,
    FakeAws,
    SecretsManager,
    answering,
    report,
    shown_of,
)
from tests.kit.clock import Clock
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws
agent, fake_aws = fixtures.agent, fixtures.fake_aws

SECRET = "Secret 'momento' in us-west-2 (AWSCURRENT)"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long an agent is waited for is the subject of a few tests only."""
    monkeypatch.setattr(agent_source, "READY_WITHIN", 0.0)


def failure(secret_id: str = "momento", region: str | None = "us-west-2") -> CredentialError:
    """Fetch a secret that cannot be had; return the error, after making sure that it shows nothing."""
    with pytest.raises(CredentialError) as failed:
        get_secret_value(secret_id, "AWSCURRENT", region)
    assert failed.value.fix
    whole = report(failed.value)
    assert [] == [run for key in (*KEYS, AGENT_TOKEN) for run in shown_of(key, whole)]
    return failed.value


def is_unavailable(error: CredentialError) -> bool:
    """Whether boto3 would be asked in the agent's place."""
    return isinstance(error, AgentUnavailable)


@pytest.mark.usefixtures("aws_environment")
@table("token", [None, AGENT_TOKEN], afresh=True)
def test_an_agent_that_does_not_run_is_said_so(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where there is no token either: without an agent nobody makes one."""
    if token:
        monkeypatch.setenv("AWS_TOKEN", token)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(port))
        error = failure()

    assert is_unavailable(error)
    assert f"No {agent_source.NAME} listens on localhost:{port}: ConnectionRefusedError." == error.cause
    assert "Start the AWS Workload Credentials Provider (Secrets Manager Agent)" in error.fix
    assert isinstance(error.__cause__, ConnectionRefusedError)


@table("port", ["http", "0", "65536", "-1", "2773 ", V2_KEY], afresh=True)
@pytest.mark.usefixtures("aws_environment")
def test_a_port_that_is_none_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named; what is in it too, unless it looks like a key."""
    monkeypatch.setenv(agent_source.PORT_VARIABLE, port)
    shown = "'**********'" if port == V2_KEY else repr(port)

    assert (
        f"Environment variable PARAMETERS_SECRETS_EXTENSION_HTTP_PORT is {shown}, which is not a port."
        == failure().cause
    )


def test_a_token_that_is_missing_is_missed_where_an_agent_runs(
    agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent without one, and an agent that is there is not passed over for boto3."""
    monkeypatch.delenv("AWS_TOKEN")
    error = failure()

    assert not is_unavailable(error)
    assert error.cause.startswith(
        "The token of the AWS Workload Credentials Provider (Secrets Manager Agent) cannot be read"
    )
    assert [] == agent.requests


@table(
    ("status", "text"),
    [
        (403, "Bad Token"),
        (403, ""),
        (401, "Unauthorized"),
        (400, "no valid token in the request"),
        (403, f"Bad Token: {AGENT_TOKEN}"),
    ],
)
def test_a_token_that_is_refused_says_where_the_right_one_is(
    agent: SecretsManagerAgent, status: int, text: str
) -> None:
    """Another user's file, or one from before the agent was started again."""
    agent.say(status, text)
    error = failure()

    assert not is_unavailable(error)
    assert f"{SECRET} cannot be read: the agent refused the token of this process" in error.cause
    assert agent_source.TOKEN_FIX == error.fix


def test_the_agent_refuses_another_token(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documented check: 403 and ``Bad Token``."""
    aws.create("momento", V2_KEY)
    monkeypatch.setenv("AWS_TOKEN", "another")

    assert "refused the token of this process (the agent returned 403: Bad Token)." in failure().cause


def test_a_missing_secret_says_which_and_how_to_create_it(agent: SecretsManagerAgent) -> None:
    """What AWS told the agent is told on."""
    error = failure()

    assert not is_unavailable(error)
    assert (
        f"{SECRET} cannot be read: the agent returned ResourceNotFoundException: "
        "Secrets Manager can't find the specified secret."
    ) == error.cause
    assert "aws secretsmanager create-secret --region us-west-2 --name momento " in error.fix


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("us-west-2", "arn:aws:secretsmanager:us-west-2:*:secret:momento-*"),
        ("cn-north-1", "arn:aws-cn:secretsmanager:cn-north-1:*:secret:momento-*"),
    ],
)
def test_a_denial_names_what_the_agent_s_role_must_be_allowed(
    agent: SecretsManagerAgent, fake_aws: FakeAws, region: str, arn: str
) -> None:
    """The agent describes a secret before it reads it, so that one action alone is not enough."""
    fake_aws.refuse("AccessDeniedException", "User: arn:aws:iam::1:role/x is not authorized")
    agent.client = SecretsManager(f"http://127.0.0.1:{fake_aws.port}").client()
    error = failure(region=region)

    assert not is_unavailable(error)
    assert "the agent returned AccessDeniedException: User: arn:aws:iam::1:role/x is not" in error.cause
    assert (
        "Allow the IAM actions secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
        f"{arn} to the role of the AWS Workload Credentials Provider (Secrets Manager Agent)"
    ) in error.fix
    assert "kms:Decrypt" in error.fix


@table(
    ("status", "text", "code", "fix"),
    [
        (
            400,
            '{"__type":"InvalidRequestException", "message":"It is "deleted"."}',
            "Invalid",
            "restore-secret",
        ),
        (400, '{"__type": "com.amazonaws#ThrottlingException"}', "ThrottlingException", "passes by itself"),
        (400, '{"Message": "x", "__type":"DecryptionFailure"}', "DecryptionFailure: x.", "kms:Decrypt"),
        (500, '{"__type":"InternalFailure"}', "InternalFailure", "See the agent's log"),
        (
            502,
            '{"__type":"ConnectionError", "message":"Read Error"}',
            "ConnectionError",
            "cannot reach Secrets",
        ),
        (
            504,
            '{"__type":"TimeoutError", "message":"Timeout"}',
            "TimeoutError",
            "cannot reach Secrets Manager",
        ),
        (400, "api error AccessDeniedException: User: x is not authorized", "AccessDenied", "DescribeSecret"),
        (400, '{"__type":"OfTheFuture", "message":"New."}', "OfTheFuture: New", "AWS's reference"),
    ],
)
def test_every_error_the_agent_tells_on_says_what_to_do(
    agent: SecretsManagerAgent, status: int, text: str, code: str, fix: str
) -> None:
    """In AWS's form, though not always valid JSON; the extension tells it in a sentence."""
    agent.say(status, text)
    error = failure()

    assert not is_unavailable(error)
    assert f"{SECRET} cannot be read: the agent returned {code}" in error.cause
    assert fix in error.fix


def test_without_a_region_the_fix_says_where_to_put_one(agent: SecretsManagerAgent) -> None:
    """A command to copy must not say ``--region None``."""
    assert "create-secret --region REGION --name momento " in failure(region=None).fix


def test_an_arn_is_the_one_to_allow(agent: SecretsManagerAgent) -> None:
    """Given an ARN, the IAM policy needs exactly that."""
    agent.say(400, '{"__type":"AccessDeniedException", "message":"No."}')

    assert f"secretsmanager:DescribeSecret on {ARN} to the role" in failure(ARN, None).fix


@table("text", ["Forwarded", "an unexpected error occurred", "x" * 10_000, f"for {V2_KEY}"])
def test_any_other_refusal_is_quoted_in_short(agent: SecretsManagerAgent, text: str) -> None:
    """The agent's log knows more than this process is told."""
    agent.say(400, text)
    error = failure()

    quoted = text.replace(V2_KEY, "**********")
    quoted = quoted if len(quoted) <= 500 else quoted[:497]
    assert f"{SECRET} cannot be read: the agent returned 400: {quoted}." == error.cause
    assert "See the agent's log" in error.fix


def test_something_else_on_the_port_is_named_as_that(agent: SecretsManagerAgent) -> None:
    """A 404 is none of the agent's answers to a right request."""
    agent.say(404, "<html>Not Found</html>")

    assert "the agent returned 404: <html>Not Found</html>" in failure().cause


@pytest.mark.parametrize("starting", [agents.NOT_READY, (503, "Serving not enabled.")])
def test_an_agent_that_never_gets_ready_is_given_up(
    agent: SecretsManagerAgent, starting: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Lambda initialises a function its extension does not serve, however long it is waited for."""
    clock = Clock()
    monkeypatch.setattr(agent_source, "monotonic", clock)
    monkeypatch.setattr(agent_source, "time", SimpleNamespace(sleep=clock.advance))
    monkeypatch.setattr(agent_source, "READY_WITHIN", 0.2)
    agent.say(*starting, times=20)
    error = failure()

    assert is_unavailable(error)
    assert (
        f"{SECRET} cannot be read yet: the agent returned {starting[0]}: {starting[1].rstrip('.')}."
        == error.cause
    )
    assert "in the handler, not while modules are imported" in error.fix
    assert 2 < len(agent.requests) < 20


def test_an_agent_with_too_much_to_do_is_unavailable(agent: SecretsManagerAgent) -> None:
    """Its limit of connections is no word of AWS's."""
    agent.say(429, "Connection limit exceeded")

    assert is_unavailable(failure())


@table(
    "text",
    ["", "healthy", "{", "[]", "{}", '{"SecretString": 5}', f'{{"SecretString": "{V2_KEY}"', f'["{V2_KEY}"]'],
)
def test_an_answer_that_is_not_getsecretvalue_s_is_not_quoted(agent: SecretsManagerAgent, text: str) -> None:
    """Half an answer may have half a key in it."""
    agent.say(200, text)
    error = failure()

    assert not is_unavailable(error)
    assert (
        f"{SECRET} cannot be read: the agent returned something that is not GetSecretValue's JSON."
        == error.cause
    )


@pytest.mark.parametrize("binary", ["not base64!", "/w=="])
def test_bytes_that_are_no_text_are_refused(agent: SecretsManagerAgent, binary: str) -> None:
    """A SecretBinary of something else is named as that, and shown nowhere."""
    agent.say(200, f'{{"SecretBinary": "{binary}"}}')

    assert f"{SECRET} is kept as SecretBinary and holds bytes that are not UTF-8 text." == failure().cause


def test_an_answer_without_end_is_not_read_to_its_end(agent: SecretsManagerAgent) -> None:
    """No secret is larger than 64 KiB, and memory is not endless."""
    agent.say(200, f'{{"SecretString": "{"x" * 1_000_000}"}}')

    assert "is not GetSecretValue's JSON" in failure().cause


@table(
    "pieces",
    [
        (),
        (b"nonsense\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n", V2_KEY.encode()),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + V2_KEY.encode() * 2,),
    ],
    ids=["nothing", "not HTTP", "cut off", "not chunks"],
    afresh=True,
)
@pytest.mark.usefixtures("aws_environment")
def test_an_answer_that_breaks_off_is_no_answer(
    pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of it is in http.client's error, which is therefore not chained."""
    monkeypatch.setenv("AWS_TOKEN", AGENT_TOKEN)
    with answering(*pieces) as port:
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(port))
        error = failure()

    assert is_unavailable(error)
    assert f"The {agent_source.NAME} on localhost:{port} did not respond as it should: " in error.cause
    assert (None, None) == (error.__cause__, error.__context__)


@pytest.mark.usefixtures("aws_environment")
def test_a_silent_agent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process still has its port."""
    monkeypatch.setattr(agent_source, "READ_TIMEOUT", 0.1)
    monkeypatch.setenv("AWS_TOKEN", AGENT_TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(silent.getsockname()[1]))
        error = failure()

    assert is_unavailable(error)
    assert "did not respond as it should: TimeoutError." in error.cause
