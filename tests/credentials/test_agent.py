"""A secret is fetched from the agent as its documentation has it, and without AWS's SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from django_momento.credentials import agent as agent_source
from django_momento.credentials.agent import get_secret_value
from django_momento.exceptions import CredentialError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit import agent as agents
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import AGENT_TOKEN, REGION, V2_KEY, SecretsManager
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws
agent = fixtures.agent


@table("value", [V2_KEY, f'{{"api_key": "{V2_KEY}"}}', " ", "ä\n\"'\\", V2_KEY.encode()], afresh=True)
def test_a_secret_is_fetched_with_the_region_that_had_it(
    aws: SecretsManager, agent: SecretsManagerAgent, value: str | bytes
) -> None:
    """Text and binary secrets are answered as the text they hold, untouched."""
    aws.create("team/momento", value)
    text, region = get_secret_value("team/momento", "AWSCURRENT", None)

    assert (value if isinstance(value, str) else value.decode(), REGION) == (str(text), region)
    assert SecretStr is type(text)


def test_a_request_is_the_documented_one(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """Path, parameters and token are what the agent and the extension want; nothing looks forwarded."""
    arn = aws.create("team/momento", V2_KEY)
    get_secret_value(arn, "AWSCURRENT", REGION)
    (request,) = agent.requests

    assert "/secretsmanager/get" == request.path
    assert {"secretId": arn, "versionStage": "AWSCURRENT"} == request.query
    assert AGENT_TOKEN == request.headers[agents.TOKEN_HEADER]
    assert f"localhost:{agent.port}" == request.headers["Host"]
    assert "X-Forwarded-For" not in request.headers


def test_a_version_stage_is_asked_for(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """During a rotation a site can stay on the version it knows."""
    aws.create("momento", "old")
    aws.client().put_secret_value(SecretId="momento", SecretString="new")

    assert ("new", "old") == tuple(
        str(get_secret_value("momento", stage, None)[0]) for stage in ("AWSCURRENT", "AWSPREVIOUS")
    )


def test_only_a_refresh_skips_the_agent_s_cache(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """Processes that start share one GetSecretValue; a key that was refused is looked for at AWS."""
    aws.create("momento", "old")
    get_secret_value("momento", "AWSCURRENT", None)
    aws.client().put_secret_value(SecretId="momento", SecretString="new")

    def fetched(refresh: bool) -> str:
        return str(get_secret_value("momento", "AWSCURRENT", None, refresh)[0])

    assert ("old", "new", "new") == (fetched(False), fetched(True), fetched(False))
    assert [None, None, "true", None] == [request.query.get("refreshNow") for request in agent.requests]
    assert 2 == agent.fetches


def test_the_first_agents_refresh_when_their_cache_ends(
    aws: SecretsManager, agent: SecretsManagerAgent
) -> None:
    """They refuse a parameter that they do not know; without it, a new key is had some minutes later."""
    aws.create("momento", V2_KEY)
    agent.say(400, "unknown parameter: refreshNow")

    assert V2_KEY == get_secret_value("momento", "AWSCURRENT", None, refresh=True)[0]
    assert ["true", None] == [request.query.get("refreshNow") for request in agent.requests]


def test_the_agent_forgets_after_five_minutes(aws: SecretsManager) -> None:
    """The agent of these tests keeps a secret as long as the real one does."""
    now = 1000.0
    agent = SecretsManagerAgent(aws.client(), AGENT_TOKEN, clock=lambda: now)
    request = agents.Request("/secretsmanager/get", {"secretId": "a"}, {agents.TOKEN_HEADER: AGENT_TOKEN})
    aws.create("a", "text")

    fetches = []
    for now in (1000.0, 1299.9, 1300.0):  # noqa: B007 - the agent's clock reads it
        agent.answer(request)
        fetches.append(agent.fetches)
    agent.close()
    assert [1, 1, 2] == fetches


@table("region", [None, REGION], afresh=True)
def test_a_region_that_is_the_agent_s_is_as_good_as_none(
    aws: SecretsManager, agent: SecretsManagerAgent, region: str | None
) -> None:
    """REGION can stand in settings that serve sites with and without an agent."""
    aws.create("momento", V2_KEY)

    assert (V2_KEY, REGION) == get_secret_value("momento", "AWSCURRENT", region)


def test_the_secret_of_another_region_is_refused(aws: SecretsManager, agent: SecretsManagerAgent) -> None:
    """The agent asks its own region, and a secret of that name may be there too: with another key in it."""
    aws.create("momento", V2_KEY)
    aws.create("momento", "the right one", region="eu-west-1")
    with pytest.raises(CredentialError) as refused:
        get_secret_value("momento", "AWSCURRENT", "eu-west-1")

    assert (
        "Secret 'momento' in eu-west-1 (AWSCURRENT) cannot be read: "
        "the agent returned the secret of that name in us-west-2."
    ) == refused.value.cause
    assert "Set the agent's region to eu-west-1" in refused.value.fix


def test_an_answer_without_an_arn_is_taken_for_the_region_asked(agent: SecretsManagerAgent) -> None:
    """What cannot be compared is no reason to refuse a key."""
    agent.say(200, json.dumps({"SecretString": "text"}))

    assert ("text", "eu-west-1") == get_secret_value("momento", "AWSCURRENT", "eu-west-1")


@table("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"], afresh=True)
def test_no_proxy_is_asked(
    aws: SecretsManager, agent: SecretsManagerAgent, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy knows nothing of this machine's localhost, and must not see a token."""
    aws.create("momento", V2_KEY)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert V2_KEY == get_secret_value("momento", "AWSCURRENT", None)[0]


