"""The tutorial followed word for word, as far as it goes without an AWS account.

The one thing that is not done here is installing the package from an index: the site's new environment finds
the packages of this one instead. Ports are free ones, and calls of the cache may take long: machines of tests
stand still now and then.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
import yaml

from django_momento.local import LocalServer
from tests.docs.pages import ROOT, Block, blocks
from tests.docs.terminal import Terminal
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import (
    AGENT_TOKEN,
    SecretsManager,
    agent,
    aws,
    aws_environment,
    moto_server,
)
from tests.kit.ports import free_port
from tests.kit.waiting import patience

__all__ = ["agent", "aws", "aws_environment", "moto_server"]  # fixtures

FIRST, LAMBDA, FARGATE = (f"docs/tutorial/{name}.md" for name in ("first-site", "lambda", "fargate"))
KEY = "made-up-key"
SECRET_KEY = "0123456789" * 6


class Visitor:
    """A browser with a session."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._host = host
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str = "") -> str:
        request = urllib.request.Request(self._url + path, headers={"Host": self._host})
        with self._opener.open(request, timeout=60) as response:
            return str(response.read().decode())


def shell(page: str, containing: str) -> str:
    """Return the first shell block of a page that contains a text."""
    return next(block.text for block in blocks(page) if block.language == "sh" and containing in block.text)


def write_files(page: str, directory: Path) -> None:
    for block in blocks(page):
        if block.caption:
            write(block, directory)


def write(block: Block, directory: Path) -> None:
    name, _, how = block.caption.partition(", ")
    path = directory / name
    assert how in ("", "at the end")
    path.write_text(path.read_text() + block.text if how else block.text)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in a clone, in which nothing is installed and Python is this one."""
    for name in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH", "VIRTUAL_ENV", "CACHE_URL"):
        monkeypatch.delenv(name, raising=False)
    programs, clone, notes = (tmp_path / name for name in ("bin", "django-momento", "notes"))
    for directory in (programs, clone, notes):
        directory.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    (programs / "django-admin").write_text('#!/bin/sh\nexec python -m django "$@"\n')
    (programs / "django-admin").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return Terminal(clone, {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}, notes)


def install(terminal: Terminal) -> None:
    """Follow the first steps. Instead of pip, give the new environment the packages of this one."""
    lines = shell(FIRST, "-m venv").splitlines()
    (installs,) = (line for line in lines if "pip install" in line)
    assert installs == "../momento-tutorial/.venv/bin/python -m pip install ."
    lines[lines.index(installs)] = ":"
    lines[0] += " --without-pip"
    terminal.type("\n".join(lines))
    packages = sorted(Path(terminal.environment["VIRTUAL_ENV"]).glob("lib/python*/site-packages"))
    (packages[0] / "documented.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")


@pytest.fixture
def site(terminal: Terminal) -> Terminal:
    """The site of the first page, as it is before it is first started."""
    install(terminal)
    assert terminal.directory.name == "momento-tutorial"
    terminal.type(shell(FIRST, "startproject"))
    write_files(FIRST, terminal.directory)
    settings = terminal.directory / "mysite" / "settings.py"
    allowance = 'CACHES["default"].setdefault("OPTIONS", {})["CLIENT_TIMEOUT"] = 30\n'
    settings.write_text(f"{settings.read_text()}\n{allowance}")
    return terminal


def test_the_first_site_behaves_as_the_page_says(site: Terminal, tmp_path: Path) -> None:
    """Embedded, then with a server beside it, then in an outage and after it."""
    assert "All caches work: default" in site.type(shell(FIRST, "momento_check"))
    web, cache = free_port(), free_port()
    visitor = Visitor(web)
    migrate, runserver = shell(FIRST, "migrate").splitlines()
    site.type(migrate)
    runserver += f" --noreload 127.0.0.1:{web}"
    with site.serving(runserver, web):
        assert "Visit 1: the answer is 42." == visitor.get()
        assert "Visit 2: the answer is 42." == visitor.get()
    with site.serving(runserver, web):
        assert "Visit 1: the answer is 42." == visitor.get()

    second = Terminal(site.directory, site.environment, tmp_path / "bin")
    activate, momento_local = shell(FIRST, "momento_local").splitlines()
    second.type(activate)
    momento_local += f" --port {cache}"
    export, check, again = shell(FIRST, "export CACHE_URL").splitlines()
    assert again == runserver.split(" --noreload")[0]
    with second.serving(momento_local, cache):
        site.type(export.replace("8080", str(cache)))
        assert "All caches work: default" in site.type(check)
        with site.serving(runserver, web):
            assert "Visit 1: the answer is 42." == visitor.get()
        with site.serving(runserver, web):
            assert "Visit 2: the answer is 42." == visitor.get()
            assert "42" in site.type(shell(FIRST, "manage.py shell")).split()
    with site.serving(runserver, web):
        with pytest.raises(urllib.error.HTTPError) as outage:
            visitor.get()
        assert "ServerUnavailable" in outage.value.read().decode()
        outage.value.close()
        with second.serving(momento_local, cache):
            assert "Visit 1: the answer is 42." == visit_until_up(visitor)


def visit_until_up(visitor: Visitor) -> str:
    for _ in patience():
        try:
            return visitor.get()
        except urllib.error.HTTPError as error:
            error.close()
    raise AssertionError("the site did not come back")


class Template(yaml.SafeLoader):
    """Read CloudFormation's templates, with each tag as text before its argument."""


