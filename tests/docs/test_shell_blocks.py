"""The commands that the pages tell readers to type exist, and accept their arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from django_momento.conf.loading import parse
from django_momento.env import Env
from tests.docs.pages import PAGES, ROOT, all_blocks, blocks
from tests.docs.programs import PROGRAMS
from tests.docs.shell import Command, commands

WITH_SHELL = sorted({block.page for block in all_blocks("sh")})


@pytest.mark.parametrize("page", WITH_SHELL)
def test_every_command_is_understood(page: str) -> None:
    """By the program's own parser, where there is one, or by the model of the service that it calls."""
    for block in blocks(page):
        if block.language != "sh":
            continue
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=60)
        for command in commands(block.text):
            try:
                check(command)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{block}: {command}") from error


def check(command: Command) -> None:
    if "CACHE_URL" in command.variables:
        config = Env.cache_url_config(command.variables["CACHE_URL"])
        del config["BACKEND"]
        parse("default", config.pop("LOCATION"), config)
    if command.words:
        PROGRAMS[command.words[0].rsplit("/", 1)[-1]](command.words[1:])


def test_a_gunicorn_configuration_is_accepted(tmp_path: Path) -> None:
    """The file that the page shows configures a real gunicorn, whose worker then tells gRPC of gevent."""
    (block,) = (it for it in blocks("docs/how-to/servers.md") if it.caption == "gunicorn.conf.py")
    path = tmp_path / block.caption
    path.write_text(block.text)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "tests.processes.wsgi",
        "--worker-class",
        "gevent",
        "--config",
        str(path),
        "--check-config",
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)


def test_every_page_is_looked_at() -> None:
    """The pages are found where they are."""
    assert "README.md" in PAGES
    assert len(PAGES) > 30