@pytest.mark.parametrize(
    "starting",
    [
        agents.NOT_READY,
        (503, "Serving not enabled. Hit the /start_serving endpoint."),
    ],
)
def test_an_agent_that_is_still_starting_is_waited_for(
    aws: SecretsManager,
    agent: SecretsManagerAgent,
    starting: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extension serves a moment after the function has started: that moment is no error."""
    monkeypatch.setattr(agent_source, "READY_WITHIN", HANG_GUARD)
    aws.create("momento", V2_KEY)
    agent.say(*starting, times=2)

    assert V2_KEY == get_secret_value("momento", "AWSCURRENT", None)[0]
    assert 3 == len(agent.requests)


def test_in_lambda_an_extension_that_does_not_listen_yet_is_waited_for(
    aws: SecretsManager, agent: SecretsManagerAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda starts a function when its extensions are registered, which need not mean that they listen."""
    aws.create("momento", V2_KEY)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "site")
    port = agent.port
    monkeypatch.setenv(agent_source.PORT_VARIABLE, "9")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        monkeypatch.setenv(agent_source.PORT_VARIABLE, str(port))

    monkeypatch.setattr(agent_source, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(agent_source, "READY_WITHIN", HANG_GUARD)

    assert V2_KEY == get_secret_value("momento", "AWSCURRENT", None)[0]
    assert 1 == len(pauses)


COLD = """
import sys
from django.conf import settings

settings.configure(SECRET_KEY="only-for-tests", CACHES={"default": {
    "BACKEND": "django_momento.cache.MomentoCache",
    "LOCATION": "tests",
    "OPTIONS": {
        "CREDENTIALS": "agent", "SECRET_ID": "momento", "ENDPOINT": sys.argv[1], "CLIENT_TIMEOUT": 60
    },
}})
from django.core.cache import cache

cache.set("key", "value")
assert cache.get("key") == "value"
print(*sorted({"boto3", "botocore", "urllib3", "requests"} & set(sys.modules)))
"""


def test_a_cold_process_with_an_agent_imports_no_aws_sdk(
    aws: SecretsManager, agent: SecretsManagerAgent, momento: LocalServer
) -> None:
    """What makes a cold start faster than with boto3 is that boto3 is not there, up to the first value."""
    aws.create("momento", "a-key-made-up-for-tests")
    ended = subprocess.run(
        [sys.executable, "-c", COLD, momento.address], capture_output=True, text=True, check=True
    )

    assert "" == ended.stdout.strip()
    assert 1 == agent.fetches
