"""Whatever AWS settings do to boto3 becomes a CredentialError that names them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import boundary
from django_momento.credentials.credential import fetch
from django_momento.exceptions import CredentialError
from tests.kit import aws as fixtures
from tests.kit.aws import KEYS, REGION, V2_KEY, SecretsManager, report, shown_of
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws

SECRET = ConnectionOptions("secretsmanager", secret_id="momento", region=REGION)
Arrange = Callable[[pytest.MonkeyPatch, Path], None]


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def token_file_is_missing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    without_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/eks")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path / "missing"))


def token_file_is_a_folder(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    token_file_is_missing(monkeypatch, path)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path))


def token_file_is_binary(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    token_file_is_missing(monkeypatch, path)
    (path / "token").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path / "token"))


def container_token_file_is_missing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    without_credentials(monkeypatch)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(path / "missing"))


def credential_process(command: str) -> Arrange:
    def arrange(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        without_credentials(monkeypatch)
        (path / "config").write_text(f"[default]\ncredential_process = {command}\n")

    return arrange


def config_file(content: bytes) -> Arrange:
    def arrange(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        (path / "config").write_bytes(content)

    return arrange


def variable(name: str, value: str) -> Arrange:
    def arrange(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        monkeypatch.setenv(name, value)

    return arrange


ARRANGEMENTS = {
    "token file missing": token_file_is_missing,
    "token file a folder": token_file_is_a_folder,
    "token file binary": token_file_is_binary,
    "container token file missing": container_token_file_is_missing,
    "process missing": credential_process("/no/such/program"),
    "process not executable": credential_process("/etc/passwd"),
    "process fails": credential_process("false"),
    "process prints nothing": credential_process("true"),
    "process prints no JSON": credential_process("echo hello"),
    "process prints a list": credential_process("echo []"),
    "process prints a key": credential_process(f"echo {V2_KEY}"),
    "process with an open quote": credential_process("'echo"),
    "config not INI": config_file(b"nonsense"),
    "config binary": config_file(b"\xff\xfe\x00"),
    "missing profile": variable("AWS_PROFILE", "missing"),
    "broken bundle": variable("AWS_CA_BUNDLE", "/no/such/bundle.pem"),
    "odd retries": variable("AWS_MAX_ATTEMPTS", "many"),
    "odd defaults mode": variable("AWS_DEFAULTS_MODE", "odd"),
    "odd STS endpoints": variable("AWS_STS_REGIONAL_ENDPOINTS", "odd"),
    "odd URL": variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://[::1"),
    "URL without a scheme": variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "localhost:1"),
    "URL with a control character": variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://a\nb"),
}


@pytest.mark.usefixtures("aws_environment")
@table("arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS, afresh=True)
def test_a_broken_aws_setting_is_a_credential_error(
    arrange: Arrange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """botocore lets FileNotFoundError, ValueError and others through as they are."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    arrange(monkeypatch, tmp_path)
    with pytest.raises(CredentialError) as failed:
        fetch(SECRET)

    assert failed.value.cause.startswith("Secret 'momento' in us-west-2 (AWSCURRENT) cannot be read: ")
    assert failed.value.fix
    assert "\n" not in str(failed.value)
    assert [] == [run for key in KEYS for run in shown_of(key, report(failed.value))]


@pytest.mark.usefixtures("aws_environment")
def test_a_missing_token_file_names_where_to_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on EKS, while the volume with the token is not mounted."""
    token_file_is_missing(monkeypatch, tmp_path)
    with pytest.raises(CredentialError) as failed:
        fetch(SECRET)

    assert "FileNotFoundError" in failed.value.cause
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" in failed.value.fix


def test_a_credential_process_that_hangs_holds_no_caller(
    aws: SecretsManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """botocore gives the process any time."""
    monkeypatch.setattr(boundary, "FETCH_TIMEOUT", 0.5)
    program = tmp_path / "hanging.py"
    program.write_text(
        "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists():\n    time.sleep(0.05)\n"
    )
    credential_process(f"{sys.executable} {program} {tmp_path / 'end'}")(monkeypatch, tmp_path)
    try:
        with pytest.raises(CredentialError, match=r"did not return within 0.5 s\."):
            fetch(SECRET)
    finally:
        (tmp_path / "end").touch()
