"""Checks of the arguments of each program, by its own parser if it is installed, else by its manual.

Each checker takes the words after the name of the program. It fails if the program would refuse them.
"""

from __future__ import annotations

import base64
import configparser
import re
import subprocess
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise

import botocore.session
import celery.bin.worker
import click
import gunicorn.config
import jmespath
from botocore import xform_name
from botocore.waiter import WaiterModel
from django.core.management import get_commands, load_command_class
from pip._internal.commands import create_command
from uvicorn.main import main as uvicorn_command

from django_momento.local.admin import Admin
from tests.docs.pages import ROOT

Checker = Callable[[list[str]], None]

# Commands of AWS's command line that are not operations of the API.
AWS_OWN = {
    ("cloudformation", "package"): {"--template-file", "--s3-bucket", "--output-template-file"},
    ("cloudformation", "deploy"): {
        "--template-file",
        "--stack-name",
        "--capabilities",
        "--parameter-overrides",
    },
    ("ecr", "get-login-password"): set(),
    ("logs", "tail"): {"--since"},
    ("s3", "mb"): set(),
    ("s3", "rb"): {"--force"},
}
# Shorthands for the members of a structure.
AWS_SHORTHANDS = {("ec2", "authorize-security-group-ingress"): {"--protocol", "--port", "--cidr"}}
AWS_GLOBALS = {"--region", "--output", "--query"}

DOCKER = {
    "build": {"--platform", "--tag"},
    "login": {"--username", "--password-stdin"},
    "push": set(),
    "run": {"--rm", "--publish", "--env"},
    "tag": set(),
}


def python(words: list[str]) -> None:
    if words[0] == "-c":
        compile(words[1], "documented", "exec")
    elif words[:2] == ["-m", "pip"]:
        pip(words[2:])
    elif words[0] == "-m":
        assert find_spec(words[1]) is not None
    else:
        assert words[0] == "manage.py"
        management(words[1:])


def management(words: list[str]) -> None:
    name, *arguments = words
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(arguments)


def pip(words: list[str]) -> None:
    name, *arguments = words
    _, requirements = create_command(name).parser.parse_args(arguments)
    for requirement in requirements:
        if extras := re.fullmatch(r"(?:django-momento|\.)\[(.*)\]", requirement):
            assert {*extras[1].split(",")} <= read_extras()


def read_extras() -> set[str]:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    return {*setup["options.extras_require"]}


def make(words: list[str]) -> None:
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
    variables = re.findall(r"(?m)^([A-Z]+) \?=", (ROOT / "Makefile").read_text())
    for word in words:
        assert word in targets or word.split("=")[0] in variables, word


def aws(words: list[str]) -> None:
    service, operation, *rest = words
    given = {word for word in rest if word.startswith("--")}
    for name, value in pairwise(rest):
        if name == "--query":
            jmespath.compile(value)
    assert given <= AWS_GLOBALS | _aws_arguments(service, operation, rest), f"{service} {operation}: {given}"


def _aws_arguments(service: str, operation: str, rest: list[str]) -> set[str]:
    if (service, operation) in AWS_OWN:
        return AWS_OWN[service, operation]
    session = botocore.session.get_session()
    model = session.get_service_model(service)
    if operation == "wait":
        waiters: WaiterModel = session.get_waiter_model(service)
        names = {xform_name(name, "-"): name for name in waiters.waiter_names}
        called = waiters.get_waiter(names[rest[0]]).operation
    else:
        called = {xform_name(name, "-"): name for name in model.operation_names}[operation]
    members = model.operation_model(called).input_shape
    own = {f"--{xform_name(name, '-')}" for name in members.members} if members else set()
    return own | AWS_SHORTHANDS.get((service, operation), set())


def docker(words: list[str]) -> None:
    assert {word for word in words if word.startswith("--")} <= DOCKER[words[0]]


def serve_with_gunicorn(words: list[str]) -> None:
    parser: ArgumentParser = gunicorn.config.Config().parser()
    parser.parse_args(words)


def serve_with_uvicorn(words: list[str]) -> None:
    uvicorn_command.make_context("uvicorn", words)


def celery_worker(words: list[str]) -> None:
    assert words[0] == "--app"
    assert words[2] == "worker"
    worker = celery.bin.worker.worker
    worker.make_parser(click.Context(worker)).parse_args(words[3:])


def curl(words: list[str]) -> None:
    known = Admin(None, None).actions  # type: ignore[arg-type]  # only its names are read
    for word in words:
        if admin := re.fullmatch(r"http://127\.0\.0\.1:9090(/.*)", word):
            assert admin[1] in known


def git(words: list[str]) -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    assert words == ["clone", setup["metadata"]["url"]]


def openssl(words: list[str]) -> None:
    printed = subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60).stdout
    assert len(base64.b64decode(printed)) == 32


def nothing(words: list[str]) -> None:
    """Accept any argument of a common program: the arguments are files of the page."""


PROGRAMS: dict[str, Checker] = {
    "aws": aws,
    "celery": celery_worker,
    "curl": curl,
    "django-admin": management,
    "docker": docker,
    "git": git,
    "gunicorn": serve_with_gunicorn,
    "make": make,
    "openssl": openssl,
    "python": python,
    "python3": python,
    "uvicorn": serve_with_uvicorn,
    **dict.fromkeys((".", "cd", "chmod", "cp", "echo", "exec", "exit", "rm", "shred"), nothing),
}
