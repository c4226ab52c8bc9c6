"""JSON, templates, Dockerfiles and output in the pages: their readers would accept them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import cfnlint
import pytest
import yaml

from django_momento.credentials.api_key import SecretDocument
from django_momento.env import Env
from django_momento.redaction import SecretStr
from tests.docs.pages import Block, all_blocks
from tests.docs.programs import PROGRAMS

INSTRUCTIONS = {"CMD", "COPY", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR"}


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """A statement allows the action that messages name, and a secret can be read."""
    document = json.loads(block.text)
    for statement in document.get("Statement", [document]):
        if "Effect" in statement:
            check_statement(statement)
    if "api_key" in document:
        secret = SecretDocument.read(SecretStr(block.text))
        assert (secret.key, secret.endpoint) == (document["api_key"], document["endpoint"])


def check_statement(statement: dict[str, Any]) -> None:
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    assert re.fullmatch(
        r"arn:aws:secretsmanager:us-west-2:(ACCOUNT|\d{12}):secret:Momento_Auth_Token-\*",
        statement["Resource"],
    )


COMPOSE = [block for block in all_blocks("yaml") if block.caption == "compose.yaml"]
TEMPLATES = [block for block in all_blocks("yaml") if block not in COMPOSE]


@pytest.mark.parametrize("block", COMPOSE, ids=str)
def test_containers_start_commands_and_use_caches_that_exist(block: Block) -> None:
    """Each service has an image, and the URL of a cache names another service."""
    services = yaml.safe_load(block.text)["services"]
    for service in services.values():
        assert service.keys() <= {"image", "command", "environment"}
        if "command" in service:
            program, *words = shlex.split(service["command"])
            PROGRAMS[program](words)
        if "environment" in service:
            config = Env.cache_url_config(service["environment"]["CACHE_URL"])
            assert config["OPTIONS"]["ENDPOINT"].partition(":")[0] in services


@pytest.mark.parametrize("block", TEMPLATES, ids=str)
def test_templates_are_cloudformations(block: Block, tmp_path: Path) -> None:
    """AWS's own schemas have nothing to say about them, also after SAM's transformation."""
    text = block.text
    template = tmp_path / block.caption
    template.write_text(text)
    (tmp_path / "build").mkdir()
    findings = cfnlint.lint_file(template)
    assert [] == [f"{it.linenumber}: {it.rule.id} {it.message}" for it in findings]


@pytest.mark.parametrize("block", all_blocks("dockerfile"), ids=str)
def test_a_dockerfile_says_what_docker_knows(block: Block) -> None:
    """Each instruction is one, and the image starts a command that exists."""
    lines = [line.split(" ", 1) for line in block.text.splitlines() if line]
    assert {name for name, _ in lines} <= INSTRUCTIONS
    for name, rest in lines:
        if name == "CMD":
            program, *words = json.loads(rest)
            PROGRAMS[program](words)
        if name == "RUN" and rest.startswith("pip "):
            PROGRAMS["python"](["-m", *shlex.split(rest)])