Template.add_multi_constructor("!", lambda loader, tag, node: f"!{tag} {node.value}")


def secret(page: str, address: str) -> str:
    (text,) = (block.text for block in blocks(page) if block.caption == "momento.json")
    return json.dumps({**json.loads(text), "api_key": KEY, "endpoint": address})


@pytest.fixture
def momento() -> Iterator[LocalServer]:
    with LocalServer(api_keys=[KEY], caches=["tutorial"]) as server:
        yield server


def test_the_function_on_lambda_serves_the_site(
    site: Terminal, momento: LocalServer, agent: SecretsManagerAgent, aws: SecretsManager
) -> None:
    """Started as the adapter starts it, with the template's variables and an extension beside it."""
    aws.create("Momento_Auth_Token", secret(LAMBDA, momento.address))
    write_files(LAMBDA, site.directory)
    template = yaml.load((site.directory / "template.yaml").read_text(), Template)
    variables = template["Resources"]["Site"]["Properties"]["Environment"]["Variables"]
    assert variables.pop("SECRET_KEY_ARN") == "!Ref SecretKey"
    site.environment |= {
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        **variables,
        "SECRET_KEY_ARN": aws.create("Secret_Key", SECRET_KEY),
        "AWS_LAMBDA_FUNCTION_NAME": "site",
        "AWS_SESSION_TOKEN": AGENT_TOKEN,
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(agent.port),
    }
    port = free_port()
    run = (site.directory / "run.sh").read_text()
    assert f"--port {variables['AWS_LWA_PORT']}" in run
    command = run.splitlines()[-1].removeprefix("exec ").replace(variables["AWS_LWA_PORT"], str(port))
    visitor = Visitor(port, "abc123.execute-api.us-west-2.amazonaws.com")
    with site.serving(command, port):
        assert "ok" == Visitor(port).get(variables["AWS_LWA_READINESS_CHECK_PATH"].strip("/") + "/")
        assert [] == agent.requests
        assert ["Visit 1: the answer is 42.", "Visit 2: the answer is 42."] == [visitor.get(), visitor.get()]
    assert len(agent.requests) == 1


def test_the_task_on_fargate_serves_the_site(
    site: Terminal, momento: LocalServer, aws: SecretsManager
) -> None:
    """Started by the image's command, with the template's variables and the credentials of a task role."""
    aws.create("Momento_Auth_Token", secret(LAMBDA, momento.address))
    (settings,) = (block for block in blocks(LAMBDA) if block.caption.startswith("mysite/settings.py"))
    write(settings, site.directory)
    write_files(FARGATE, site.directory)
    template = yaml.load((site.directory / "fargate.yaml").read_text(), Template)
    (container,) = template["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    variables = {it["Name"]: it["Value"] for it in container["Environment"]}
    url = variables["CACHE_URL"].removeprefix("!Sub ").replace("${AWS::Region}", "us-west-2")
    site.environment |= {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
    assert variables["SECRET_KEY_ARN"] == "!Ref SecretKey"
    site.environment |= {"CACHE_URL": url, "SECRET_KEY_ARN": aws.create("Secret_Key", SECRET_KEY)}
    port = free_port()
    (command,) = re.findall(r"(?m)^CMD (.*)$", (site.directory / "Dockerfile").read_text())
    words = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in json.loads(command)]
    visitor = Visitor(port, "ec2-192-0-2-1.us-west-2.compute.amazonaws.com")
    with site.serving(f"python -m {' '.join(words)}", port):
        assert "ok" == Visitor(port).get("healthy/")
        assert ["Visit 1: the answer is 42.", "Visit 2: the answer is 42."] == [visitor.get(), visitor.get()]
