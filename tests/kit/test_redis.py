"""The redis-server of the tests: where it comes from, and what it keeps over a kill."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.kit.redis import PROGRAM, RedisServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare_machine(tmp_path):
    """Run the installation where the PATH has the given programs alone."""

    def run(**programs: str) -> subprocess.CompletedProcess[str]:
        directory = tmp_path / "bin"
        directory.mkdir()
        programs.setdefault("sudo", 'shift; [ "$1" = true ] || exec "$@"')
        for name, script in programs.items():
            path = directory / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        program = (
            "import pathlib, sys; from tests.kit import install_redis; "
            f"install_redis.LOG = pathlib.Path({str(tmp_path / 'log')!r}); "
            "sys.exit(install_redis.main())"
        )
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PATH": str(directory)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_one_that_is_there_is_not_installed_again(bare_machine):
    run = bare_machine(redis_server="", apt_get="exit 7")

    assert (0, "") == (run.returncode, run.stderr)
    assert run.stdout.startswith("The tests use ")


def test_the_systems_package_is_installed_where_there_is_none(bare_machine, tmp_path):
    path = tmp_path / "bin" / PROGRAM
    copy = f'case "$*" in *redis-server*) {shutil.which("cp")} {sys.executable} {path};; esac'
    run = bare_machine(apt_get=copy)

    assert (0, "") == (run.returncode, run.stderr)
    assert "apt-get install --yes --no-install-recommends redis-server" in run.stdout
    assert run.stdout.endswith(f"The tests use {path}\n")


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"apt_get": "exit 7"}, "`apt-get update` ended with status 7"),
        ({"apt_get": ""}, "redis-server` installed no redis-server on the PATH"),
        ({}, "there is none of apt-get, dnf, apk, brew here"),
    ],
    ids=["fails", "installs nothing", "no manager"],
)
def test_without_any_way_one_line_says_so(bare_machine, programs, reason):
    run = bare_machine(**programs)

    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("There is no redis-server for the tests, and none could be installed: ")
    assert reason in line
    assert line.endswith("Install Redis, so that redis-server is on the PATH, and run this again.")


def test_make_test_gets_it_before_any_test():
    dry_run = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = dry_run.stdout.splitlines()
    (installed,) = [number for number, line in enumerate(lines) if "tests.kit.install_redis" in line]
    assert installed < min(n for n, line in enumerate(lines) if "pytest" in line or "django_suite" in line)


@pytest.mark.parametrize("keep", [False, True])
def test_killed_and_started_again_it_has_its_port_and_keeps_only_if_asked_to(tmp_path, keep):
    with RedisServer(tmp_path, keep=keep) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("key", "value")
        server.kill()
        server.start()
        with redis.Redis.from_url(url) as client:
            assert client.get("key") == (b"value" if keep else None)
