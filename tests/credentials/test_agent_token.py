"""The agent's token is found where AWS's documentation puts it, and no error shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_momento.credentials import agent as agent_source
from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr
from tests.kit import aws as fixtures
from tests.kit.aws import AGENT_TOKEN, report, shown_of
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
aws_environment = fixtures.aws_environment
pytestmark = pytest.mark.usefixtures("aws_environment")


def failure() -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        agent_source.read_token()
    assert [] == shown_of(AGENT_TOKEN, report(failed.value))
    assert agent_source.TOKEN_FIX == failed.value.fix
    return failed.value


@table("name", agent_source.TOKEN_VARIABLES, afresh=True)
def test_a_token_comes_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda and ECS set a variable themselves, and anybody can set AWS_TOKEN."""
    monkeypatch.setenv(name, AGENT_TOKEN)
    token = agent_source.read_token()

    assert (AGENT_TOKEN, SecretStr) == (str(token), type(token))


def test_a_token_comes_from_the_installer_s_file() -> None:
    """On EC2 the installer makes the file, and no variable says so."""
    agent_source.TOKEN_FILE.write_text(f"{AGENT_TOKEN}\n")

    assert AGENT_TOKEN == agent_source.read_token()


def test_the_file_is_read_anew_for_each_request() -> None:
    """The agent has another token each time it starts."""
    agent_source.TOKEN_FILE.write_text("first")
    agent_source.read_token()
    agent_source.TOKEN_FILE.write_text("second")

    assert "second" == agent_source.read_token()


@table("name", agent_source.TOKEN_VARIABLES, afresh=True)
def test_a_variable_may_name_a_file(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``AWS_TOKEN=file:///var/run/awssmatoken`` is how the agent itself is started."""
    (tmp_path / "token").write_text(f" {AGENT_TOKEN}\n")
    monkeypatch.setenv(name, f"file://{tmp_path / 'token'}")

    assert AGENT_TOKEN == agent_source.read_token()


def test_the_first_place_that_has_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_TOKEN is set on purpose; the file is the agent's; the others may be there for other reasons."""
    found = []
    for place in ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_SESSION_TOKEN", "the file", "AWS_TOKEN"):
        if place == "the file":
            agent_source.TOKEN_FILE.write_text(place)
        else:
            monkeypatch.setenv(place, place)
        found.append(agent_source.read_token() == place)

    assert [True] * 4 == found


def test_no_token_at_all_says_where_one_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is as good as none."""
    monkeypatch.setenv("AWS_TOKEN", "")

    assert (
        f"The token of the {agent_source.NAME} cannot be read: there is no file {agent_source.TOKEN_FILE}, "
        "and no environment variable AWS_TOKEN or AWS_SESSION_TOKEN or AWS_CONTAINER_AUTHORIZATION_TOKEN."
    ) == failure().cause


@table(
    ("value", "reason"),
    [
        (" ", "environment variable AWS_TOKEN is empty."),
        (
            f"{AGENT_TOKEN}\n{AGENT_TOKEN}",
            "environment variable AWS_TOKEN holds characters that no token has.",
        ),
        (f"{AGENT_TOKEN}ä", "environment variable AWS_TOKEN holds characters that no token has."),
        ("file:///no/such/file", "file '/no/such/file' does not exist."),
        ("file:///dev", "file '/dev' is a directory."),
    ],
    afresh=True,
)
def test_a_token_that_will_not_do_says_why(value: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """http.client would say that a header is wrong, with the token in its words."""
    monkeypatch.setenv("AWS_TOKEN", value)

    assert (
        f"The token of the AWS Workload Credentials Provider (Secrets Manager Agent) cannot be read: {reason}"
        == failure().cause
    )


@table("content", [b"", b" \n", b"\xff\xfe", AGENT_TOKEN.encode() + b"\xff"])
def test_a_file_with_no_token_in_it_says_so(content: bytes) -> None:
    """The file is named, and nothing of what is in it."""
    agent_source.TOKEN_FILE.write_bytes(content)

    assert str(agent_source.TOKEN_FILE) in failure().cause
